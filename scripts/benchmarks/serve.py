"""Measure a server: live streams in simulated real time, partial results' accuracy, uploads beside batch job and peer.

    python scripts/benchmarks/serve.py model.nemo test_manifest.json [key=value ...] [--parts streams wer rest hour]

key=value are arguments of both `serve.py` and `transcribe_speech.py`, such as compute_dtype=int8; --server takes those
of the server alone. The server, the clients, the batch job and the peer are processes. Each measure is a line of JSON.

streams  For each number of --streams, so many websockets on `/v1/stream`. Each speaks recordings of the manifest, one
         behind another, for --seconds by a clock that never waits for the server, and ends each with `finalize`.
         Printed: the first partial result after speech began (30 dB below the loudest), the lag (time of a partial
         result minus the time at which its last sample was spoken), and the final after the recording's end, each at
         p50, p90, p95 and p99; `churn`, the share of shown words that later change; `churn_but_growth`, the same where
         a last word that gets longer does not count; `churn_of_partials`, this without the step from the last partial
         result to the final; `stable_broken`, the stable texts that later ones do not begin with; `finals_equal`, the
         recordings whose text is that of transcribe_speech.py. A recording in which the server found an end is `cut`;
         then the texts of its finals are joined. The last line has the largest number of streams with finals within
         --finalisation-ms at p95 and a lag that does not grow (median of the last third over that of the first: at
         most --growth-ms).
wer      Word error rate of the last partial result against step and right context, beside the batch job's. The server's
         windows are computed without a clock, so that none comes late (scripts/benchmarks/serve_windows.py).
rest     --clients clients upload the manifest's files --repeat times; beside transcribe_speech.py on the same files,
         and peers with the same weights. `transformers serve` takes part if it transcribes with such a model; what it
         answers is printed. Other peers are transformers' pipeline, in two ways, and sherpa-onnx (needs `pip install -c
         constraints.txt sherpa-onnx`), in a web server as transformers' documentation shows it
         (scripts/benchmarks/serve_peer.py). All take turns, --rounds times; the best turn counts.
         Loading is in none: servers are warm, and the batch job's figure is its RTFx, after a warm-up batch.
         `cpu_ms` is the processor time of a server (its processes together) for an answer, `client_cpu_ms` that of the
         clients, who share the cores with the servers; the batch job has no clients.
hour     One stream of --minutes of audio, --speed times as fast as real time, with pauses; the server finds the
         utterances. Printed: delays in the first and the last tenth, memory, samples that have a result.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from random_model import find_recipe
from serve_figures import compare_ends, count_broken, find_sustained, measure_churn, summarise
from serve_inputs import Inputs, list_recordings
from serve_process import RunningServer, ServerFailed, interrupt, run_server
from serve_uploads import measure_uploads
from side_process import ROOT, SideFailed, run_side

PARTS = ("streams", "wer", "rest", "hour")
INTERRUPTED = 130
TENTH, THIRD = 0.1, 1 / 3


def main() -> int:
    """Read the command line and measure; return the exit status."""
    parser = make_parser()
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(options, read_inputs(options, Path(folder)))
    except KeyboardInterrupt:
        print("interrupted: the servers were ended", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ValueError, ServerFailed, SideFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", type=Path, help=".nemo file, or xlsr_53 or another recipe of conf/encoder: then random weights"
    )
    parser.add_argument("manifest", type=Path, help="manifest of whole recordings of one rate, with references")
    parser.add_argument("arguments", nargs="*", metavar="key=value", help="for the server and the batch job")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS[:3]), help="default: all but hour")
    parser.add_argument("--server", nargs="+", default=[], metavar="key=value", help="for the server alone")
    parser.add_argument("--files", type=int, help="first recordings of the manifest to use; default: all")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=30.0, help="audio of each stream")
    parser.add_argument("--chunk-s", type=float, default=0.1, help="seconds of audio in a message")
    parser.add_argument("--finalisation-ms", type=float, default=300.0, help="most that a sustained stream waits")
    parser.add_argument("--growth-ms", type=float, default=50.0, help="most that its median lag grows")
    parser.add_argument("--steps", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="seconds, with wer")
    parser.add_argument("--right-contexts", type=float, nargs="+", default=[0.2, 0.6, 1.0], help="seconds, with wer")
    parser.add_argument("--clients", type=int, default=8, help="uploads at a time")
    parser.add_argument("--repeat", type=int, default=3, help="uploads of each file in a turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side of rest")
    parser.add_argument("--no-peer", action="store_true", help="rest without transformers")
    parser.add_argument("--minutes", type=float, default=60.0, help="audio of the long stream")
    parser.add_argument("--speed", type=float, default=20.0, help="its speed over real time")
    parser.add_argument("--seed", type=int, default=0, help="of the order of recordings")
    parser.add_argument("--busy", action="store_true", help="mark the rows: other work runs on this machine")
    return parser


def read_inputs(options: argparse.Namespace, folder: Path) -> Inputs:
    """Check the options and list the recordings.

    Raises:
        OSError: A file is missing.
        ValueError: An option is out of range.
    """
    recipe = find_recipe(str(options.model))
    if not options.model.is_file() and recipe is None:
        raise FileNotFoundError(f"{options.model}: found no file, expected a .nemo file or a recipe; check the path")
    if not options.manifest.is_file():
        raise FileNotFoundError(f"{options.manifest}: found no file, expected a manifest; check the path")
    for argument in (*options.arguments, *options.server):
        if "=" not in argument:
            raise ValueError(f"{argument}: expected key=value; options such as --parts come behind these")
    for key in ("seconds", "chunk_s", "clients", "repeat", "rounds", "minutes", "speed"):
        if getattr(options, key) <= 0:
            raise ValueError(f"--{key.replace('_', '-')}={getattr(options, key)}: expected a number above 0; change it")
    if min(options.streams) < 1:
        raise ValueError(f"--streams={min(options.streams)}: expected 1 or more; change it")
    paths, references = list_recordings(options.manifest, options.files)
    note = {"busy": True} if options.busy else {}
    model = options.model.resolve()
    if recipe is not None:
        model = folder / f"{recipe.stem}.nemo"
        run_side(str(ROOT / "scripts/benchmarks/random_model.py"), [recipe.stem, model])
    return Inputs(model, paths, references, options.arguments, options.server, folder, note)


def measure(options: argparse.Namespace, inputs: Inputs) -> None:
    """Run the chosen parts."""
    if "wer" in options.parts:
        measure_partial_results(options, inputs)
    if "rest" in options.parts:
        measure_uploads(inputs, options.clients, options.repeat, options.rounds, not options.no_peer)
    if "streams" in options.parts:
        _ = inputs.offline_texts  # before the clock
        with run_server(inputs.server_command, "/health/ready") as server:
            measure_streams(options, inputs, server)
    if "hour" in options.parts:
        with run_server(inputs.server_command, "/health/ready") as server:
            measure_long_stream(options, inputs, server)


def measure_streams(options: argparse.Namespace, inputs: Inputs, server: RunningServer) -> None:
    """Print the figures of live streams, by their number."""
    rows = []
    plan = {"seconds": options.seconds, "chunk_s": options.chunk_s, "seed": options.seed, "speed": 1.0, "pauses": False}
    for count in [1, *sorted(options.streams)]:  # the first one is a warm-up
        warm_up = {"seconds": 3.0} if not rows else {}
        reports = inputs.ask_clients("streams", server.host, streams=count, **{**plan, **warm_up})
        rows.append({"streams": count, **summarise_streams(inputs, reports)})
        if not warm_up:
            inputs.print_row("streams", **rows[-1])
    sustained = find_sustained(rows[1:], options.finalisation_ms, options.growth_ms)
    limits = {"finalisation_ms": options.finalisation_ms, "growth_ms": options.growth_ms}
    inputs.print_row("streams_sustained", streams=sustained, of=max(options.streams), **limits)


def summarise_streams(inputs: Inputs, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of streams that ran together."""
    utterances = [one for report in reports for one in report["utterances"]]
    lags = [tuple(row) for report in reports for row in report["lags"]]
    finals = [(one["path"], " ".join(texts[-1] for texts in one["shown"] if texts)) for one in utterances]
    equal = sum(" ".join(text.split()) == inputs.offline_texts[path] for path, text in finals)
    whole = [texts for one in utterances for texts in one["shown"] if texts]
    partials = [
        texts[: len(stable)] for one in utterances for texts, stable in zip(one["shown"], one["stable"], strict=True)
    ]
    return {
        "first_partial_ms": summarise([one["first_partial_s"] for one in utterances if one["first_partial_s"]]),
        "lag_ms": summarise([lag for _, lag in lags]),
        "lag_growth_ms": compare_ends(lags, THIRD)["growth_ms"],
        "finalisation_ms": summarise([one["final_s"] for one in utterances if one["final_s"] is not None]),
        "churn": measure_churn(whole),
        "churn_but_growth": measure_churn(whole, lets_last_grow=True),
        "churn_of_partials": measure_churn(partials, lets_last_grow=True),
        "stable_broken": count_broken([texts for one in utterances for texts in one["stable"]]),
        "recordings": len(utterances),
        "finals_equal": equal,
        "cut": sum(one["parts"] > 1 for one in utterances),
        "without_result_samples": sum(report["sent"] - report["covered"] for report in reports),
        "errors": [error for report in reports for error in report["errors"]][:3],
    }


def measure_long_stream(options: argparse.Namespace, inputs: Inputs, server: RunningServer) -> None:
    """Print how the delays of a long stream change."""
    before_mb = server.memory_mb
    plan = {"seconds": 60 * options.minutes, "chunk_s": options.chunk_s, "seed": options.seed, "speed": options.speed}
    (report,) = inputs.ask_clients("streams", server.host, streams=1, pauses=True, **plan)
    inputs.print_row(
        "hour",
        minutes=round(options.minutes, 1),
        speed=options.speed,
        lag=compare_ends(report["lags"], TENTH),
        final=compare_ends(report["delays"], TENTH),
        finals=len(report["delays"]),
        sent_samples=report["sent"],
        without_result_samples=report["sent"] - report["covered"],
        memory_mb=[before_mb, server.memory_mb],
        errors=report["errors"][:3],
    )


def measure_partial_results(options: argparse.Namespace, inputs: Inputs) -> None:
    """Print the word error rate of partial results, by step and right context.

    Raises:
        ValueError: The manifest has no references.
    """
    if not inputs.references:
        raise ValueError(f"{options.manifest}: found a row without text, expected references; leave wer out of --parts")
    inputs.print_row("wer", side="offline", wer=inputs.measure_wer([inputs.offline_texts[one] for one in inputs.paths]))
    pairs = [(step, right) for right in options.right_contexts for step in options.steps]
    plan = inputs.folder / "windows.json"
    arguments = [f"model_path={inputs.model}", *inputs.arguments, *inputs.server_arguments]
    plan.write_text(json.dumps({"arguments": arguments, "paths": inputs.paths, "pairs": pairs}), encoding="utf-8")
    found = run_side(str(ROOT / "scripts/benchmarks/serve_windows.py"), [plan])
    for (step, right), shown in zip(pairs, found, strict=True):
        texts = [one[-1] if one else "" for one in shown]
        figures = {"wer": inputs.measure_wer(texts), "churn": measure_churn(shown)}
        figures["churn_but_growth"] = measure_churn(shown, lets_last_grow=True)
        inputs.print_row("wer", side="partial", step_s=step, right_context_s=right, **figures)


if __name__ == "__main__":
    sys.exit(main())

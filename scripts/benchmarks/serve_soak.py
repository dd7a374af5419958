"""Let bad clients loose on a server while good ones use it: nobody may suffer but the bad ones, and nothing may grow.

    python scripts/benchmarks/serve_soak.py model.nemo test_manifest.json [key=value ...]

key=value are arguments of `serve.py`. In each of --rounds rounds come, one after another:

messages     a part of --messages messages on the websockets of both dialects: wrong JSON, wrong values, noise
files        a part of --files broken WAV, FLAC, MP3, Ogg, Opus, WebM and MPEG-4 files: bits, cuts, foreign headers
connections  --connections connections that are opened and left: empty, half a head, half an upload, half a message
gone         uploads whose client does not wait for the answer
large        an hour of audio, 100 MB of bytes that are no audio, 100 MB of noise, 10 hours of silence in 2 MB of FLAC

Meanwhile two good clients upload the manifest's recordings, and speak them, over and over: each text must be the one
that the first request gave. Printed as lines of JSON, one a round and one at the end: answers by status, how
websockets ended, requests of the good clients, and, once the server has nothing to do, its memory (its own and its
decoders'), threads, processes, open files and temporary files. The exit status is 1 if a good client was not served,
a bad one got another answer than it should, the server's log has a traceback, a temporary file was left, memory grew by
more than --growth-mb from the first round to the last, or threads, processes or open files grew in every round.
"""

import argparse
import asyncio
import io
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from broken_audio import draw_files, encode_all
from serve_faults import REALTIME, SIMPLE, count_ended, fuzz, go_away, leave_connections, upload, upload_broken
from serve_good_clients import GoodClients
from serve_inputs import list_recordings
from serve_process import RunningServer, ServerFailed, interrupt, run_server
from serve_resources import Resources, count_temporary_files, measure_resources, wait_until_idle
from side_process import ROOT

CLIENT_TIMEOUT_S = 10.0
SETTLE_S = 60.0  # until a server that has nothing to do is measured all the same
BOMB_HOURS, HOUR_S = 10, 3600
NOISE_BYTES = 99_000_000  # below the server's limit, with the form around it
INTERRUPTED = 130
MEMORY = ("memory_mb", "decoders_memory_mb")


def main() -> int:
    """Read the command line and soak; return the exit status."""
    options = make_parser().parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return soak(options, Path(folder))
    except KeyboardInterrupt:
        print("interrupted: the server was ended", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ValueError, ServerFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help=".nemo file")
    parser.add_argument("manifest", type=Path, help="manifest of whole recordings of one rate")
    parser.add_argument("arguments", nargs="*", metavar="key=value", help="for the server")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--messages", type=int, default=10_000, help="in all rounds together")
    parser.add_argument("--files", type=int, default=1_000, help="in all rounds together")
    parser.add_argument("--connections", type=int, default=200, help="in each round")
    parser.add_argument("--no-large", action="store_true", help="without the large uploads")
    parser.add_argument("--growth-mb", type=float, default=50.0, help="most that memory may grow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that got a wrong answer, and the server's log")
    return parser


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Run all rounds; return the exit status."""
    paths, _ = list_recordings(options.manifest, 4)
    uploads = folder / "uploads"
    command = [sys.executable, str(ROOT / "scripts/serve.py"), f"model_path={options.model.resolve()}", "port={port}"]
    command += [f"temporary_dir={uploads}", f"client_timeout_s={CLIENT_TIMEOUT_S}"]
    command += options.arguments
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    rows: list[Resources] = []
    with run_server(command, "/health/ready") as server:
        with GoodClients(server.host, paths) as good:
            for number in range(options.rounds):
                row = run_round(options, server, paths, number, faults)
                good.pause()
                wait_until_idle(server.host, SETTLE_S)
                rows.append(measure_resources(server.process.pid, uploads))
                print_row("soak_round", round=number + 1, **row, good=good.summary(), **vars(rows[-1]))
                good.go_on()
            faults += good.faults
        log = server.all_output
    left = count_temporary_files(uploads)
    if options.keep:
        (options.keep / "server.log").write_text(log, encoding="utf-8")
    growth = measure_growth(rows)
    faults += [f"{key} grew by {growth[key]} MB" for key in MEMORY if growth[key] > options.growth_mb]
    faults += [f"{key} grew in every round, by {growth[key]}" for key in list_growing(rows) if key not in MEMORY]
    faults += [f"{left} temporary files were left by the server"] if left or rows[-1].temporary_files else []
    faults += [f"{log.count('Traceback')} tracebacks in the log"] if "Traceback" in log else []
    print_row("soak", rounds=options.rounds, growth=growth, warnings=list_warnings(log), faults=faults[:20])
    return 1 if faults else 0


def measure_growth(rows: Sequence[Resources]) -> dict[str, float]:
    """Return by how much each resource grew from the first round to the last."""
    return {key: round(getattr(rows[-1], key) - getattr(rows[0], key), 1) for key in vars(rows[0])}


def list_growing(rows: Sequence[Resources]) -> list[str]:
    """Return the resources that grew in every one of three rounds or more: pools fill up, but have an end."""
    return [
        key
        for key in vars(rows[0])
        if len(rows) > 2 and all(getattr(after, key) > getattr(before, key) for before, after in pairwise(rows))
    ]


def run_round(
    options: argparse.Namespace, server: RunningServer, paths: Sequence[str], number: int, faults: list[str]
) -> dict[str, Any]:
    """Let each kind of bad client do its part."""
    host, seed = server.host, f"{options.seed} {number}"
    samples, rate = soundfile.read(paths[0], dtype="float32")
    sources = encode_all(samples if rate == 48_000 else np.repeat(samples, 48_000 // rate), 48_000)
    ends = {}
    for path in (SIMPLE, REALTIME):
        ends[path] = dict(asyncio.run(fuzz(host, path, options.messages // options.rounds // 2, seed)))
    broken = upload_broken(host, draw_files(sources, options.files // options.rounds, seed), keep=options.keep)
    faults += [f"file {name}: {answer}" for name, answer in broken.wrong.items()]
    go_away(host, "a.wav", sources["wav"], 20, seed)
    with leave_connections(host, options.connections) as left:
        ended = count_ended(left, 3 * CLIENT_TIMEOUT_S)
    if ended != len(left):
        faults.append(f"{len(left) - ended} of {len(left)} connections that were left are still open")
    row: dict[str, Any] = {"websockets": ends, "files": dict(broken.statuses), "ended": ended}
    if options.no_large:
        return row
    row["large"] = {}
    for name, content, expected in make_large(samples, rate, seed):
        begun = time.monotonic()
        status, text = upload(host, name, content)
        row["large"][name] = [status, round(time.monotonic() - begun, 1)]
        if status != expected:
            faults.append(f"{name}: status {status}, expected {expected}: {text[:200]}")
    return row


def make_large(samples: np.ndarray, rate: int, seed: str) -> Iterator[tuple[str, bytes, int]]:
    """Yield names, contents and expected statuses of large files."""
    generator = np.random.default_rng([*seed.encode()])
    hour = np.resize(samples, HOUR_S * rate)
    yield "hour.ogg", encode_file(hour, rate, "OGG", "VORBIS"), 200
    noise = generator.bytes(NOISE_BYTES)
    yield "bytes.wav", noise, 400
    yield "noise.wav", encode_file(np.frombuffer(noise[: NOISE_BYTES // 2 * 2], "<i2"), 16_000, "WAV", "PCM_16"), 200
    yield "bomb.flac", encode_file(np.zeros(BOMB_HOURS * HOUR_S * 16_000, np.int16), 16_000, "FLAC", "PCM_16"), 413


def encode_file(samples: np.ndarray, rate: int, form: str, subtype: str) -> bytes:
    """Return samples as a file; in pieces, for libsndfile's encoders take long ones badly."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, subtype, format=form) as out:
        for first in range(0, len(samples), 60 * rate):
            out.write(samples[first : first + 60 * rate])
    return file.getvalue()


def list_warnings(log: str) -> dict[str, int]:
    """Return the lines of the log that are no requests, and how often each came; the first of them."""
    counts: dict[str, int] = {}
    for line in log.splitlines():
        if " INFO nemo_models.serving.requests " not in line and line.strip():
            text = line.split(" ", 2)[-1][:120]
            counts[text] = counts.get(text, 0) + 1
    return dict(list(counts.items())[:20])


def print_row(measure: str, **figures: Any) -> None:
    """Print one measure."""
    print(json.dumps({"measure": measure, **figures}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Teacher and students on a test set: size, speed, memory and error rates, for each number format.

Each model is given as the bundle that `tune_decoding.py` writes, the teacher first. Error rates are greedy and with the
bundled language model; the relative loss is that with the language model against the teacher's float32, with a 95 %
interval by speaker. Speed is that of the encoder's packed forward pass, one utterance at a time, without reading files.
Memory is the peak of a process that transcribes the test set, imported libraries included.

    python scripts/benchmarks/students.py test.json teacher.nemo student.nemo … [--formats float32 int8] [--threads 1 2]
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from side_process import SideFailed, peak_bytes, run_side

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

COLUMNS = (
    "model",
    "parameters",
    "file MB",
    "format",
    "audio s/s",
    "peak MB",
    "greedy WER / CER %",
    "with LM WER / CER %",
)


def main() -> None:
    given = read_arguments()
    if given.side:
        print(json.dumps(measure(given.models[0], given.test, given.side, given.threads, given.rounds)))
        return
    print(f"| {' | '.join(COLUMNS)} | relative loss % (95 %) |\n{'|---' * (len(COLUMNS) + 1)}|")
    teacher: dict[str, Any] | None = None
    failed = False
    for path in given.models:
        for number_format in given.formats:
            options = ["--side", number_format, "--rounds", given.rounds, "--threads", *given.threads]
            try:
                found = run_side(__file__, [given.test, path, *options])
            except SideFailed as error:
                if teacher is None:
                    sys.exit(f"{error}\nThe teacher is what the others are compared with.")
                print(error, file=sys.stderr)  # the other rows are measured
                failed = True
                continue
            teacher = teacher or found
            print(f"| {path.stem} | {describe(found)} | {compare(found, teacher)} |", flush=True)
    sys.exit(1 if failed else 0)


def measure(bundle: Path, test: Path, number_format: str, threads: Sequence[int], rounds: int) -> dict[str, Any]:
    """Measure one model in one number format.

    Args:
        bundle: The `.nemo` with its language model.
        test: NeMo manifest with texts and speakers.
        number_format: See `check_format`.
        threads: Numbers of torch threads to measure the speed with.
        rounds: How often each speed is measured; the best counts.
    """
    import torch
    from nemo.utils import logging
    from rapidfuzz.distance import Levenshtein

    import nemo_models
    from data_prep.manifest import read_manifest, resolve_audio_path
    from nemo_models.decoding.strategy import configure_decoding
    from nemo_models.evaluation.scoring import score_texts
    from nemo_models.inference.model_loading import load_ctc_model, set_compute_dtype

    logging.setLevel(logging.ERROR)
    torch.set_num_threads(1)
    rows = read_manifest(test)
    paths = [str(resolve_audio_path(row["audio_filepath"], test)) for row in rows]
    references = [row["text"] for row in rows]
    model = load_ctc_model(bundle)
    found: dict[str, Any] = {"speakers": [row.get("speaker") for row in rows]}
    found["parameters"] = sum(weight.numel() for weight in model.parameters())
    set_compute_dtype(model, number_format)
    for way in ("lm", "greedy"):
        if way == "greedy":
            configure_decoding(model, {"strategy": "greedy_batch"})
        texts = sorted(nemo_models.transcribe(model, paths, timestamps=False), key=lambda one: one.index)
        scores = score_texts(references, [one.text for one in texts])
        pairs = [(reference.split(), one.text.split()) for reference, one in zip(references, texts, strict=True)]
        found[way] = {"wer": scores.wer, "cer": scores.cer, "errors": [Levenshtein.distance(*pair) for pair in pairs]}
    found["words"] = [len(reference.split()) for reference in references]
    found["peak"], found["format"], found["file"] = peak_bytes(), number_format, bundle.stat().st_size
    found["rates"] = {count: measure_speed(model.encoder, paths, count, rounds) for count in threads}
    return found


def measure_speed(encoder: Any, paths: Sequence[str], threads: int, rounds: int) -> float:
    """Return audio-seconds a second of an encoder, one utterance at a time."""
    import soundfile
    import torch

    waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None] for path in paths]
    torch.set_num_threads(threads)
    best = float("inf")
    for number in range(rounds + 1):
        started = time.perf_counter()
        with torch.no_grad():
            for wave in waves:
                encoder(audio_signal=wave, length=torch.tensor([wave.shape[1]]))
        if number:  # the first round warms up
            best = min(best, time.perf_counter() - started)
    return sum(wave.shape[1] for wave in waves) / 16000 / best


def describe(found: dict[str, Any]) -> str:
    """Format the cells before the relative loss."""
    rates = ", ".join(f"{rate:.0f} ({count})" for count, rate in found["rates"].items())
    errors = " | ".join(f"{100 * found[way]['wer']:.2f} / {100 * found[way]['cer']:.2f}" for way in ("greedy", "lm"))
    return (
        f"{found['parameters'] / 1e6:.2f} M | {found['file'] / 1e6:.1f} | {found['format']} | {rates} | "
        f"{found['peak'] / 1e6:.0f} | {errors}"
    )


def compare(found: dict[str, Any], teacher: dict[str, Any]) -> str:
    """Format the relative loss of WER with the language model, with the interval of a bootstrap over speakers."""
    from nemo_models.evaluation.statistics import bootstrap_rate, group_blocks

    base = teacher["lm"]["wer"]
    if found is teacher or not base:
        return "–"
    difference = np.array(found["lm"]["errors"]) - np.array(teacher["lm"]["errors"])
    blocks = group_blocks(found["speakers"], len(difference))
    interval = bootstrap_rate(difference, np.array(found["words"]), *blocks)
    low, high = interval.low / base, interval.high / base
    return f"{100 * (found['lm']['wer'] / base - 1):+.1f} ({100 * low:+.0f} to {100 * high:+.0f}, {interval.unit})"


def read_arguments() -> argparse.Namespace:
    def existing(text: str) -> Path:
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"{text}: found no such file")
        return Path(text).resolve()  # each model is measured in a process with another working folder

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", type=existing, help="NeMo manifest with `text` and `speaker`")
    parser.add_argument("models", type=existing, nargs="+", help="bundles of tune_decoding.py, the teacher first")
    parser.add_argument("--formats", nargs="+", default=["float32", "int8"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

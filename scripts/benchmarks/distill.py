"""Speed of students beside their teacher, with random weights: the shape alone decides it.

Usage: python scripts/benchmarks/distill.py [--seconds 10] [--rounds 5] [--threads 1 2] [--formats float32 int8]

Builds a teacher (XLSR-53's topology by default) and takes students out of it. Every model encodes the same noise of
--seconds seconds, batch 1, through the packed forward pass that transcribe_speech.py uses; the best of --rounds counts.
Prints a line of JSON for each: parameters, audio-seconds a second by number format and threads, and the ratio to the
teacher's int8.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from random_model import RECIPES, make_model

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "half the layers": {"layers": 12},
    "a quarter of the layers": {"layers": 6},
    "half as wide": {"num_attention_heads": 8, "intermediate_size": 2048, "conv_dim": 256},
    "12 layers, half as wide": {"layers": 12, "num_attention_heads": 8, "intermediate_size": 2048, "conv_dim": 256},
    "6 layers, half as wide": {"layers": 6, "num_attention_heads": 8, "intermediate_size": 2048, "conv_dim": 256},
    "6 layers, half as wide, 40 ms": {
        "layers": 6,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "conv_dim": 256,
        "conv_stride": [5, 2, 2, 2, 2, 2, 4],
    },
    "6 layers, a quarter as wide": {
        "layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "conv_dim": 128,
    },
}
"""Students of XLSR-53's size, by name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--formats", nargs="+", default=["float32", "int8"])
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    arguments = parser.parse_args()

    from nemo.utils import logging

    logging.setLevel(logging.ERROR)
    teacher = make_model(RECIPES / "xlsr_53.yaml")
    models = {"teacher": (teacher, {})}
    from nemo_models.distillation.student import StudentShape, build_student

    for name in arguments.shapes:
        models[name] = (build_student(teacher, StudentShape(**SHAPES[name])), SHAPES[name])
    rates = {name: measure(model, arguments) for name, (model, _) in models.items()}
    for name, (model, shape) in models.items():
        count = sum(weight.numel() for weight in model.parameters())
        row: dict[str, Any] = {"model": name, "shape": shape, "parameters_million": round(count / 1e6, 1)}
        for key, rate in rates[name].items():
            row[f"audio_s_per_s, {key}"] = round(rate, 2)
        for threads in arguments.threads:
            baseline = rates["teacher"].get(f"int8, {threads} threads")
            own = rates[name].get(f"int8, {threads} threads")
            if baseline and own:
                row[f"over_teacher_int8, {threads} threads"] = round(own / baseline, 2)
        print(json.dumps(row), flush=True)


def measure(model: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure audio-seconds a second for each number format and number of threads."""
    from nemo_models.inference.acoustic_inference import PackedEncoder, check_format

    samples = round(arguments.seconds * 16000)
    signal = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([samples])
    rates: dict[str, float] = {}
    for number_format in arguments.formats:
        try:
            check_format(number_format)
        except ValueError as error:
            print(f"{number_format}: {error}", file=sys.stderr)
            continue
        encoder = PackedEncoder(model.encoder, number_format)
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            best = float("inf")
            for round_number in range(arguments.rounds + 1):
                start = time.perf_counter()
                with torch.no_grad():
                    encoder(signal, lengths)
                if round_number:  # the first one warms up
                    best = min(best, time.perf_counter() - start)
            rates[f"{number_format}, {threads} threads"] = arguments.seconds / best
    return rates


if __name__ == "__main__":
    main()

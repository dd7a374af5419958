"""Speed of students beside their teacher, with untrained weights: the shape alone decides it.

Usage: python scripts/benchmarks/distill.py [--teacher model.nemo] [--shapes NAME … '{"layers": 3}' …]
       [--seconds 10] [--rounds 5] [--threads 1 2] [--formats float32 int8]

Takes students out of a teacher, by default of XLSR-53's size with random weights. A shape is a name of `SHAPES` or JSON
with keys of `student.shape`. Every model encodes the same noise of --seconds seconds, batch 1, through the packed
forward pass that transcribe_speech.py uses; the best of --rounds counts. Prints a line of JSON for each: parameters,
audio-seconds a second by number format and threads, the share of the time that the convolutions take, and the ratio to
the teacher's int8.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
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
    parser.add_argument("--teacher", type=Path, help="a .nemo; random weights of XLSR-53's size by default")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), help=f"JSON, or of {', '.join(SHAPES)}")
    arguments = parser.parse_args()
    shapes = {name: SHAPES.get(name) or json.loads(name) for name in arguments.shapes}

    from nemo.utils import logging

    logging.setLevel(logging.ERROR)
    from nemo_models.distillation.student import StudentShape, build_student
    from nemo_models.inference.model_loading import load_ctc_model

    teacher = load_ctc_model(arguments.teacher) if arguments.teacher else make_model(RECIPES / "xlsr_53.yaml")
    models = {"teacher": (teacher, {})}
    for name, shape in shapes.items():
        models[name] = (build_student(teacher, StudentShape(**shape)), shape)
    rates = {name: measure(model, arguments) for name, (model, _) in models.items()}
    for name, (model, shape) in models.items():
        count = sum(weight.numel() for weight in model.parameters())
        row: dict[str, Any] = {"model": name, "shape": shape, "parameters_million": round(count / 1e6, 1)}
        for key, (rate, share) in rates[name].items():
            row[f"audio_s_per_s, {key}"], row[f"share of convolutions, {key}"] = round(rate, 2), round(share, 2)
        for threads in arguments.threads:
            key = f"int8, {threads} threads"
            if key in rates["teacher"]:
                row[f"over_teacher_int8, {threads} threads"] = round(rates[name][key][0] / rates["teacher"][key][0], 2)
        print(json.dumps(row), flush=True)


def measure(model: Any, arguments: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Measure audio-seconds a second and the convolutions' share of the time, by number format and threads."""
    from nemo_models.inference.acoustic_inference import PackedEncoder, check_format
    from nemo_models.layers.convolutions import convolve_in_pieces

    samples = round(arguments.seconds * 16000)
    signal = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([samples])
    rates: dict[str, tuple[float, float]] = {}
    for number_format in arguments.formats:
        try:
            check_format(number_format)
        except ValueError as error:
            print(f"{number_format}: {error}", file=sys.stderr)
            continue
        encoder = PackedEncoder(model.encoder, number_format)
        network = encoder._network
        wave = signal[0].to(network._dtype)
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            whole = best_time(arguments.rounds, encoder, signal, lengths)
            convolutions = best_time(arguments.rounds, convolve_in_pieces, wave, network._convolutions)
            rates[f"{number_format}, {threads} threads"] = arguments.seconds / whole, convolutions / whole
    return rates


def best_time(rounds: int, run: Callable[..., object], *given: object) -> float:
    """Return the shortest of the times of a function, in seconds; one call more warms up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with torch.no_grad():
            run(*given)
        times.append(time.perf_counter() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()

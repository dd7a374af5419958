"""Times the stages of training steps on a CPU or a GPU, without waiting for the device.

A step is a sequence of stages whose ends are marked: on a CPU with the clock, on a GPU with CUDA events that are read
at the end. Hooks on the transformer's output and its gradient divide the backward pass.
"""

import resource
import time
from collections import defaultdict
from typing import Any

import torch

SAMPLE_RATE_HZ = 16_000
STAGES = ("data", "convolutions", "transformer", "loss", "optimizer")
TOP_OPERATORS = 8  # operators of a profile that are shown
NAME_LENGTH = 70  # characters; names of GPU kernels are longer


class StepMeter:
    """Counts updates after the warm-up, their audio, and the time of each stage; then profiles one more update.

    Args:
        device: `cpu` or `cuda`.
        warm_up: Updates that are not counted.
        updates: Updates that are counted.
    """

    def __init__(self, device: str, warm_up: int, updates: int) -> None:
        self._on_gpu = device == "cuda"
        self._first, self._last = warm_up, warm_up + updates
        self._done = 0
        self._marks: list[tuple[str, Any]] = []
        self._samples: list[torch.Tensor] = []
        self._padded = 0
        self._began = 0.0
        self._backward_of = "loss"
        self._profiler: Any = None
        self._report: dict[str, Any] = {}

    @property
    def steps(self) -> int:
        """Updates that a side has to make, with the profiled one."""
        return self._last + 1

    def watch(self, feature_extractor: torch.nn.Module, transformer: torch.nn.Module) -> None:
        """Mark the start and end of these parts of a model, forward and backward."""
        feature_extractor.register_forward_pre_hook(lambda *_: self.lap("data"))
        feature_extractor.register_forward_hook(lambda *_: self.lap("convolutions"))
        transformer.register_forward_hook(self._after_transformer)

    def count(self, lengths: torch.Tensor, padded: int) -> None:
        """Count a batch: samples of each utterance, and samples of the padded tensor."""
        self._samples.append(lengths.sum())  # read at the end
        self._padded += padded

    def lap(self, stage: str) -> None:
        """Mark the end of a stage."""
        self._marks.append((stage, self._now()))

    def after_backward(self) -> None:
        """Mark the end of a backward pass."""
        self.lap(self._backward_of)
        self._backward_of = "loss"

    def end_update(self) -> None:
        """Mark the end of an update, and start or stop counting and profiling after it."""
        self.lap("optimizer")
        self._done += 1
        if self._done == self._first:
            self._synchronize()
            self._marks, self._samples, self._padded = [("", self._now())], [], 0
            self._began = time.perf_counter()
        elif self._done == self._last:
            self._synchronize()
            self._report = self._summarise(time.perf_counter() - self._began)
            activities = [torch.profiler.ProfilerActivity.CPU]
            activities += [torch.profiler.ProfilerActivity.CUDA] if self._on_gpu else []
            self._profiler = torch.profiler.profile(activities=activities)
            self._profiler.start()
        elif self._profiler is not None:
            self._synchronize()
            self._profiler.stop()
            self._report["operators"] = self._rank_operators()
            self._profiler = None

    def report(self) -> dict[str, Any]:
        """Return audio seconds, seconds in all and by stage, peak bytes, and the longest operators' shares."""
        return self._report

    def _after_transformer(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        self.lap("transformer")
        if output[0].requires_grad:
            output[0].register_hook(self._before_transformer_backward)

    def _before_transformer_backward(self, gradient: torch.Tensor) -> None:
        self.lap("loss")
        self._backward_of = "transformer"

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _synchronize(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()

    def _summarise(self, seconds: float) -> dict[str, Any]:
        stages: dict[str, float] = defaultdict(float)
        for (_, before), (stage, after) in zip(self._marks, self._marks[1:], strict=False):
            stages[stage] += before.elapsed_time(after) / 1000 if self._on_gpu else after - before
        if self._on_gpu:
            memory = torch.cuda.max_memory_reserved()
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "audio_s": sum(float(samples) for samples in self._samples) / SAMPLE_RATE_HZ,
            "padded_s": self._padded / SAMPLE_RATE_HZ,
            "seconds": seconds,
            "memory": memory,
            "stages": dict(stages),
        }

    def _rank_operators(self) -> list[tuple[str, float]]:
        """Rank kernels on a GPU, torch's operators on a CPU."""
        measure, device = ("self_device_time_total", "CUDA") if self._on_gpu else ("self_cpu_time_total", "CPU")
        rows = [row for row in self._profiler.key_averages() if row.device_type.name == device]
        rows = [row for row in rows if not row.is_user_annotation]
        total = sum(getattr(row, measure) for row in rows) or 1.0
        shares = sorted(((getattr(row, measure) / total, row.key) for row in rows), reverse=True)
        return [(name[:NAME_LENGTH].replace("|", "/"), share) for share, name in shares[:TOP_OPERATORS]]


def measure_matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Measure the rate of a product of two large matrices, FLOP/s: the best of several."""
    size, repeats = (8192, 30) if device == "cuda" else (2048, 10)
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    seconds = []
    for _ in range(repeats):
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            left @ right
            end.record()
            torch.cuda.synchronize()
            seconds.append(start.elapsed_time(end) / 1000)
        else:
            began = time.perf_counter()
            left @ right
            seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)

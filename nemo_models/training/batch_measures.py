"""Measures of training batches: blank share, label entropy, utterances that CTC does not align."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nemo_models.training_data.stream import BatchInfo


def measure_labels(log_probs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Measure what a model writes; padding is ignored.

    Args:
        log_probs: Float, (B, T, labels + 1), blank last.
        lengths: Valid frames of each utterance, int64, (B,).

    Returns:
        `blank_share`, 0 to 1, and `label_entropy`, nats: two scalars on the same device.
    """
    valid = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
    frames = valid.sum().clamp(min=1)
    blank = (log_probs.argmax(dim=-1) == log_probs.shape[-1] - 1) & valid
    labels = log_probs.float().exp().mul(valid[..., None]).sum(dim=(0, 1))[:-1]
    shares = labels / labels.sum().clamp(min=torch.finfo(torch.float32).tiny)
    return {"blank_share": blank.sum() / frames, "label_entropy": torch.special.entr(shares).sum()}


def find_unalignable(targets: Tensor, target_lengths: Tensor, frames: Tensor) -> Tensor:
    """Find the utterances that have too few frames for CTC; `zero_infinity` sets their loss to 0.

    Args:
        targets: Labels, int, (B, U); values beyond each length are ignored.
        target_lengths: Number of labels of each utterance, int, (B,).
        frames: Valid frames of each utterance, int64, (B,).

    Returns:
        True for each such utterance, bool, (B,).
    """
    within = torch.arange(1, max(targets.shape[1], 1), device=targets.device) < target_lengths[:, None]
    repeats = ((targets[:, 1:] == targets[:, :-1]) & within).sum(dim=1)
    return frames < target_lengths + repeats


def read_later(flag: Tensor) -> Callable[[], bool]:
    """Copy a flag from its device without waiting.

    Args:
        flag: Tensor of one bool.

    Returns:
        Function that returns the flag, and waits if the copy has not finished.
    """
    fetched = flag.to("cpu", non_blocking=True)  # into pinned memory
    if not flag.is_cuda:
        return lambda: bool(fetched)
    arrived = torch.cuda.Event()
    arrived.record()

    def read() -> bool:
        arrived.synchronize()
        return bool(fetched)

    return read


def describe_batch(batch: Any, info: BatchInfo | None) -> str:
    """Describe the size of a batch without waiting for the device."""
    count, samples = batch[0].shape
    if info is None:
        return f"{count} utterances padded to {samples} samples"
    return f"{count} utterances, {sum(info.seconds):.1f} s of audio, longest {max(info.seconds, default=0.0):.1f} s"

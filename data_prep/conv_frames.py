"""Counts the encoder frames of audio, and the frames that CTC needs for a text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

Count = TypeVar("Count", int, Any)
"""A whole number, or a tensor of them."""

CONV_LAYERS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Kernel and stride of wav2vec 2.0's convolutions, in samples of the layer before: one frame sees 400 samples, and the
next one begins 320 samples later.

Source: fairseq `wav2vec2.py`, `conv_feature_layers = [(512,10,5)] + [(512,3,2)]*4 + [(512,2,2)]*2`, no padding."""


def count_conv_frames(samples: Count, layers: Sequence[tuple[int, int]] = CONV_LAYERS) -> Count:
    """Count the frames that convolutions without padding make of audio.

    Args:
        samples: Number of samples, from 0: a whole number, or an int64 tensor of any shape.
        layers: Kernel and stride of each convolution.

    Returns:
        Number of frames; 0 below the receptive field. A tensor gives a tensor of the same shape.
    """
    for kernel, stride in layers:
        reach = samples - kernel + stride
        # never negative before the division, which some runtimes of exported graphs round towards zero
        samples = (max(0, reach) if isinstance(reach, int) else reach.clamp(min=0)) // stride
    return samples


def measure_receptive_field(layers: Sequence[tuple[int, int]] = CONV_LAYERS) -> int:
    """Count the samples that one frame sees."""
    samples = 1
    for kernel, stride in reversed(layers):
        samples = (samples - 1) * stride + kernel
    return samples


def count_ctc_steps(labels: Sequence[Any]) -> int:
    """Count the frames that CTC needs for labels: one for each, and a blank between two equal neighbours."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))

"""Weight decay where it belongs: on matrices and kernels, not on norms, biases and single vectors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch


def spare_from_weight_decay(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Split each parameter group of an optimizer into one that decays and one that does not.

    A tensor is spared if it spans fewer than two axes: biases, gains of norms and of weight normalisation, the mask
    vector. Decay would pull a gain towards nothing, which is no simpler a function.

    Args:
        groups: As `torch.optim` takes them, with whatever settings.

    Returns:
        The same parameters with the same settings; spared ones have `weight_decay` 0. Groups without any are left out.

    Source: Loshchilov & Hutter (2019) for decay apart from the gradient; transformers' Trainer spares the same.
    """
    split = []
    for group in groups:
        parameters = list(group["params"])
        decayed = [parameter for parameter in parameters if spans_axes(parameter) >= 2]
        spared = [parameter for parameter in parameters if spans_axes(parameter) < 2]
        settings = {key: value for key, value in group.items() if key != "params"}
        if decayed:
            split.append({**settings, "params": decayed})
        if spared:
            split.append({**settings, "params": spared, "weight_decay": 0.0})
    return split


def spans_axes(tensor: torch.Tensor) -> int:
    """Axes longer than 1: 1 for the (1, 1, K) gain of weight normalisation."""
    return sum(size > 1 for size in tensor.shape)

"""Parameter groups with weight decay on matrices and kernels only, not on norms, biases and single vectors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch


def exclude_from_weight_decay(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Split each parameter group of an optimizer into one with weight decay and one without.

    A tensor with fewer than two axes longer than 1 gets no decay: biases, gains of norms and of weight normalisation,
    and the mask vector. Decay would pull a gain to 0, which does not make the function simpler.

    Args:
        groups: Parameter groups in the form that `torch.optim` takes.

    Returns:
        The same parameters with the same settings. Those without decay have `weight_decay` 0. Empty groups are left
        out.

    Source: Loshchilov & Hutter (2019) for decay apart from the gradient; transformers' Trainer excludes the same.
    """
    split = []
    for group in groups:
        parameters = list(group["params"])
        decayed = [parameter for parameter in parameters if count_axes(parameter) >= 2]
        excluded = [parameter for parameter in parameters if count_axes(parameter) < 2]
        settings = {key: value for key, value in group.items() if key != "params"}
        if decayed:
            split.append({**settings, "params": decayed})
        if excluded:
            split.append({**settings, "params": excluded, "weight_decay": 0.0})
    return split


def count_axes(tensor: torch.Tensor) -> int:
    """Count the axes longer than 1: one for the (1, 1, K) gain of weight normalisation."""
    return sum(size > 1 for size in tensor.shape)

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


def scale_by_depth(
    groups: Iterable[Mapping[str, Any]], depths: Mapping[int, int], decay: float, default_lr: float
) -> list[dict[str, Any]]:
    """Split parameter groups by depth in a network, and lower the learning rate of deeper parts.

    Args:
        groups: Parameter groups in the form that `torch.optim` takes.
        depths: Number of layers above each parameter, by its `id`; a parameter that is not in it has none above.
        decay: Share of the learning rate that remains for each layer, above 0 and up to 1.
        default_lr: Learning rate of a group without its own.

    Returns:
        The same parameters with the same settings beside `lr`.

    Source: Howard & Ruder (2018), discriminative fine-tuning.
    """
    split: list[dict[str, Any]] = []
    for group in groups:
        by_depth: dict[int, list[torch.nn.Parameter]] = {}
        for parameter in group["params"]:
            by_depth.setdefault(depths.get(id(parameter), 0), []).append(parameter)
        for depth, parameters in sorted(by_depth.items()):
            split.append({**group, "params": parameters, "lr": group.get("lr", default_lr) * decay**depth})
    return split


def measure_depths(network: torch.nn.Module) -> dict[int, int]:
    """Count the transformer layers above each parameter of transformers' wav2vec 2.0 network, by its `id`.

    All layers are above the convolutions, the projection and the mask vector; none is above the last norm.
    """
    layers = list(network.encoder.layers)  # type: ignore[union-attr,arg-type]
    depths = {id(parameter): len(layers) for parameter in network.parameters()}
    for number, layer in enumerate(layers):
        depths |= {id(parameter): len(layers) - 1 - number for parameter in layer.parameters()}
    last_norm = getattr(network.encoder, "layer_norm", None)
    if last_norm is not None and getattr(network.config, "do_stable_layer_norm", False):
        depths |= {id(parameter): 0 for parameter in last_norm.parameters()}
    return depths


def count_axes(tensor: torch.Tensor) -> int:
    """Count the axes longer than 1: one for the (1, 1, K) gain of weight normalisation."""
    return sum(size > 1 for size in tensor.shape)

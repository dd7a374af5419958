"""Dropout in a trained network: what it writes then shows how much of a text hangs on single units."""

import torch


def enable_dropout(network: torch.nn.Module, probability: float) -> None:
    """Switch a network's dropouts on, whatever their own probability, and leave all else in evaluation mode.

    The next `eval()` switches them off again, but their probabilities stay changed.

    Args:
        network: The network, changed in place.
        probability: Share of the units that are switched off, above 0 and below 1.

    Raises:
        ValueError: The network has no dropout.

    Source: the agreement under dropout of DUST (Khurana et al., 2021).
    """
    found = [module for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    if not found:
        raise ValueError(
            f"{type(network).__name__}: expected a network with dropouts, found none; set dropout_passes=0"
        )
    for module in found:
        module.p = probability
        module.train()

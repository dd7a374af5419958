"""Low-rank updates (LoRA) of an encoder: a hundredth of its weights learn, gradients and optimizer shrink likewise.

The library peft puts them in. What is ours is that NeMo's freezing leaves the original weights alone, and that a
`.nemo` holds the sum of both, so that nothing downstream knows of them. A training checkpoint (`.ckpt`) holds them
apart, and the run goes on from it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import DictConfig

UPDATE = ".lora_"
"""What the names of peft's tensors have in them."""
ORIGINAL = ".base_layer."
"""What peft puts into the names of the tensors that are updated."""


def add_lora(network: torch.nn.Module, settings: DictConfig | None) -> None:
    """Give layers of a network low-rank updates, zero at first, and freeze everything else in it.

    Args:
        network: transformers' model, with its pretrained weights; changed in place.
        settings: `r`, `alpha`, `dropout`, `target_modules` as in `conf/xlsr_hi.yaml`; `None` or `r` 0 changes nothing.

    Raises:
        ValueError: No layer has a name of `target_modules`, or peft is not installed.

    Source: Hu et al. (2021), LoRA.
    """
    if settings is None or settings.r == 0:
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model  # an extra; seconds to import
    except ModuleNotFoundError as error:
        raise ValueError(
            f"model.lora.r={settings.r} needs peft, which is not installed: "
            "pip install -c constraints.txt 'hindi-xlsr-nemo[lora]', or model.lora.r=0"
        ) from error
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
    )
    inject_adapter_in_model(config, network)
    freeze_base_weights(network)


def freeze_base_weights(network: torch.nn.Module) -> None:
    """Where a network has low-rank updates, let them learn and nothing else; otherwise change nothing."""
    names = [name for name, _ in network.named_parameters()]
    if any(UPDATE in name for name in names):
        for name, parameter in network.named_parameters():
            parameter.requires_grad = UPDATE in name


@contextmanager
def updates_merged_in_state_dict(network: torch.nn.Module) -> Iterator[None]:
    """In this context `state_dict` gives the sum of weights and updates, under the names of a network without any.

    The network itself is not touched: training goes on exactly where it was.
    """
    handle = network.register_state_dict_post_hook(_merge)
    try:
        yield
    finally:
        handle.remove()


def _merge(network: torch.nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    updated = {
        f"{prefix}{name}.weight": layer for name, layer in network.named_modules() if hasattr(layer, "get_delta_weight")
    }
    for name in [name for name in state if name.startswith(prefix)]:
        tensor = state.pop(name)
        if UPDATE in name:
            continue
        plain = name.replace(ORIGINAL, ".")
        layer = updated.get(plain)
        if layer is not None:
            with torch.no_grad():
                tensor = tensor + sum(layer.get_delta_weight(adapter) for adapter in layer.active_adapters)
        state[plain] = tensor

"""Low-rank updates (LoRA) of an encoder: about 1 % of its weights learn, and gradients and optimizer shrink as much.

The library peft adds them. This module keeps the base weights frozen when NeMo unfreezes the encoder, and merges the
updates into the weights of a `.nemo`, so that other tools read an ordinary model. A training checkpoint (`.ckpt`) holds
weights and updates separately, so that the run can be resumed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import DictConfig

UPDATE = ".lora_"
"""Part of the names of peft's tensors."""
ORIGINAL = ".base_layer."
"""What peft adds to the names of the base weights."""


def add_lora(network: torch.nn.Module, settings: DictConfig | None) -> None:
    """Add low-rank updates, zero at first, to layers of a network, and freeze all other weights in it.

    Args:
        network: transformers' model, with its pretrained weights; changed in place.
        settings: `r`, `alpha`, `dropout`, `target_modules` see `conf/finetune.yaml`; `None` or `r` 0 changes nothing.

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
            f"model.lora.r={settings.r}: expected peft to be installed; run: "
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
    """In a network with low-rank updates, train only these; change nothing in other networks."""
    names = [name for name, _ in network.named_parameters()]
    if any(UPDATE in name for name in names):
        for name, parameter in network.named_parameters():
            parameter.requires_grad = UPDATE in name


@contextmanager
def updates_merged_in_state_dict(network: torch.nn.Module) -> Iterator[None]:
    """Let `state_dict` return the sums of weights and updates, under the names of a network without updates.

    The network itself does not change, so training continues exactly.
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

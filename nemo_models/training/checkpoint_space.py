"""Whether the checkpoints of a training will fit on the disk: a full disk would end it hours later."""

import shutil
from pathlib import Path

from nemo.core.classes import NeuralModule
from omegaconf import DictConfig

from nemo_models.weightless import weightless_encoders

BYTES_PER_WEIGHT = 4  # weights, and each of Adam's two averages, are float32 whatever the precision
ADAM_AVERAGES = 2
GIB = 2**30


def find_missing_space(cfg: DictConfig) -> str | None:
    """Compare what the checkpoints will take with what is free where they go.

    Args:
        cfg: The whole configuration of a training.

    Returns:
        What is wrong, or `None`. What a stopped run has written there already counts as free.
    """
    if not cfg.exp_manager.get("create_checkpoint_callback", True):
        return None
    folder = Path(cfg.exp_manager.exp_dir) / cfg.exp_manager.name
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".ckpt", ".nemo", ".partial"))
    needed = estimate_checkpoint_bytes(cfg) - there
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free >= needed:
        return None
    return f"{existing}: {free / GIB:.1f} GiB free, the checkpoints take about {needed / GIB:.1f} GiB"


def estimate_checkpoint_bytes(cfg: DictConfig) -> int:
    """Estimate what a training's checkpoints take at their most, in bytes.

    That is `save_top_k` of the best and one more while it takes the place of the worst, the one to resume from and its
    successor while that is written, each with the optimizer's state, and the `.nemo`.
    """
    with weightless_encoders():
        encoder = NeuralModule.from_config_dict(cfg.model.encoder)
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    learned = sum(parameter.numel() for parameter in encoder.parameters() if parameter.requires_grad)
    kept = int(cfg.exp_manager.checkpoint_callback_params.get("save_top_k", 3))
    checkpoint = BYTES_PER_WEIGHT * (weights + ADAM_AVERAGES * learned)
    return (max(kept, 0) + 3) * checkpoint + BYTES_PER_WEIGHT * weights

"""Checks that the checkpoints of a training fit on the disk: a full disk would end the training hours later."""

import shutil
from pathlib import Path

from nemo.core.classes import NeuralModule
from omegaconf import DictConfig

from nemo_models.layers.lora import add_lora
from nemo_models.layers.meta_init import encoder_device, encoders_on_meta

BYTES_PER_WEIGHT = 4  # weights and Adam's two averages are float32 at any precision
ADAM_AVERAGES = 2
GIB = 2**30


def find_missing_space(cfg: DictConfig) -> str | None:
    """Compare the space that the checkpoints need with the free space of their disk.

    Args:
        cfg: The whole configuration of a training.

    Returns:
        The problem as text, or `None`. Files that a stopped run already wrote there count as free.
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
    return f"{existing}: found {free / GIB:.1f} GiB free, expected about {needed / GIB:.1f} GiB for the checkpoints"


def estimate_checkpoint_bytes(cfg: DictConfig) -> int:
    """Estimate the largest size of a training's checkpoints, in bytes.

    That is: the `save_top_k` best and one more while it replaces the worst (with -1, one for every validation), the one
    to resume from and its successor while that is written, each with the optimizer's state, and the `.nemo`. The head
    is too small to count.
    """
    with encoders_on_meta():
        encoder = NeuralModule.from_config_dict(cfg.model.encoder)
        merged = sum(parameter.numel() for parameter in encoder.parameters())
        if cfg.model.get("lora") and cfg.model.lora.r:
            with encoder_device():
                add_lora(encoder.network, cfg.model.lora)
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    learned = sum(parameter.numel() for parameter in encoder.parameters() if parameter.requires_grad)
    kept = int(cfg.exp_manager.checkpoint_callback_params.get("save_top_k", 3))
    checkpoint = BYTES_PER_WEIGHT * (weights + ADAM_AVERAGES * learned)
    best = count_validations(cfg.trainer) if kept < 0 else kept + 1
    return (best + 2) * checkpoint + BYTES_PER_WEIGHT * merged


def count_validations(trainer: DictConfig) -> int:
    """Count the validations of a whole training.

    Args:
        trainer: Lightning's arguments. An integer `val_check_interval` counts batches, in the whole training if
            `check_val_every_n_epoch` is null, else in an epoch; a float is a share of an epoch. An update takes
            `accumulate_grad_batches` batches. An epoch without `limit_train_batches` counts as endless.
    """
    batches = trainer.max_steps * (trainer.get("accumulate_grad_batches") or 1)
    limit, interval = trainer.get("limit_train_batches"), trainer.get("val_check_interval") or 1.0
    epoch = limit if isinstance(limit, int) else batches
    every = max(1, int(interval * epoch) if isinstance(interval, float) else interval)
    epochs_between = trainer.get("check_val_every_n_epoch", 1)
    if epochs_between is None:
        return batches // every
    return batches // (epoch * epochs_between) * (epoch // every) + batches % (epoch * epochs_between) // every

"""Checks that the checkpoints of a training fit on the disk: a full disk would end the training hours later."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo.core.classes import NeuralModule

from nemo_models.layers.lora import add_lora
from nemo_models.layers.meta_init import encoder_device, encoders_on_meta

BYTES_PER_WEIGHT = 4  # weights and Adam's two averages are float32 at any precision
ADAM_AVERAGES = 2
GIB = 2**30


@dataclass(frozen=True)
class EncoderWeights:
    """Numbers of an encoder's weights; the head is too small to count.

    Attributes:
        exported: In the `.nemo`, where low-rank updates are merged.
        trained: In a checkpoint of the training.
        learned: The part of these that the optimizer updates.
    """

    exported: int
    trained: int
    learned: int


def find_missing_space(folder: Path, checkpoint_bytes: int) -> str | None:
    """Compare the space that the checkpoints need with the free space of their disk.

    Args:
        folder: The run's folder. Files that a stopped run already wrote there count as free.
        checkpoint_bytes: The space that the checkpoints need.

    Returns:
        The problem as text, or `None`.
    """
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".ckpt", ".nemo", ".partial"))
    needed = checkpoint_bytes - there
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free >= needed:
        return None
    return f"{existing}: found {free / GIB:.1f} GiB free, expected about {needed / GIB:.1f} GiB for the checkpoints"


def count_encoder_weights(encoder: Any, lora: Any = None) -> EncoderWeights:
    """Count an encoder's weights without computing one.

    Args:
        encoder: Configuration of the encoder.
        lora: Settings of low-rank updates, see `layers.lora.add_lora`; `None` or `r=0`: none.
    """
    with encoders_on_meta():
        built = NeuralModule.from_config_dict(encoder)
        exported = sum(parameter.numel() for parameter in built.parameters())
        if lora and lora.r:
            with encoder_device():
                add_lora(built.network, lora)
    parameters = list(built.parameters())
    learned = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return EncoderWeights(exported, sum(parameter.numel() for parameter in parameters), learned)


def estimate_checkpoint_bytes(weights: EncoderWeights, best: int) -> int:
    """Estimate the largest size of a training's checkpoints, in bytes.

    That is: the best ones, the one to resume from and its successor while that is written, each with the optimizer's
    state, and the `.nemo`.

    Args:
        weights: Numbers of weights.
        best: Most checkpoints that are kept at a time because they are the best.
    """
    checkpoint = BYTES_PER_WEIGHT * (weights.trained + ADAM_AVERAGES * weights.learned)
    return (best + 2) * checkpoint + BYTES_PER_WEIGHT * weights.exported


def count_validations(
    max_steps: int,
    accumulate_grad_batches: int | None = 1,
    limit_train_batches: int | float | None = None,
    val_check_interval: int | float | None = 1.0,
    check_val_every_n_epoch: int | None = 1,
) -> int:
    """Count the validations of a whole training, from Lightning's arguments.

    Args:
        max_steps: Updates in the training.
        accumulate_grad_batches: Batches in an update.
        limit_train_batches: Batches in an epoch; an epoch without a number of them counts as endless.
        val_check_interval: An integer counts batches, in the whole training if `check_val_every_n_epoch` is `None`,
            else in an epoch; a float is a share of an epoch.
        check_val_every_n_epoch: Epochs from one with validations to the next.
    """
    batches = max_steps * (accumulate_grad_batches or 1)
    interval = val_check_interval or 1.0
    epoch = limit_train_batches if isinstance(limit_train_batches, int) else batches
    every = max(1, int(interval * epoch) if isinstance(interval, float) else interval)
    if check_val_every_n_epoch is None:
        return batches // every
    span = epoch * check_val_every_n_epoch
    return batches // span * (epoch // every) + batches % span // every

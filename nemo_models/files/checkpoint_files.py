"""A training's checkpoints as files: complete or absent, and read without running code from them.

Lightning pickles a checkpoint into memory, writes it into the system's temporary folder and moves it to its place. When
it resumes a run, it unpickles any checkpoint in the run's folder, so a file copied from elsewhere could run code.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

from data_prep.atomic import open_atomic
from nemo_models.files.tensor_files import load_tensors

NAMED_CLASSES = (DictConfig, ListConfig, ContainerMetadata, Metadata, AnyNode, Any, defaultdict, dict, list, int)
"""Classes in a checkpoint of this project beyond tensors: the model's configuration, and counts by device."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes and reads Lightning's checkpoints."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint, which appears complete or not at all.

        Raises:
            OSError: The file cannot be written, such as on a full disk; the message names it.
        """
        with open_atomic(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | Path, map_location: Any | None = None) -> dict[str, Any]:
        """Read a checkpoint onto the CPU.

        Raises:
            FileNotFoundError: It does not exist.
            ValueError: It is damaged, or names a class that checkpoints of this project do not contain.
        """
        return load_training_checkpoint(Path(path))


def load_training_checkpoint(path: Path) -> dict[str, Any]:
    """Read a `.ckpt` of a training onto the CPU, without running code from it; raises what `load_tensors` raises."""
    checkpoint: dict[str, Any] = load_tensors(path, NAMED_CLASSES)
    return checkpoint

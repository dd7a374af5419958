"""A training's checkpoints as files: whole or not there at all, and read without running anything that is in them.

Lightning pickles a checkpoint into memory, from there into the system's folder for temporary files, and moves it to its
place, and it unpickles whatever lies in the run's folder when a run goes on. A checkpoint that was copied there from
elsewhere would be trusted like one of the run's own.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

from nemo_models.files.tensor_files import load_tensors

NAMED_CLASSES = (DictConfig, ListConfig, ContainerMetadata, Metadata, AnyNode, Any, defaultdict, dict, list, int)
"""What a checkpoint of this project names beyond tensors: the model's configuration, and counts by device."""


class CheckpointFiles(TorchCheckpointIO):
    """Where Lightning leaves checkpoints and takes them up again."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint beside its place, and move it there once it is on the disk."""
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.partial")
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(final)

    def load_checkpoint(self, path: str | Path, map_location: Any | None = None) -> dict[str, Any]:
        """Read a checkpoint onto the CPU.

        Raises:
            FileNotFoundError: It is not there.
            ValueError: It is damaged, or names a class that no checkpoint of this project names.
        """
        return load_training_checkpoint(Path(path))


def load_training_checkpoint(path: Path) -> dict[str, Any]:
    """Read a `.ckpt` of a training onto the CPU, without running anything from it; raises as `load_tensors`."""
    checkpoint: dict[str, Any] = load_tensors(path, NAMED_CLASSES)
    return checkpoint

"""A record of the data that a run was trained on, beside its checkpoints.

The same command resumes a run, and does nothing if the run is finished. With other data that would look like a
successful training. The record tells the two cases apart.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

from data_prep.manifest import write_json
from nemo_models.training.sources import DATA_KEYS, list_sources

logger = logging.getLogger(__name__)


class DataRecord(Callback):
    """Writes the record when training starts, and explains a run in which no training took place.

    Args:
        path: The record, JSON.
        hashes: Hashes of the training data; see `hash_data`.
    """

    def __init__(self, path: Path, hashes: list[str]) -> None:
        self._path, self._hashes = path, hashes
        self.has_started = False

    @property
    def folder(self) -> Path:
        """The run's folder of checkpoints."""
        return self._path.parent

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.has_started = True
        if not trainer.is_global_zero:
            return
        if self.is_other_data():
            logger.warning("%s: the run resumes with other training data than before", self._path.parent.parent)
        write_json(self._path, {"train_ds": self._hashes})

    def is_other_data(self) -> bool:
        """Whether the run was trained on other data than is given now; `False` if there is no record."""
        return self._path.is_file() and json.loads(self._path.read_bytes())["train_ds"] != self._hashes

    def explain_no_training(self, updates: int) -> str:
        """Say why no training took place, and what to do.

        Args:
            updates: Updates that the run already has.
        """
        folder = self._path.parent.parent
        if self.is_other_data():
            return (
                f"{folder}: found a finished run ({updates} updates) that was trained on other data, expected a new "
                "folder; nothing was trained. Change exp_manager.exp_dir or name to train on the new data, or raise "
                "trainer.max_steps to continue this run with it"
            )
        return f"{folder}: this run is finished ({updates} updates); nothing was left to train"


def hash_data(train_ds: DictConfig) -> list[str]:
    """Hash the manifests, or the descriptions of shards, that training data is read from.

    Args:
        train_ds: `model.train_ds`.

    Returns:
        SHA-256 of each file's content in sorted order, so that moved files are still the same data. Of kinds of data
        that only Lhotse reads, the hash of their settings.
    """
    hashes = []
    for source in list_sources(train_ds):
        with source.path.open("rb") as file:
            hashes.append(_hash_file(file))
    if not hashes:
        settings: Any = {key: train_ds.get(key) for key in DATA_KEYS}
        hashes.append(hashlib.sha256(OmegaConf.to_yaml(settings).encode()).hexdigest())
    return sorted(hashes)


def _hash_file(file: Any) -> str:
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()

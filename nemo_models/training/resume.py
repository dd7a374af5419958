"""Exact resume after a kill: a checkpoint every n updates, and the position in the data.

Lightning keeps the weights, the optimizer, the schedule and the freeze counter. This module keeps the position in the
data. It keeps no state of random numbers: they are seeded at each batch, from the seed and the batch's number. A
resumed run is therefore the same even if other code drew random numbers, or the number of workers has changed. Only
shards depend on the number of workers, because the workers read them themselves.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from data_prep.atomic import remove_leftovers
from nemo_models.training_data.seeding import seed_all
from nemo_models.training_data.stream import BatchInfo, StreamPosition, TrainingStream

logger = logging.getLogger(__name__)


class ResumeCheckpoint(Callback):
    """Writes the checkpoint that a run resumes from, and makes a resumed run equal to an uninterrupted one.

    The checkpoint is written between two batches, every n updates and after each validation. Its name (`*last.ckpt`) is
    the one that NeMo's experiment manager looks for. Each one replaces the one before.

    Args:
        path: The checkpoint.
        stream: The training data; `None` if Lhotse does not read them: their order then restarts on resuming.
        every_n_updates: Optimizer updates from one checkpoint to the next.
        seed: Seed of dropout, layer drop and masks.
    """

    def __init__(self, path: Path, stream: TrainingStream | None, every_n_updates: int, seed: int) -> None:
        self._path, self._stream, self._every, self._seed = path, stream, every_n_updates, seed
        self._next = StreamPosition()
        self._is_due = False
        self._is_between = False
        self._is_updated = False
        self._seen_step = 0

    def state_dict(self) -> dict[str, Any]:
        return {"next": list(self._next), "readers": self._stream.readers if self._stream is not None else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._next = StreamPosition(*state_dict["next"])
        if self._stream is None:
            return
        self._stream.start_at(self._next)
        if self._stream.readers is not None:
            logger.info("resuming at batch %d: shards are read again up to it", self._next.number + 1)
        if self._stream.readers != (before := state_dict.get("readers", self._stream.readers)):
            logger.warning(
                "model.train_ds.num_workers=%s: expected %s, as before the resume (None: no shards); shards are now "
                "read in another order, so this pass repeats some utterances and leaves others out",
                self._stream.readers,
                before,
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen_step = trainer.global_step
        if trainer.is_global_zero:
            self._remove_lost_checkpoints(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._is_due and self._is_updated:  # not while gradients accumulate: a checkpoint does not hold them
            self._is_between = True
            trainer.save_checkpoint(self._path)
            self._is_between = self._is_due = False
        # a run that resumes between two batches starts with training: else NeMo skips the validation after this batch
        trainer.fit_loop.epoch_loop.restarting = False
        if (info := info_of(batch)) is not None:
            self._next = info.position
        mixed = seed_all(self._seed, self._next.number)  # the same in all processes: each drops the same layers
        if torch.cuda.is_available():
            torch.cuda.manual_seed(mixed + trainer.global_rank)  # each drops different activations

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._next = self._next.following()
        self._is_updated = trainer.global_step != self._seen_step
        self._seen_step = trainer.global_step
        self._is_due |= self._is_updated and trainer.global_step % self._every == 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._is_due |= not trainer.sanity_checking

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self._path)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if not self._is_between:
            return
        counts = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for count in (counts["total"], counts["current"]):  # the batch was fetched, but has not started
            count.update(dict.fromkeys(("ready", "started", "processed"), count["completed"]))

    def _remove_lost_checkpoints(self, trainer: Trainer) -> None:
        """Remove what a killed run wrote after the checkpoint that this one resumes from: it will write it again."""
        for partial in self._path.parent.glob(".*.ckpt.partial"):
            partial.unlink()
        remove_leftovers(self._path.parent)
        if not self._path.exists():
            return
        known = {Path(path) for callback in trainer.checkpoint_callbacks for path in callback.best_k_models}  # type: ignore[attr-defined]
        for path in self._path.parent.glob("*--*.ckpt"):  # the names of NeMo's experiment manager for the best ones
            if path not in known and path.stat().st_mtime_ns > self._path.stat().st_mtime_ns:
                path.unlink()


def info_of(batch: Any) -> BatchInfo | None:
    """Return the info of a batch if the batch comes from a `TrainingStream`."""
    return batch[4] if len(batch) > 4 and isinstance(batch[4], BatchInfo) else None

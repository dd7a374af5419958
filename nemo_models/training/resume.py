"""What lets a killed training end as if it had not been: a checkpoint at every n updates.

Weights, optimizer, schedule and the freeze counter are Lightning's to keep. The place in the data is kept here, and no
state of random numbers at all: they are seeded anew at each batch, from the seed and the batch's number. So it does not
matter what else drew from them, nor how many workers there were when the run was killed; of shards alone, which the
workers read for themselves, the order depends on their number.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from nemo_models.training_data.stream import BatchNote, Place, TrainingStream, seed_all

logger = logging.getLogger(__name__)


class ResumeCheckpoint(Callback):
    """Writes the checkpoint that a run goes on from, and sees to it that a resumed run does what this one would.

    It is written between two batches, every so many updates and after each validation, under the name by which NeMo's
    experiment manager finds it (`*last.ckpt`), in the place of the one before.

    Args:
        path: The checkpoint.
        stream: The training data; `None` where they are not Lhotse's, whose order then begins anew on resuming.
        every_n_updates: Optimizer updates from one to the next.
        seed: Of dropout, layer drop and masks.
    """

    def __init__(self, path: Path, stream: TrainingStream | None, every_n_updates: int, seed: int) -> None:
        self._path, self._stream, self._every, self._seed = path, stream, every_n_updates, seed
        self._next = Place()
        self._is_due = False
        self._is_between = False
        self._is_updated = False
        self._seen_step = 0

    def state_dict(self) -> dict[str, Any]:
        return {"next": list(self._next), "readers": self._stream.readers if self._stream is not None else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._next = Place(*state_dict["next"])
        if self._stream is None:
            return
        self._stream.start_at(self._next)
        if self._stream.readers is not None:
            logger.info("going on at batch %d: shards are read again up to it", self._next.number + 1)
        if self._stream.readers != (before := state_dict.get("readers", self._stream.readers)):
            logger.warning(
                "model.train_ds.num_workers is %s, and was %s (None: no shards): what is read from shards comes in "
                "another order now, some of it twice in this pass and some not at all",
                self._stream.readers,
                before,
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen_step = trainer.global_step
        if trainer.is_global_zero:
            self._remove_lost_checkpoints(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._is_due and self._is_updated:  # no gradients are being accumulated, which nobody would save
            self._is_between = True
            trainer.save_checkpoint(self._path)
            self._is_between = self._is_due = False
        # what resumes between two batches begins with training: NeMo would leave out a validation after this batch too
        trainer.fit_loop.epoch_loop.restarting = False
        if (note := note_of(batch)) is not None:
            self._next = note.place
        mixed = seed_all(self._seed, self._next.number)  # the same on all processes: each drops the same layers
        if torch.cuda.is_available():
            torch.cuda.manual_seed(mixed + trainer.global_rank)  # but not the same of its activations

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
        for count in (counts["total"], counts["current"]):  # the batch that has just been fetched is not under way yet
            count.update(dict.fromkeys(("ready", "started", "processed"), count["completed"]))

    def _remove_lost_checkpoints(self, trainer: Trainer) -> None:
        """Remove what a killed run wrote behind the checkpoint that this one goes on from: it will write it again."""
        for partial in self._path.parent.glob(".*.ckpt.partial"):
            partial.unlink()
        if not self._path.exists():
            return
        known = {Path(path) for callback in trainer.checkpoint_callbacks for path in callback.best_k_models}  # type: ignore[attr-defined]
        for path in self._path.parent.glob("*--*.ckpt"):  # as NeMo's experiment manager names the best
            if path not in known and path.stat().st_mtime_ns > self._path.stat().st_mtime_ns:
                path.unlink()


def note_of(batch: Any) -> BatchNote | None:
    """The note of a batch, where it is one of a `TrainingStream`."""
    return batch[4] if len(batch) > 4 and isinstance(batch[4], BatchNote) else None

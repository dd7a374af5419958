"""Reports failures that every training hides: updates that are not finite, unreadable audio, memory that runs out.

A NaN destroys all weights in one update, and unreadable audio is left out. Both are measured on the device and read
later, so that the host does not wait: the check of an update's gradient is read during the next update.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.distributed.tensor import DTensor

from nemo_models.training.batch_measures import describe_batch, read_later
from nemo_models.training.resume import info_of
from nemo_models.training_data.stream import BatchInfo
from nemo_models.training_data.utterance_names import describe_utterances

logger = logging.getLogger(__name__)


class TrainingStopped(ValueError):
    """Training ended because of a problem; the message says why and what to change."""


class Update(NamedTuple):
    """An update whose result has not been read from the device.

    Attributes:
        number: Number of updates before it.
        losses: Loss of each of its batches, scalar, with the batch's info.
        is_finite: Function that returns whether its gradient is finite; waits if the device has not finished.
    """

    number: int
    losses: list[tuple[Tensor, BatchInfo | None]]
    is_finite: Callable[[], bool]


class UpdateWatch(Callback):
    """Counts updates and utterances that are left out, names their cause, and ends a training that cannot go on.

    Args:
        max_bad_updates: Number of updates in a row with a NaN or infinite loss or gradient that ends the training.
    """

    def __init__(self, max_bad_updates: int) -> None:
        self._max_bad_updates = max_bad_updates
        self.counts = {"bad_updates": 0, "unreadable_utterances": 0}
        self._bad_in_a_row = 0
        self._is_due = False
        self._losses: list[tuple[Tensor, BatchInfo | None]] = []  # losses of this update's batches
        self._unread: list[Update] = []
        self._info: BatchInfo | None = None  # info of the current batch
        self._doing = "before the first batch"

    def state_dict(self) -> dict[str, Any]:
        self._read_updates(unread=0)
        return {"counts": self.counts, "bad_in_a_row": self._bad_in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts, self._bad_in_a_row = dict(state_dict["counts"]), state_dict["bad_in_a_row"]

    def on_train_batch_start(self, trainer: Any, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        batches = trainer.fit_loop.total_batch_idx  # `batch_idx` restarts at each epoch, which may be short
        self._is_due = (batches + 1) % trainer.log_every_n_steps == 0
        self._info = info = info_of(batch)
        self._doing = f"at update {trainer.global_step + 1}, in a batch of {describe_batch(batch, info)}"
        if info is not None and info.lost:
            self.counts["unreadable_utterances"] += len(info.lost)
            logger.warning("left out because the audio is unreadable: %s", describe_utterances(info.lost))

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *args: Any) -> None:
        self._doing = f"in validation, in a batch of {describe_batch(batch, None)}"

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._losses.append((loss.detach(), self._info))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        losses, self._losses = self._losses, []
        precision = trainer.precision_plugin
        if isinstance(precision, MixedPrecision) and precision.scaler is not None:
            # float16's scaler expects infinite gradients and skips them: only the loss shows bad data
            is_finite = torch.stack([torch.isfinite(loss).all() for loss, _ in losses]).all()
            self._unread.append(Update(trainer.global_step, losses, read_later(is_finite)))
            self._read_updates(unread=1)
            return
        gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
        norm = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])
        is_finite = torch.isfinite(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        self._unread.append(Update(trainer.global_step, losses, read_later(is_finite)))
        if all(group.get("fused") for group in optimizer.param_groups) and not isinstance(norm, DTensor):
            optimizer.found_inf = (~is_finite).float()  # type: ignore[attr-defined]  # 1 = the optimizer changes nothing
        elif not bool(is_finite):
            optimizer.zero_grad(set_to_none=True)  # no gradients, no change; the same in all processes
        self._read_updates(unread=1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._read_updates(unread=0)

    def explain_memory_error(self, error: BaseException) -> str:
        """Describe the batch in which memory ran out, and what to change.

        Args:
            error: The error that torch raised.
        """
        if "validation" in self._doing:
            remedy = "lower model.validation_ds.batch_size"
        else:
            remedy = (
                "lower model.train_ds.batch_duration (and raise trainer.accumulate_grad_batches by the same factor), "
                "lower model.train_ds.max_duration if one long utterance is the cause, or set "
                "model.encoder.gradient_checkpointing=true"
            )
        return f"out of memory {self._doing}: {remedy} ({str(error).splitlines()[0] if str(error) else 'no details'})"

    def _read_updates(self, unread: int) -> None:
        """Read the results of pending updates, except the last `unread` ones."""
        while len(self._unread) > unread:
            update = self._unread.pop(0)
            if update.is_finite():
                self._bad_in_a_row = 0
            else:
                self._count_bad(update.losses, update.number)

    def _count_bad(self, losses: list[tuple[Tensor, BatchInfo | None]], step: int) -> None:
        self.counts["bad_updates"] += 1
        self._bad_in_a_row += 1
        bad = [info for loss, info in losses if not bool(torch.isfinite(loss).all())]
        what = "loss" if bad else "gradient"
        names = [name for info in (bad or [info for _, info in losses]) if info is not None for name in info.names]
        utterances = describe_utterances(names, limit=20) or "(unknown without model.train_ds.use_lhotse)"
        message = f"update {step + 1} skipped: NaN or infinite {what}, from one of these utterances: {utterances}"
        if self._bad_in_a_row >= self._max_bad_updates:
            raise TrainingStopped(
                f"{message}; {self._bad_in_a_row} in a row reach watch.max_bad_updates; check these utterances, or "
                "lower the learning rate"
            )
        logger.warning("%s (%d so far)", message, self.counts["bad_updates"])

"""The progress of a training in updates: a bar in a terminal, else a line from time to time.

Lightning's bar counts the batches of its epochs, which mean nothing here: the training data is one endless stream. In a
log file it also writes a line for each batch.
"""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar

from data_prep.progress import ProgressBar

SECONDS_BETWEEN_LINES = 15.0  # where standard error is not a terminal


class UpdateProgress(LightningProgressBar):
    """Shows updates done, loss and remaining time, and a line with the results of each validation."""

    def __init__(self) -> None:
        super().__init__()
        self._is_enabled = True
        self._bar: ProgressBar | None = None
        self._validation: ProgressBar | None = None
        self._printed_at = 0.0

    def disable(self) -> None:
        """Overrides Lightning's method, which it calls in every process but the first."""
        self._is_enabled = False

    def enable(self) -> None:
        """Overrides Lightning's method."""
        self._is_enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_enabled:
            self._bar = ProgressBar(
                total=trainer.max_steps, initial=trainer.global_step, unit=" updates", desc="training", disable=None
            )
            self._printed_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is None:
            return
        # reading the loss waits for the GPU: only as often as it is logged
        if (trainer.fit_loop.total_batch_idx + 1) % trainer.log_every_n_steps == 0:
            loss = trainer.callback_metrics.get("train_loss")
            if loss is not None:
                self._bar.set_postfix(loss=f"{float(loss):.3g}", refresh=False)
                self._print_update(trainer, float(loss))
        if not self._bar.disable:
            self._bar.update(trainer.global_step - self._bar.n)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None:
            self._bar.clear()  # the sample of the output is logged on this line

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._bar is None:
            return
        if self._validation is None:  # after the first batch, whose sample of the output is in the log
            total = sum(trainer.num_val_batches)
            self._validation = ProgressBar(total=total, unit=" batches", desc="validation", leave=False, disable=None)
        self._validation.update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._validation is not None:
            self._validation.close()
            self._validation = None
        if self._bar is not None and not trainer.sanity_checking:
            results = [
                f"{name} {float(value):.4g}" for name, value in trainer.callback_metrics.items() if "val_" in name
            ]
            ProgressBar.write(f"update {trainer.global_step} of {trainer.max_steps}: {', '.join(results)}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _print_update(self, trainer: Trainer, loss: float) -> None:
        assert self._bar is not None
        if self._bar.disable and time.monotonic() - self._printed_at >= SECONDS_BETWEEN_LINES:
            share = trainer.global_step / trainer.max_steps
            print(f"{share:4.0%} | update {trainer.global_step} of {trainer.max_steps}, loss {loss:.3g}", flush=True)
            self._printed_at = time.monotonic()

    def _close(self) -> None:
        for bar in (self._validation, self._bar):
            if bar is not None:
                bar.close()
        self._bar = self._validation = None

"""Logs a sample of the model's output: one reference and hypothesis at each validation, of the same utterance.

NeMo's metric logs a pair for every validation batch and for every logged training step. In these thousands of lines the
progress of the model is hard to see.
"""

from typing import Any

from lightning.pytorch import Callback, Trainer


class LogSamplePredictions(Callback):
    """Lets NeMo's metric log a pair for the first batch of each validation dataset only."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.wer.log_prediction = False

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        pl_module.wer.log_prediction = batch_idx == 0 and bool(pl_module.cfg.get("log_prediction"))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.wer.log_prediction = False

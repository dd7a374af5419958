"""What the model writes, in the log: one reference and hypothesis at each validation, of the same utterance each time.

NeMo's metric logs a pair for every batch of validation and at every logged step of training: thousands of lines, in
which nobody sees a model learn.
"""

from typing import Any

from lightning.pytorch import Callback, Trainer


class SampleTexts(Callback):
    """Lets NeMo's metric log its pair for the first batch of each validation set, and for no other."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.wer.log_prediction = False

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        pl_module.wer.log_prediction = batch_idx == 0 and bool(pl_module.cfg.get("log_prediction"))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.wer.log_prediction = False

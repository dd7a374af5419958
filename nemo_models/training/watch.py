"""Reports failures that a fine-tuning with CTC hides, with the utterances that caused them.

CTC's `zero_infinity` hides utterances that CTC does not align, and a model that only writes blanks can run for days.
Both are measured on the device and read at each logged step.
"""

import logging
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from nemo_models.training.batch_measures import find_unalignable, measure_labels
from nemo_models.training.resume import info_of
from nemo_models.training.update_watch import TrainingStopped, UpdateWatch
from nemo_models.training_data.stream import BatchInfo
from nemo_models.training_data.utterance_names import describe_utterances

logger = logging.getLogger(__name__)

COLLAPSE_CAUSES = (
    "likely causes: the learning rate is too high (model.optim_param_groups), the encoder was unfrozen too early "
    "(model.freeze_updates), masks or dropout are too strong, or the texts do not match the audio"
)


class TrainingWatch(UpdateWatch):
    """Reports failures that a training of an `XLSRCTCModel` would hide, and ends the training if asked to.

    Logs `train_blank_share` (share of frames whose best label is the blank) and `train_label_entropy` (nats; entropy of
    the labels beside the blank, 0 if the model only uses one) of this process's batches.

    Args:
        max_bad_updates: Number of updates in a row with a NaN or infinite loss or gradient that ends the training.
        collapse_blank_share: Share of blank frames, 0 to 1, from which the model counts as collapsed.
        collapse_updates: Number of updates in a row above that share that count as a collapse.
        stop_on_collapse: Whether a collapse ends the training.
    """

    def __init__(
        self, max_bad_updates: int, collapse_blank_share: float, collapse_updates: int, stop_on_collapse: bool
    ) -> None:
        super().__init__(max_bad_updates)
        self._blank_share, self._collapse_updates = collapse_blank_share, collapse_updates
        self._stop_on_collapse = stop_on_collapse
        self.counts["hidden_utterances"] = 0
        self._blank_since: int | None = None
        self._lengths: Tensor | None = None
        self._measured: dict[str, Tensor] = {}
        self._hidden: list[tuple[Tensor, BatchInfo | None]] = []  # since the last logged step

    def state_dict(self) -> dict[str, Any]:
        self._name_hidden()
        return {**super().state_dict(), "blank_since": self._blank_since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._blank_since = state_dict["blank_since"]

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.encoder.register_forward_hook(self._see_frames)
        pl_module.decoder.register_forward_hook(self._see_log_probs)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._lengths is not None:
            self._hidden.append((find_unalignable(batch[2], batch[3], self._lengths), info_of(batch)))
        if self._is_due:
            pl_module.log_dict({f"train_{name}": value for name, value in self._measured.items()})
            self._name_hidden()
            if "blank_share" in self._measured:
                self._judge(float(self._measured["blank_share"]), trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        self._name_hidden()

    def _see_frames(self, module: torch.nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        self._lengths = output[1].detach() if module.training else None

    def _see_log_probs(self, module: torch.nn.Module, args: Any, output: Tensor) -> None:
        if self._is_due and module.training and self._lengths is not None:
            self._measured = measure_labels(output.detach(), self._lengths)

    def _name_hidden(self) -> None:
        hidden, self._hidden = self._hidden, []
        if not hidden:
            return
        flags = torch.cat([flag for flag, _ in hidden]).tolist()
        names = [name for flag, info in hidden for name in (info.names if info else ["(unknown name)"] * len(flag))]
        found = [name for name, flag in zip(names, flags, strict=True) if flag]
        if found:
            self.counts["hidden_utterances"] += len(found)
            logger.warning(
                "loss set to 0 for utterances with more labels than frames: %s (%d so far); augmentation can make "
                "audio too short for its text",
                describe_utterances(found),
                self.counts["hidden_utterances"],
            )

    def _judge(self, blank_share: float, step: int) -> None:
        if blank_share < self._blank_share:
            self._blank_since = None
            return
        self._blank_since = step if self._blank_since is None else self._blank_since
        if step - self._blank_since < self._collapse_updates:
            return
        message = (
            f"the model has collapsed: {blank_share:.1%} of the frames are blank, from update {self._blank_since} to "
            f"{step}; {COLLAPSE_CAUSES}"
        )
        if self._stop_on_collapse:
            raise TrainingStopped(message)
        logger.warning(message)
        self._blank_since = step  # warn again after collapse_updates more

"""Reports failures of a pre-training that the loss does not show: it also falls if the task has become trivial.

Everything is measured on the device, and read at each logged step.
"""

import logging
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from nemo_models.training.resume import info_of
from nemo_models.training.update_watch import TrainingStopped, UpdateWatch
from nemo_models.training_data.stream import BatchInfo
from nemo_models.training_data.utterance_names import describe_utterances

logger = logging.getLogger(__name__)

# What the curves show, see `TrainingCurves`.
PANELS = {
    "loss": ("train_loss", "val_loss"),
    "accuracy": ("train_accuracy", "val_accuracy"),
    "learning rate": ("learning_rate",),
    "code perplexity": ("train_perplexity",),
}
ALIKE = 0.02  # smallest difference of the mean cosines with targets and with negatives that counts as learnt
TRIVIAL_ACCURACY = 0.995  # share of masked frames; no published pre-training comes near it


class PretrainingWatch(UpdateWatch):
    """Reports failures that a pre-training of an `XLSRPretrainingModel` would hide, and ends it if asked to.

    Logs `train_perplexity_0` … (of each codebook group), `train_accuracy`, `train_positive_similarity`,
    `train_negative_similarity` and the parts of the loss, of this process's micro-batches.

    Args:
        max_bad_updates: Number of updates in a row with a NaN or infinite loss or gradient that ends the training.
        collapse_perplexity: Perplexity of a codebook group, in entries, below which it counts as collapsed.
        collapse_updates: Number of updates in a row with the same fault that count as a collapse.
        stop_on_collapse: Whether a collapse ends the training.
    """

    def __init__(
        self, max_bad_updates: int, collapse_perplexity: float, collapse_updates: int, stop_on_collapse: bool
    ) -> None:
        super().__init__(max_bad_updates)
        self._least_perplexity, self._collapse_updates = collapse_perplexity, collapse_updates
        self._stop_on_collapse = stop_on_collapse
        self.counts |= {"unusable_utterances": 0}
        self._fault: str | None = None
        self._fault_since = 0
        self._flags: list[tuple[Tensor, BatchInfo | None]] = []  # since the last logged step

    def state_dict(self) -> dict[str, Any]:
        self._name_unusable()
        return {**super().state_dict(), "fault": self._fault, "fault_since": self._fault_since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._fault, self._fault_since = state_dict["fault"], state_dict["fault_since"]

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        unusable, measured = pl_module.unusable, pl_module.measured
        if isinstance(unusable, Tensor):
            self._flags.append((unusable, info_of(batch)))
        if not self._is_due:
            return
        pl_module.log_dict({f"train_{name}": value for name, value in measured.items()})
        self._name_unusable()
        values = {name: float(value) for name, value in measured.items()}
        if values["masked_frames"]:
            self._judge(values, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        self._name_unusable()

    def _name_unusable(self) -> None:
        flags, self._flags = self._flags, []
        names = [
            info.names[row] if info else "(unknown name)"
            for unusable, info in flags
            for row, is_unusable in enumerate(unusable.tolist())
            if is_unusable
        ]
        if names:
            self.counts["unusable_utterances"] += len(names)
            logger.warning(
                "left out because the audio is silent or has samples that are not numbers: %s (%d so far)",
                describe_utterances(names),
                self.counts["unusable_utterances"],
            )

    def _judge(self, values: dict[str, float], step: int) -> None:
        fault = find_fault(values, self._least_perplexity)
        if fault is None or fault != self._fault:
            self._fault, self._fault_since = fault, step
            return
        if step - self._fault_since < self._collapse_updates:
            return
        message = f"the training has collapsed, from update {self._fault_since} to {step}: {CAUSES[fault]}"
        details = ", ".join(f"{name} {value:.3g}" for name, value in values.items() if name != "masked_frames")
        if self._stop_on_collapse:
            raise TrainingStopped(f"{message} ({details})")
        logger.warning("%s (%s)", message, details)
        self._fault_since = step  # warn again after collapse_updates more


# What each fault means, and its likely causes.
CAUSES = {
    "codebook": (
        "the quantizer uses only a few entries; likely causes: a learning rate or model.gumbel_temperature.start of "
        "training from scratch on converged weights, or a too low model.objective.diversity_weight"
    ),
    "alike": (
        "targets and negatives are equally similar to the prediction; likely causes: a too high learning rate "
        "(model.optim_param_groups), convolutions that changed too fast (model.encoder.freeze_feature_encoder=true), "
        "or audio with little but noise"
    ),
    "trivial": (
        "nearly every target is found, so the task has become trivial; likely causes: a repeated or constant signal in "
        "the audio, a too low model.encoder.mask_time_prob, or spans shorter than a sound (mask_time_length)"
    ),
}


def find_fault(values: dict[str, float], least_perplexity: float) -> str | None:
    """Judge the measures of a batch.

    Args:
        values: See `pretraining_model.describe_output`.
        least_perplexity: Perplexity of a group below which it counts as collapsed.

    Returns:
        A key of `CAUSES`, or `None` if nothing is wrong.
    """
    perplexities = [value for name, value in values.items() if name.startswith("perplexity_")]
    if min(perplexities) < least_perplexity:
        return "codebook"
    if values["positive_similarity"] - values["negative_similarity"] < ALIKE:
        return "alike"
    return "trivial" if values["accuracy"] > TRIVIAL_ACCURACY else None

"""The student while it trains: an `XLSRCTCModel` whose loss compares it with a teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from data_prep.arguments import require_int, require_number
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.losses import divergence_loss, frame_weights, hidden_loss, match_frames
from nemo_models.distillation.teacher import Targets, Teacher, collect_hidden_states
from nemo_models.training_data.unlabelled import open_unlabelled_loader

ORIGIN_KEY = "distillation"
"""Key of a training checkpoint: what the student started from."""


@dataclass(frozen=True)
class LossSettings:
    """The parts of the student's loss: the keys of `loss` in the configuration.

    Attributes:
        hidden: Weight of the difference of hidden states, 0 or more.
        divergence: Weight of the divergence from the teacher's log-probabilities, 0 or more.
        ctc: Weight of CTC on the transcripts, 0 or more.
        blank_weight: Weight of frames without a label near them, 0 to 1.
        neighbours: Frames on either side of a label that count fully.
        top_k: Labels of the teacher kept for each frame; `None` keeps all.

    Raises:
        ValueError: A value is out of range, or all three weights are 0.
    """

    hidden: float = 1.0
    divergence: float = 1.0
    ctc: float = 0.0
    blank_weight: float = 0.1
    neighbours: int = 1
    top_k: int | None = None

    def __post_init__(self) -> None:
        for key in ("hidden", "divergence", "ctc"):
            require_number(f"loss.{key}", getattr(self, key), least=0)
        require_number("loss.blank_weight", self.blank_weight, least=0, most=1)
        require_int("loss.neighbours", self.neighbours)
        require_int("loss.top_k", self.top_k, least=1, optional=True)
        if not self.hidden + self.divergence + self.ctc:
            raise ValueError("loss.hidden=0 loss.divergence=0 loss.ctc=0: expected one above 0; nothing is learnt")


@dataclass(frozen=True)
class Lesson:
    """The teacher of a student, and the losses.

    Attributes:
        teacher: The teacher.
        layers: The teacher's layer that each layer of the student started from.
        hidden_channels: The teacher's channels that the student's residual stream started from, int64, (D,).
        stride_factor: The teacher's frames in one frame of the student.
        loss: How the loss is made.
    """

    teacher: Teacher
    layers: tuple[int, ...]
    hidden_channels: Tensor
    stride_factor: int
    loss: LossSettings


class StudentCTCModel(XLSRCTCModel):
    """An `XLSRCTCModel` that learns from a teacher. Its `.nemo` restores as a plain `XLSRCTCModel`."""

    def learn_from(self, lesson: Lesson) -> None:
        """Set the teacher, which does not become part of the model or of its checkpoints.

        Args:
            lesson: Teacher and loss.
        """
        self.__dict__["lesson"] = lesson  # past torch's registration of modules

    def _setup_dataloader_from_config(self, config: DictConfig | None) -> Any:
        """Overrides the base's method: a dataset with `unlabelled: true` needs no transcripts."""
        if config is None or not config.get("unlabelled"):
            return super()._setup_dataloader_from_config(config)
        return open_unlabelled_loader(config, self.cfg.sample_rate, self.global_rank, self.world_size)

    def training_step(self, batch: Sequence[Any], batch_nb: int) -> dict[str, Any]:
        """Overrides the base's method: the loss is the sum of the weighted parts of `LossSettings`.

        Args:
            batch: Waveforms, float, (B, T); their lengths, int64, (B,); labels, int64, (B, L); their numbers, (B,).
            batch_nb: Number of the batch.

        Returns:
            `loss`, a scalar, and `log`, the values to log.
        """
        signal, lengths, transcripts, transcript_lengths = batch[:4]
        parts = self.loss_parts(signal, lengths, transcripts, transcript_lengths)
        settings = self.lesson.loss
        loss = sum(getattr(settings, name) * value for name, value in parts.items())
        logged: dict[str, Any] = {f"train_loss_{name}": value.detach() for name, value in parts.items()}
        logged.update(train_loss=loss, learning_rate=self._optimizer.param_groups[0]["lr"])
        logged["global_step"] = torch.tensor(self.trainer.global_step, dtype=torch.float32)
        return {"loss": loss, "log": logged}

    def loss_parts(
        self, signal: Tensor, lengths: Tensor, transcripts: Tensor, transcript_lengths: Tensor
    ) -> dict[str, Tensor]:
        """Compute the parts of the loss whose weight is not 0.

        Args:
            signal: Waveforms, float, (B, T).
            lengths: Valid samples of each, int64, (B,).
            transcripts: Labels, int64, (B, L).
            transcript_lengths: Labels of each utterance, int64, (B,); 0 if no transcript is known.

        Returns:
            Name of each part in `LossSettings` to its value, a scalar.
        """
        settings = self.lesson.loss
        own_layers = tuple(range(len(self.lesson.layers))) if settings.hidden else ()
        with collect_hidden_states(self, own_layers) as hidden:
            log_probs, frames, _ = self.forward(input_signal=signal, input_signal_length=lengths)
        parts: dict[str, Tensor] = {}
        if settings.hidden or settings.divergence:
            targets = self.lesson.teacher.compute(signal, lengths)
            if settings.divergence:
                parts["divergence"] = self._divergence(log_probs, frames, targets)
            if settings.hidden:
                # layer drop may leave out all layers of a batch
                parts["hidden"] = self._hidden_difference(hidden, frames, targets) if hidden else log_probs.sum() * 0.0
        if settings.ctc:
            parts["ctc"] = self._ctc(log_probs, frames, transcripts, transcript_lengths)
        return parts

    def _divergence(self, log_probs: Tensor, frames: Tensor, targets: Targets) -> Tensor:
        settings = self.lesson.loss
        teacher = match_frames(targets.log_probs, targets.lengths, log_probs.shape[1], self.lesson.stride_factor)
        weights = frame_weights(teacher, frames, settings.blank_weight, settings.neighbours)
        return divergence_loss(log_probs.float(), teacher, weights)

    def _hidden_difference(self, hidden: dict[int, Tensor], frames: Tensor, targets: Targets) -> Tensor:
        losses = []
        for own, layer in enumerate(self.lesson.layers):
            if own in hidden:  # layer drop leaves some out
                ours = hidden[own]
                channels = self.lesson.hidden_channels.to(ours.device)
                theirs = targets.hidden[layer][:, :: self.lesson.stride_factor][:, : ours.shape[1]]
                losses.append(hidden_loss(ours, theirs[..., channels], frames))
        return torch.stack(losses).mean()

    def _ctc(self, log_probs: Tensor, frames: Tensor, transcripts: Tensor, transcript_lengths: Tensor) -> Tensor:
        """Compute NeMo's loss, to which an utterance without a transcript contributes 0."""
        labelled = transcript_lengths > 0
        if not bool(labelled.any()):
            return log_probs.sum() * 0.0
        loss: Tensor = self.loss(
            log_probs=log_probs[labelled],
            targets=transcripts[labelled],
            input_lengths=frames[labelled],
            target_lengths=transcript_lengths[labelled],
        )
        return loss if self.cfg.get("ctc_reduction") == "sum" else loss * labelled.float().mean()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Overrides Lightning's method: keeps what the student started from."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[ORIGIN_KEY] = {**self._origin(), "hidden_channels": self.lesson.hidden_channels.clone()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Overrides Lightning's method: a resumed student compares itself with the same channels as before.

        Raises:
            ValueError: The student of the checkpoint started from another teacher, or has another shape.
        """
        super().on_load_checkpoint(checkpoint)
        kept = checkpoint.get(ORIGIN_KEY, {})
        for key, value in self._origin().items():
            if kept.get(key) != value:
                raise ValueError(
                    f"{key}: found a run in this folder that began with another one, expected to resume it; give the "
                    "same one, or change name or exp_manager.exp_dir"
                )
        self.lesson.hidden_channels.copy_(kept["hidden_channels"])

    def _origin(self) -> dict[str, Any]:
        """Return what a run must not change: the keys of the command line, with a hash for the teacher."""
        origin = self.cfg.distillation
        return {"teacher": origin.teacher_weights, "student.shape": OmegaConf.to_container(origin.shape)}

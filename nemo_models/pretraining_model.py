"""The pre-training model: a wav2vec 2.0 encoder that learns from audio without transcripts, as a NeMo model.

NeMo's own self-supervised models mask spectrograms. This one masks the output of the convolutions and compares with
quantized targets, as the checkpoints were made, so that their pre-training continues.
"""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from nemo.collections.asr.models import ASRModel
from omegaconf import DictConfig
from torch import Tensor

from nemo_models.layers.contrastive import ContrastiveObjective, ContrastiveOutput, Draws
from nemo_models.layers.span_masking import MIN_TIME_SPANS, sample_span_mask
from nemo_models.stream_training import StreamTraining

LEAST_MASKED = 2
"""Masked frames of an utterance that has any: a target needs another frame as its negative."""


class UnlabelledSpeechModel(ASRModel):
    """A model of NeMo's that reads audio without transcripts through Lhotse."""

    def setup_training_data(self, train_data_config: DictConfig | dict[str, Any]) -> None:
        """Overrides NeMo's method, which each model defines."""
        self._update_dataset_config(dataset_name="train", config=train_data_config)
        self._train_dl = self._setup_dataloader_from_config(train_data_config)

    def setup_validation_data(self, val_data_config: DictConfig | dict[str, Any]) -> None:
        """Overrides NeMo's method, which each model defines."""
        self._update_dataset_config(dataset_name="validation", config=val_data_config)
        self._validation_dl = self._setup_dataloader_from_config(val_data_config)

    def _setup_dataloader_from_config(self, config: Any) -> Any:
        from nemo_models.training_data.unlabelled import open_unlabelled_loader

        return open_unlabelled_loader(config, self.cfg.sample_rate, self.global_rank, self.world_size)


class XLSRPretrainingModel(StreamTraining, UnlabelledSpeechModel):
    """A wav2vec 2.0 encoder with its quantizer, projections and contrastive loss.

    An update's gradient is that of the losses' sum over all its masked frames, divided by their number: however they
    are divided into micro-batches and processes. Only the diversity loss depends on the division, since the use of the
    codebooks is measured in each micro-batch, as in fairseq and transformers.
    """

    head_name = "objective"

    def __init__(self, cfg: DictConfig, trainer: Trainer | None = None):
        """Build the model.

        Args:
            cfg: `preprocessor`, `encoder`, `objective` (arguments of `ContrastiveObjective`) and `gumbel_temperature`
                (`start`, `end`, `decay`); see conf/pretrain.yaml.
            trainer: Lightning's trainer; `None` without training.
        """
        super().__init__(cfg=cfg, trainer=trainer)
        self.preprocessor = self.from_config_dict(self.cfg.preprocessor)
        self.encoder = self.from_config_dict(self.cfg.encoder)
        network = self.encoder.network.config
        self.objective = ContrastiveObjective(network.conv_dim[-1], network.hidden_size, **self.cfg.objective)
        self.measured: dict[str, Tensor] = {}
        """What the last micro-batch was measured to be, on the model's device."""
        self.unusable: Tensor | None = None
        """True for each utterance of the last micro-batch that is silent or not finite, bool, (B,)."""
        self._masked_frames: Tensor | None = None  # of this update's micro-batches
        self._feature_energy: Tensor | None = None
        if self.objective.feature_penalty_weight:
            self.encoder.network.feature_extractor.register_forward_hook(self._see_features)

    @property
    def temperature(self) -> float:
        """The Gumbel softmax's temperature at this update: it falls exponentially from `start` to `end`."""
        schedule = self.cfg.gumbel_temperature
        updates = self.trainer.global_step if self._trainer is not None else 0
        return float(max(schedule.start * schedule.decay**updates, schedule.end))

    def compute_loss(
        self,
        input_signal: Tensor,
        input_signal_length: Tensor,
        time_mask: Tensor | None = None,
        draws: Draws | None = None,
        generator: torch.Generator | None = None,
    ) -> ContrastiveOutput:
        """Compute the loss of a batch.

        Args:
            input_signal: Waveforms at 16 kHz, float, (B, T).
            input_signal_length: Valid samples of each, int64, (B,).
            time_mask: Frames to mask, bool, (B, T'); `None` draws them.
            draws: Other random numbers to use; `None` draws them.
            generator: Random generator of the mask; `None`: the device's default one.
        """
        usable = find_usable(input_signal)
        self.unusable = ~usable
        signal, lengths = self.preprocessor(
            input_signal=input_signal.masked_fill(~usable[:, None], 0.0), length=input_signal_length
        )
        frames = self.encoder.frame_count(lengths)
        size = max(int(self.encoder.frame_count(signal.shape[1])), 1)
        if time_mask is None:
            settings = self.encoder.network.config
            time_mask = sample_span_mask(
                frames, size, settings.mask_time_prob, settings.mask_time_length, MIN_TIME_SPANS, generator
            )
        counts = time_mask.sum(dim=1)
        time_mask = time_mask & (usable & (counts >= LEAST_MASKED))[:, None]
        hidden, features = self.encoder.encode_masked(signal, lengths, time_mask)
        output: ContrastiveOutput = self.objective(
            hidden, features, time_mask, self.temperature, self._feature_energy, draws
        )
        return output

    def training_step(self, batch: Sequence[Any], batch_nb: int) -> dict[str, Tensor]:
        """Compute a micro-batch's loss: a sum, which `on_before_optimizer_step` turns into a mean."""
        output = self.compute_loss(batch[0], batch[1])
        masked = output.masked.clamp(min=1)
        before = self._masked_frames
        self._masked_frames = output.masked if before is None else before + output.masked
        self.measured = describe_output(output)
        optimizer = self.trainer.optimizers[0]
        self.log_dict(
            {
                "train_loss": output.loss.detach() / masked,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "gumbel_temperature": self.temperature,
                "global_step": float(self.trainer.global_step),
            }
        )
        return {"loss": output.loss}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradient by the masked frames of all micro-batches and processes, and log its norm.

        Lightning has divided it by the number of micro-batches, the processes' mean by the number of processes.
        """
        assert self._masked_frames is not None
        total = self.trainer.strategy.reduce(self._masked_frames.float(), reduce_op="sum")
        self._masked_frames = None
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / total.clamp(min=1)
        found = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
        gradients = [gradient for gradient in found if gradient is not None]
        is_sharded = any(isinstance(gradient, torch.distributed.tensor.DTensor) for gradient in gradients)
        factor = float(scale) if is_sharded else scale
        for gradient in gradients:
            gradient.mul_(factor)
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:
            norm: Any = torch.nn.utils.get_total_norm(gradients)
            self.log("train_gradient_norm", norm.full_tensor() if is_sharded else norm)

    def validation_step(self, batch: Sequence[Any], batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Compute a validation batch's loss, with the same masks and negatives in every validation."""
        device = batch[0].device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(batch_idx)
            output = self.compute_loss(batch[0], batch[1])
        sums = {"loss": output.loss, "contrastive": output.contrastive, "correct": output.correct}
        result = {**{name: value.detach().float() for name, value in sums.items()}, "masked": output.masked.float()}
        self.validation_step_outputs.append(result)
        return result

    def multi_validation_epoch_end(self, outputs: list[dict[str, Tensor]], dataloader_idx: int = 0) -> dict[str, Any]:
        """Divide a validation's sums by its masked frames, over all processes."""
        sums = {name: torch.stack([output[name] for output in outputs]).sum() for name in outputs[0]}
        if self._trainer is not None and self.trainer.world_size > 1:
            sums = {name: self.trainer.strategy.reduce(value, reduce_op="sum") for name, value in sums.items()}
        masked = sums["masked"].clamp(min=1)
        logs = {
            "val_loss": sums["loss"] / masked,
            "val_contrastive": sums["contrastive"] / masked,
            "val_accuracy": sums["correct"] / masked,
        }
        return {"val_loss": logs["val_loss"], "log": logs}

    def _see_features(self, module: torch.nn.Module, args: Any, output: Tensor) -> None:
        self._feature_energy = output.float().square().mean()


def find_usable(signal: Tensor) -> Tensor:
    """Tell recordings from silence and from damaged samples.

    Args:
        signal: Waveforms, float, (B, T), zero beyond each length.

    Returns:
        False for a row whose samples are all alike, or of which one is not finite, bool, (B,).
    """
    highest, lowest = signal.amax(dim=1), signal.amin(dim=1)  # NaN if a sample is
    return (highest - lowest).isfinite() & (highest > lowest)


def describe_output(output: ContrastiveOutput) -> dict[str, Tensor]:
    """Turn the sums of a batch into what is logged: means over masked frames, and perplexity by group."""
    masked = output.masked.clamp(min=1)
    measured = {
        "contrastive_loss": output.contrastive / masked,
        "diversity_loss": output.diversity / masked,
        "accuracy": output.correct / masked,
        "positive_similarity": output.positive_similarity,
        "negative_similarity": output.negative_similarity,
        "masked_frames": output.masked.float(),
    }
    for name, values in (("perplexity", output.probability_perplexity), ("code_perplexity", output.code_perplexity)):
        measured |= {f"{name}_{group}": value for group, value in enumerate(values)}
    return measured

"""The peer of the fine-tuning benchmarks: transformers' Trainer on a NeMo manifest, as its CTC example sets it up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from datasets import Dataset
from lhotse.augmentation import Speed
from omegaconf import DictConfig, OmegaConf
from transformers import Trainer, TrainingArguments, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from data_prep.manifest import read_manifest, resolve_audio_path
from nemo_models.optimization.parameter_groups import exclude_from_weight_decay
from nemo_models.optimization.tri_stage import TriStage

SAMPLE_RATE_HZ = 16_000
IGNORED = -100  # label of padding


def load_utterances(manifest: Path, labels: Sequence[str], speeds: Sequence[float] = (1.0,)) -> Dataset:
    """Load a manifest as a `datasets.Dataset`: path, label ids, and the length that `group_by_length` needs.

    Each utterance is in it at each of `speeds`.
    """
    ids = {label: number for number, label in enumerate(labels)}
    return Dataset.from_list(
        [
            {
                "path": str(resolve_audio_path(row["audio_filepath"], manifest)),
                "labels": [ids[letter] for letter in row["text"]],
                "input_length": round(row["duration"] * SAMPLE_RATE_HZ / speed),
                "speed": speed,
            }
            for speed in speeds
            for row in read_manifest(manifest)
        ]
    )


def batch_of(data: Dataset, seconds: float) -> int:
    """Return the number of utterances that have `seconds` of audio on average."""
    return max(1, round(seconds * SAMPLE_RATE_HZ * len(data) / sum(data["input_length"])))


def prepare(waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Normalise and pad, with the attention mask that XLSR-53 needs."""
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    return dict(extractor(list(waves), sampling_rate=SAMPLE_RATE_HZ, padding=True, return_tensors="pt"))


def collate(examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Build a batch; audio is read here, in the loader's process."""
    inputs = prepare([_read(example["path"], example["speed"]) for example in examples])
    targets = [torch.tensor(example["labels"]) for example in examples]
    inputs["labels"] = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return inputs


def _read(path: str, speed: float) -> np.ndarray:
    """Read an utterance at a speed, as NeMo's `perturb_speed` makes its copies."""
    samples: np.ndarray = soundfile.read(path, dtype="float32")[0]
    return samples if speed == 1 else Speed(speed)(samples[None], SAMPLE_RATE_HZ)[0]


class PeerForCTC(Wav2Vec2ForCTC):
    """transformers' CTC model, whose encoder can be frozen for some updates, and whose loss can be NeMo's.

    transformers finds the kind of loss by the end of the name.
    """

    takes_mean = False
    """Whether the loss is the mean of the utterances' losses, as NeMo's `mean_batch`."""
    keeps_convolutions = True
    is_frozen = False

    def forward(self, *inputs: Any, labels: torch.Tensor | None = None, **named: Any) -> Any:
        """Overrides transformers' method: without masks and dropout in a frozen encoder."""
        self.wav2vec2.train(self.training and not self.is_frozen)
        output = super().forward(*inputs, labels=labels, **named)
        if self.takes_mean and labels is not None:
            output.loss = output.loss / len(labels)
        return output

    def freeze_encoder(self, is_frozen: bool) -> None:
        """Freeze the encoder, or let it learn except the convolutions that the recipe keeps."""
        self.is_frozen = is_frozen
        self.wav2vec2.requires_grad_(not is_frozen)
        if self.keeps_convolutions:
            self.freeze_feature_encoder()


def make_peer(config: DictConfig) -> PeerForCTC:
    """Build the model that a recipe's `model` describes, with random weights; its loss is transformers' example's."""
    encoder = OmegaConf.to_container(config.encoder)
    taken = ("mask_time_", "mask_feature_", "hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_")
    model = PeerForCTC(
        Wav2Vec2Config(
            **encoder["architecture"],
            **{key: value for key, value in encoder.items() if key.startswith(taken)},
            final_dropout=0.0,
            layerdrop=encoder["layerdrop"],
            vocab_size=len(config.labels) + 1,
            pad_token_id=len(config.labels),
            ctc_loss_reduction="mean",
            ctc_zero_infinity=True,
        )
    )
    model.keeps_convolutions = encoder["freeze_feature_encoder"]
    model.freeze_encoder(False)
    return model


def use_recipe(config: DictConfig, model: PeerForCTC) -> dict[str, Any]:
    """Give a model a recipe's loss; return the settings of `make_trainer` for its optimizer, schedule and clipping."""
    model.config.ctc_loss_reduction, model.takes_mean = "sum", True
    rates, optim = config.model.optim_param_groups, config.model.optim
    parts = [(model.wav2vec2, rates.encoder.lr), (model.lm_head, rates.decoder.lr)]
    groups = exclude_from_weight_decay({"params": list(part.parameters()), "lr": lr} for part, lr in parts)
    optimizer = torch.optim.AdamW(groups, betas=tuple(optim.betas), eps=optim.eps, weight_decay=optim.weight_decay)
    sched = {key: value for key, value in optim.sched.items() if key != "name"}
    schedule = TriStage(optimizer, max_steps=config.trainer.max_steps, **sched)
    return {"optimizers": (optimizer, schedule), "max_grad_norm": config.trainer.gradient_clip_val}


class WatchedTrainer(Trainer):
    """transformers' Trainer, which calls `on_batch(lengths, padded_samples)` and `after_backward()` for every batch."""

    on_batch: Any = None
    after_backward: Any = None

    def training_step(self, model: Any, inputs: dict[str, torch.Tensor], *rest: Any) -> torch.Tensor:
        self.on_batch(inputs["attention_mask"].sum(dim=1), inputs["input_values"].numel())
        loss = super().training_step(model, inputs, *rest)
        self.after_backward()
        return loss


def make_trainer(
    model: Wav2Vec2ForCTC,
    data: Dataset,
    on_batch: Callable[[torch.Tensor, int], None],
    callbacks: Sequence[Any],
    after_backward: Callable[[], None] = lambda: None,
    optimizers: tuple[Any, Any] = (None, None),
    **settings: Any,
) -> WatchedTrainer:
    """Build a Trainer that writes no files; `settings` are `TrainingArguments`, `optimizers` the `Trainer`'s."""
    arguments = TrainingArguments(
        length_column_name="input_length",
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        **settings,
    )
    trainer = WatchedTrainer(
        model, arguments, data_collator=collate, train_dataset=data, callbacks=list(callbacks), optimizers=optimizers
    )
    trainer.on_batch, trainer.after_backward = on_batch, after_backward
    return trainer

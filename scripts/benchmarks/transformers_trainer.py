"""The peer of the fine-tuning benchmarks: transformers' Trainer on a NeMo manifest, as its CTC example sets it up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from data_prep.manifest import read_manifest, resolve_audio_path

SAMPLE_RATE_HZ = 16_000
IGNORED = -100  # label of padding


def load_utterances(manifest: Path, labels: Sequence[str]) -> Dataset:
    """Load a manifest as a `datasets.Dataset`: path, label ids, and the length that `group_by_length` needs."""
    ids = {label: number for number, label in enumerate(labels)}
    return Dataset.from_list(
        [
            {
                "path": str(resolve_audio_path(row["audio_filepath"], manifest)),
                "labels": [ids[letter] for letter in row["text"]],
                "input_length": round(row["duration"] * SAMPLE_RATE_HZ),
            }
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
    inputs = prepare([soundfile.read(example["path"], dtype="float32")[0] for example in examples])
    targets = [torch.tensor(example["labels"]) for example in examples]
    inputs["labels"] = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return inputs


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
    **settings: Any,
) -> WatchedTrainer:
    """Build a Trainer that writes no files; `settings` are `TrainingArguments`."""
    arguments = TrainingArguments(
        length_column_name="input_length",
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        **settings,
    )
    trainer = WatchedTrainer(model, arguments, data_collator=collate, train_dataset=data, callbacks=list(callbacks))
    trainer.on_batch, trainer.after_backward = on_batch, after_backward
    return trainer

"""The source of a Hugging Face checkpoint, run by transformers alone: loading, front-end and model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
)
from transformers.utils import logging

from data_prep.audio.reader import SAMPLE_RATE_HZ
from nemo_models.checkpoints.encoder_checkpoint import SourceRun
from nemo_models.waveform_normalizer import HUGGING_FACE_EPSILON

FRONT_END_FILES = ("processor_config.json", "preprocessor_config.json")
"""Files in which transformers 5 and earlier versions write the feature extractor's settings."""


class HuggingFaceReference:
    """transformers' model from a folder (`from_pretrained`), on the CPU in float32.

    Args:
        folder: The checkpoint.
        kind: Its `model_type`.
        has_head: Whether it has a CTC head.
        mask_padding: Whether its feature extractor gives an attention mask.
        epsilon: Added to a waveform's variance; transformers itself uses `HUGGING_FACE_EPSILON`.
    """

    description = "transformers' from_pretrained and feature extractor, on the same folder"

    def __init__(
        self, folder: Path, kind: str, has_head: bool, mask_padding: bool, epsilon: float = HUGGING_FACE_EPSILON
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._has_head = has_head
        self._mask_padding = mask_padding
        # transformers gives (x - mean) / sqrt(variance + epsilon) for a waveform that is louder by this
        self._loudness = (HUGGING_FACE_EPSILON / epsilon) ** 0.5

    @torch.inference_mode()
    def __call__(self, batches: Sequence[Sequence[torch.Tensor]]) -> list[SourceRun]:
        """Run batches of waveforms, padded by transformers' feature extractor."""
        with _only_errors():
            model, extractor = self._load()
            runs = []
            for waves in batches:
                inputs = extractor(
                    [wave.numpy() if self._loudness == 1 else wave.numpy() * self._loudness for wave in waves],
                    sampling_rate=SAMPLE_RATE_HZ,
                    padding=True,
                    return_tensors="pt",
                    return_attention_mask=self._mask_padding,
                )
                frames = model.base_model(**inputs).last_hidden_state
                logits = model.lm_head(frames) if self._has_head else None
                runs.append(SourceRun(frames, logits, inputs.get("input_features")))
        return runs

    def _load(self) -> tuple[Any, Any]:
        classes: dict[str, tuple[Any, Any, Any]] = {
            "wav2vec2": (Wav2Vec2Model, Wav2Vec2ForCTC, Wav2Vec2FeatureExtractor),
            "wav2vec2-bert": (Wav2Vec2BertModel, Wav2Vec2BertForCTC, SeamlessM4TFeatureExtractor),
        }
        plain, with_head, extractor = classes[self._kind]
        model = (with_head if self._has_head else plain).from_pretrained(
            self._folder, dtype=torch.float32, local_files_only=True
        )
        if any((self._folder / name).exists() for name in FRONT_END_FILES):
            with suppress(OSError):  # a processor's file without settings of the front-end
                return model.eval(), extractor.from_pretrained(self._folder, local_files_only=True)
        return model.eval(), extractor()


@contextmanager
def _only_errors() -> Iterator[None]:
    """Silence transformers, which lists the tensors of pretraining at length and shows progress bars."""
    level, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shows_progress:
            logging.enable_progress_bar()

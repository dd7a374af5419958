"""Manifests and audio for the checks before training."""

import json
from pathlib import Path

import numpy as np
import soundfile
from omegaconf import DictConfig, OmegaConf

from topology import architecture

LABELS = [" ", "क", "ा", "म"]
XLSR = {"_target_": "nemo_models.xlsr_encoder.XLSREncoder", "architecture": architecture()}
W2V_BERT = {"_target_": "nemo_models.w2v_bert_encoder.W2VBertEncoder"}


def write_manifest(path: Path, *rows: tuple[str, str, float] | dict) -> str:
    """Write rows of audio, text and seconds, or whole rows; return the manifest's path."""
    keys = ("audio_filepath", "text", "duration")
    named = [row if isinstance(row, dict) else dict(zip(keys, row, strict=True)) for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in named), encoding="utf-8")
    return str(path)


def write_audio(path: Path, seed: int = 0, seconds: float = 1.0, rate: int = 16000, channels: int = 1) -> None:
    """Write noise."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(round(seconds * rate), channels))
    soundfile.write(path, noise, rate)


def config(train: object, validation: object, encoder: dict = XLSR, **train_keys: object) -> DictConfig:
    """The part of a training's configuration that `check_data_sets` reads."""
    return OmegaConf.create(
        {
            "train_ds": {"manifest_filepath": train, "min_duration": 0.1, "max_duration": 30, **train_keys},
            "validation_ds": {"manifest_filepath": validation},
            "encoder": encoder,
        }
    )


def write_corpus(folder: Path) -> Path:
    """Write two recordings, and a manifest with one of them for training and for validation."""
    write_audio(folder / "a.wav", seed=1)
    write_audio(folder / "b.wav", seed=2)
    write_manifest(folder / "train.json", ("a.wav", "काम", 1.0))
    write_manifest(folder / "valid.json", ("b.wav", "मा", 1.0))
    return folder

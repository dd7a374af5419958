"""The training data of make_tiny_checkpoint.py: utterances in memory, batches, augmentation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from data_prep.text.alphabet import load_alphabet
from nemo_models.pretraining.tiny_settings import AugmentationSettings

SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class Spoken:
    """One utterance: int16 samples at 16 kHz and its label numbers."""

    samples: np.ndarray
    labels: list[int]
    text: str


def read_corpus(folder: Path) -> list[Spoken]:
    """Read a corpus that synthesize_speech.py made into memory.

    Raises:
        FileNotFoundError: The folder has no transcripts.tsv.
        ValueError: It lists no utterance.
    """
    number = {character: index for index, character in enumerate(load_alphabet())}
    table = folder / "transcripts.tsv"
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    if not rows:
        raise ValueError(
            f"{table}: found no utterance, expected one or more; make the corpus with synthesize_speech.py"
        )
    return [
        Spoken(soundfile.read(folder / row[0], dtype="int16")[0], [number[c] for c in row[4]], row[4]) for row in rows
    ]


def make_batches(utterances: list[Spoken], batch_seconds: float, rng: np.random.Generator) -> Iterator[list[int]]:
    """Return index lists of similar lengths in random order, each within `batch_seconds` of padded audio."""
    jittered = [len(u.samples) * rng.uniform(0.9, 1.1) for u in utterances]
    batches: list[list[int]] = [[]]
    for index in sorted(range(len(utterances)), key=jittered.__getitem__):
        longest = max(len(utterances[i].samples) for i in [*batches[-1], index])
        if batches[-1] and longest * (len(batches[-1]) + 1) > batch_seconds * SAMPLE_RATE_HZ:
            batches.append([])
        batches[-1].append(index)
    return (batches[i] for i in rng.permutation(len(batches)))


def augment(samples: np.ndarray, settings: AugmentationSettings, rng: np.random.Generator) -> np.ndarray:
    """Change speed, spectral tilt and noise of int16 samples; return float32 of unit variance."""
    speed = rng.uniform(1 - settings.speed, 1 + settings.speed)
    positions = np.arange(0, len(samples) - 1, speed)
    wave = np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)
    tilt = rng.uniform(-settings.tilt / 2, settings.tilt)
    wave[1:] = wave[1:] - np.float32(tilt) * wave[:-1]
    wave = normalize(wave)
    low_db, high_db = settings.noise_db
    noise = 10 ** (-rng.uniform(low_db, high_db) / 20)
    return normalize(wave + np.float32(noise) * rng.standard_normal(len(wave), dtype=np.float32))


def normalize(samples: np.ndarray) -> np.ndarray:
    """Scale one utterance to zero mean and unit variance, as transformers' feature extractor does."""
    wave = samples.astype("float32")
    return (wave - wave.mean()) / (wave.var() + 1e-7) ** 0.5


def pad(waves: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Stack waveforms, padded with zeros; return (B, T) float32 and (B,) lengths."""
    waveforms = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True)
    return waveforms, torch.tensor([len(wave) for wave in waves])

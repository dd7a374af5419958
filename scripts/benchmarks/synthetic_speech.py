"""Noise with random texts in the lengths of real speech, for machines without recordings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from data_prep.manifest import write_jsonl

SAMPLE_RATE_HZ = 16_000
LABELS_PER_S = 12  # of speech
# s: every twentieth quantile of All India Radio's 420 Hindi utterances of up to 20 s, of 423 (openly licensed set)
LENGTH_QUANTILES_S = (
    *(1.2, 2.8, 3.3, 3.7, 4.1, 4.5, 4.8, 5.1, 5.4, 5.7, 6.1),
    *(6.5, 6.9, 7.4, 7.9, 8.4, 9.2, 9.8, 10.6, 12.1, 18.4),
)


def write_synthetic_speech(folder: Path, hours: float, labels: Sequence[str], seed: int = 0) -> Path:
    """Write utterances until they are so many hours.

    Args:
        folder: For the WAV files and the manifest; 115 MB for each hour.
        hours: Length of the audio.
        labels: That texts are made of.
        seed: Seed of lengths, noise and texts.

    Returns:
        The manifest.
    """
    random = np.random.default_rng(seed)
    rows, left_s = [], hours * 3600
    while left_s > 0:
        quantile = random.uniform(0, len(LENGTH_QUANTILES_S) - 1)
        duration_s = round(float(np.interp(quantile, range(len(LENGTH_QUANTILES_S)), LENGTH_QUANTILES_S)), 2)
        samples = random.integers(-3000, 3000, round(duration_s * SAMPLE_RATE_HZ), dtype=np.int16)
        name = f"{len(rows)}.wav"
        soundfile.write(folder / name, samples, SAMPLE_RATE_HZ)
        text = "".join(random.choice(labels, round(duration_s * LABELS_PER_S)))
        rows.append({"audio_filepath": name, "duration": duration_s, "text": " ".join(text.split())})
        left_s -= duration_s
    write_jsonl(folder / "synthetic_manifest.json", rows)
    return folder / "synthetic_manifest.json"

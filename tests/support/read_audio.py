"""Reads audio in tests as data preparation does."""

from pathlib import Path

import numpy as np

from data_prep.audio.reader import (
    Audio,
    AudioReader,
)


def read(path: Path, *arguments, channel: int | str = "average", trim: bool = False) -> Audio:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with AudioReader(scratch, channel, trim) as reader:
        audio = reader.read(str(path), *arguments)
    assert not list(scratch.iterdir())
    return audio


def find_peak_hz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples))

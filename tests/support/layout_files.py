"""Texts, tones and tables of which `layouts` makes its corpora: each text has its pitch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from odd_audio import encode

SECONDS = 0.8
TEXTS = ("कमल खिला", "नदी बहती है", "आज बारिश हुई", "वह घर गया", "किताब खोलो", "चाय गरम है", "रात हो गई", "सूरज निकला")


@dataclass(frozen=True)
class Expected:
    """What one utterance must come out as; its pitch is 300 Hz and 50 more for each text before its own."""

    text: str
    speaker: str
    split: str | None
    subset: str | None = None

    @property
    def pitch(self) -> int:
        return find_pitch(self.text)


def find_pitch(text: str) -> int:
    return 300 + 50 * TEXTS.index(text)


def make_tone(pitch: float, seconds: float = SECONDS, rate: int = 16000) -> np.ndarray:
    """A tone that fades, as the flat tops that µ-law makes of a steady one are clipping to those who look for it."""
    times = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.exp(-times) * np.sin(2 * np.pi * pitch * times)


def write_tone(path: Path, text: str, rate: int = 16000, **options: str) -> None:
    """Write the tone of a text, in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".m4a":
        path.write_bytes(encode(make_tone(find_pitch(text), rate=rate), rate, "ipod", "aac"))
    else:
        soundfile.write(path, make_tone(find_pitch(text), rate=rate), rate, **options)


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

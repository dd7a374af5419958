"""Fixtures for tests of data preparation: small corpora, made on the spot, and the command line of the job."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from project import ROOT


@pytest.fixture
def write_audio() -> Callable[..., Path]:
    """Write a tone: `write_audio(path, seconds=1.0, rate=16000, channels=1, subtype="PCM_16", pitch=440)`."""

    def write(
        path: Path,
        seconds: float = 1.0,
        rate: int = 16000,
        channels: int = 1,
        subtype: str = "PCM_16",
        pitch: float = 440,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate, subtype=subtype)
        return path

    return write


@pytest.fixture
def make_corpus(tmp_path: Path, write_audio: Callable[..., Path]) -> Callable[..., Path]:
    """Make a corpus folder: `make_corpus(rows, header)`; a row's audio is written unless its file is there already.

    Every row's audio has a pitch of its own: the same samples twice would be duplicates.
    """

    def make(rows: Sequence[Sequence[str]], header: str = "path speaker text", name: str = "corpus") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        at = header.split().index("path")
        for number, row in enumerate(rows):
            if len(row) == len(header.split()) and not (folder / row[at]).exists():
                write_audio(folder / row[at], pitch=300 + number)
        lines = ["\t".join(header.split()), *("\t".join(row) for row in rows)]
        (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return make


@pytest.fixture
def prepare_command() -> list[str]:
    """The command line of the job, to which `key=value` arguments are added."""
    return [sys.executable, str(ROOT / "scripts" / "prepare_data.py"), "corpus=tsv"]

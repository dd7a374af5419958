"""Opening recordings: names that are not UTF-8, and WAV files longer than their headers can say."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.opening import open_recording

GIB = 1 << 30


@pytest.mark.parametrize("name", ["\udce0\udca4.wav", "हिंदी.wav", "-"])
def test_names_of_any_bytes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(800), 16_000)
    Path("a.wav").rename(name)
    recording = open_recording(Path(name))
    assert recording.length == 800
    recording.close()


def _write_wav(path, said, there, after=b""):
    """Write the header of a WAV of `said` bytes over a hole of `there` bytes of silence, and what comes after it."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", min(said + 36, 0xFFFFFFFF)) + b"WAVE" + form)
        file.write(b"data" + struct.pack("<I", said))
        file.seek(there, 1)
        file.write(after)
        file.truncate()
    return path


@pytest.mark.parametrize(
    ("said", "there"), [(0xFFFFFFFF, 4 * GIB + 2000), (0x7FFFF000, 2 * GIB), (0xFFFFFFFE, 5 * GIB)]
)
def test_audio_behind_what_the_header_can_count_is_read(tmp_path, said, there):
    """The file is sparse; its last samples are a mark that only a reader of all of it finds."""
    path = _write_wav(tmp_path / "streamed.wav", said, there, b"\x00\x40" * 8)
    recording = open_recording(path)
    assert recording.length == there // 2 + 8 and not recording.faults
    assert np.array_equal(recording.read(there // 2 - 2, 12)[:, 0], [0.0, 0.0] + [0.5] * 8)
    recording.close()


@pytest.mark.parametrize(
    ("said", "there", "after"), [(0xFFFFFFFF, 32_000, b""), (0x80000000, 0x80000000, b"LIST\4\0\0\0INFO")]
)
def test_streamed_and_tagged_files_are_read(tmp_path, said, there, after):
    recording = open_recording(_write_wav(tmp_path / "a.wav", said, there, after))
    assert recording.length == there // 2 and recording.note is None
    recording.close()

"""Segments of recordings: the samples at their place, one opening for all, and an error outside the recording."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.opening import open_recording
from data_prep.audio.reader import (
    AudioReader,
    SegmentError,
)
from read_audio import find_peak_hz, read


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_segments_are_cut_where_they_lie(tmp_path: Path, name: str, rate: int):
    """Ten steps of one second, each its own tone: a segment holds its tone alone."""
    times = np.arange(rate) / rate
    tones = np.concatenate([0.3 * np.sin(2 * np.pi * (300 + 100 * step) * times) for step in range(10)])
    soundfile.write(tmp_path / name, tones, rate)
    with AudioReader(tmp_path) as reader:
        for step in (3, 0, 9, 4):
            audio = reader.read(str(tmp_path / name), float(step), 1.0)
            assert len(audio.samples) == 16000 and not audio.ready
            assert find_peak_hz(audio.samples) == pytest.approx(300 + 100 * step, abs=1)
        assert len(reader.read(str(tmp_path / name), 7.5).samples) == 40000
        assert len(reader.read(str(tmp_path / name)).samples) == 160000
        if name != "a.ogg":
            cut = reader.read(str(tmp_path / name), 2.25, 0.5).source[:, 0]
            whole = soundfile.read(tmp_path / name, dtype="float32")[0]
            assert np.array_equal(cut, whole[round(2.25 * rate) : round(2.25 * rate) + round(0.5 * rate)])


def test_a_recording_is_opened_once_for_all_its_segments(tmp_path, write_audio, monkeypatch):
    write_audio(tmp_path / "a.wav", seconds=20, rate=8000, subtype="PCM_24")
    write_audio(tmp_path / "b.wav", seconds=20, rate=8000, subtype="PCM_24")
    opened = []
    frames_read = []
    genuine = soundfile.SoundFile.read
    monkeypatch.setattr(
        "data_prep.audio.reader.open_recording",
        lambda path, *others: opened.append(path.name) or open_recording(path, *others),
    )
    monkeypatch.setattr(
        soundfile.SoundFile,
        "read",
        lambda self, frames, **options: frames_read.append(frames) or genuine(self, frames, **options),
    )
    with AudioReader(tmp_path) as reader:
        for name in ("a.wav", "b.wav"):
            for start in range(20):
                reader.read(str(tmp_path / name), start, 1.0)
    assert opened == ["a.wav", "b.wav"] and frames_read == [8000] * 40


@pytest.mark.parametrize(
    ("offset", "duration"), [(5.0, 1.0), (-1.0, 2.0), (1.0, 0.0), (1.0, -1.0), (4.0, 1.6), (9.0, None)]
)
def test_segments_outside_the_recording_are_refused(tmp_path, write_audio, offset, duration):
    write_audio(tmp_path / "a.wav", seconds=5)
    with pytest.raises(SegmentError, match=r"of a recording of 5\.000 s"):
        read(tmp_path / "a.wav", offset, duration)
    assert len(read(tmp_path / "a.wav", 4.0, 1.5).samples) == 16000  # as Kaldi does, up to half a second

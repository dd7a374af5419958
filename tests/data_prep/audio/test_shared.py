"""Segments of one recording, read together: each has the samples that it has alone, and the file is decoded once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data_prep.audio import recording as recording_module
from data_prep.audio.errors import AudioError
from data_prep.audio.shared import SharedRecordings
from data_prep.audio.waveform import WaveformStream
from odd_audio import encode, speak, write

RATE, SECONDS = 16_000, 12.0
SEGMENTS = [(start, length) for start in np.arange(0.0, 11.0, 0.7) for length in (0.6, 1.0)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "long.m4a", encode(speak(SECONDS, RATE), RATE, "ipod", "aac"))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The passes of FFmpeg that were begun."""
    begun: list[object] = []
    original = recording_module.AvStream
    monkeypatch.setattr(recording_module, "AvStream", lambda source: begun.append(source) or original(source))
    return begun


def read(path: Path, place: tuple[float, float | None], shared: SharedRecordings | None = None) -> np.ndarray:
    return np.concatenate(list(WaveformStream(path, *place, recordings=shared)))


@pytest.mark.parametrize("threads", [1, 4])
def test_segments_are_decoded_in_one_pass_and_have_the_samples_that_they_have_alone(path, passes, threads: int):
    alone = [read(path, place) for place in SEGMENTS]
    assert len(passes) == len(SEGMENTS)
    passes.clear()
    shared = SharedRecordings({path: len(SEGMENTS)})
    order = np.random.default_rng(0).permutation(len(SEGMENTS))
    with ThreadPoolExecutor(threads) as pool:
        together = dict(zip(order, pool.map(lambda at: read(path, SEGMENTS[at], shared), order), strict=True))
    assert len(passes) == 1
    for at, samples in enumerate(alone):
        assert np.array_equal(together[at], samples)
    assert not shared._held, "the last segment closes the recording"


def test_a_segment_outside_is_the_same_error_and_costs_the_others_nothing(path):
    shared = SharedRecordings({path: 3})
    errors = []
    for recordings in (None, shared):
        with pytest.raises(AudioError, match="recording of 12") as caught:
            read(path, (20.0, 1.0), recordings)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert np.array_equal(read(path, (1.0, 1.0), shared), read(path, (1.0, 1.0)))
    assert np.array_equal(read(path, (11.0, None), shared), read(path, (11.0, None)))


def test_files_that_are_read_by_position_are_opened_for_each_segment(tmp_path, passes):
    path = write(tmp_path / "a.wav", encode(speak(2.0, RATE), RATE, "wav", "pcm_s16le"))
    shared = SharedRecordings({path: 2})
    assert np.array_equal(read(path, (0.5, 1.0), shared), read(path, (0.5, 1.0)))
    assert not passes and not shared._held


def test_a_job_that_ends_early_closes_its_recordings(path):
    shared = SharedRecordings({path: 5})
    read(path, (0.0, 1.0), shared)
    assert shared._held
    shared.close()
    assert not shared._held
    assert len(read(path, (0.0, 1.0), shared)) == RATE

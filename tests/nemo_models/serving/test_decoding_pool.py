"""Uploads are decoded in processes with limits: the same samples, and a hostile file harms its own request only."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fake_recogniser import FakeRecogniser
from nemo_models.serving.decoding_pool import DecodingLimits, DecodingPool
from nemo_models.transcription.audio_reader import AudioError, stream_waveform
from serving_client import client_of, make_served

PATH = "/v1/audio/transcriptions"


@pytest.fixture
def make_pool(tmp_path):
    pools = []

    def make(size=1, **limits):
        folder = tmp_path / f"scratch{len(pools)}"
        folder.mkdir()
        pools.append(DecodingPool(size, DecodingLimits(**limits), folder))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
        assert not list(pool._folder.iterdir())


def write_noise(path, seconds, rate, channels=1, **form):
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    soundfile.write(path, noise, rate, **form)
    return path


def write_bomb(path, hours=2.0):
    """Silence, which FLAC packs into 1/500 of its size."""
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(round(hours * 60)):
            file.write(np.zeros(60 * 16_000, np.int16))
    return path


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_samples_and_errors_are_those_of_this_process(make_pool, tmp_path):
    pool = make_pool()
    for name, rate, channels in (("a.wav", 16_000, 1), ("b.flac", 44_100, 2), ("c.mp3", 22_050, 1)):
        path = write_noise(tmp_path / name, 25.0, rate, channels)
        stream, here = pool.open(path), stream_waveform(path)
        blocks = list(stream)
        assert np.array_equal(np.concatenate(blocks), np.concatenate(list(here))) and blocks[0].flags.owndata is False
        assert stream.warning == here.warning
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:100_001])
    cut, here = pool.open(tmp_path / "cut.wav"), stream_waveform(tmp_path / "cut.wav")
    assert len(np.concatenate(list(cut))) == len(np.concatenate(list(here))) and cut.warning == here.warning
    assert cut.warning is not None
    (tmp_path / "text.wav").write_text("no audio")
    for path, channel in ((tmp_path / "text.wav", "auto"), (tmp_path / "none.wav", "auto"), (tmp_path / "a.wav", 3)):
        with pytest.raises(AudioError) as there:
            list(pool.open(path, channel=channel))
        with pytest.raises(AudioError) as here:
            list(stream_waveform(path, channel=channel))
        assert str(there.value) == str(here.value)
    assert len(pool._started) == 1


def test_who_wants_no_more_leaves_a_worker_for_the_next(make_pool, tmp_path):
    pool, path = make_pool(), write_noise(tmp_path / "a.wav", 300.0, 16_000)
    for _ in range(3):
        for _ in pool.open(path):
            break
    assert sum(map(len, pool.open(path))) == 300 * 16_000 and len(pool._started) == 1


@pytest.mark.slow
def test_limits_of_memory_time_and_length(make_pool, tmp_path):
    many = tmp_path / "many.wav"
    soundfile.write(many, np.zeros((192_000, 200), np.int16), 192_000)
    with pytest.raises(AudioError, match=r"^decoder_limit: .*many.wav: .*256 MB"):
        list(make_pool(memory_mb=256).open(many, channel="average"))
    bomb = write_bomb(tmp_path / "bomb.flac")
    assert bomb.stat().st_size < 2_000_000
    pool = make_pool(cpu_s=0.2)
    with pytest.raises(AudioError, match=r"^decoder_limit: .*bomb.flac: .*0.2 s of processor time"):
        list(pool.open(bomb, sample_rate_hz=15_999))  # with another rate there is more to do
    assert list(pool.open(write_noise(tmp_path / "a.wav", 1.0, 16_000))), "another worker takes its place"
    started = []
    with pytest.raises(AudioError, match=r"^too_long: .*bomb.flac: expected 60 s"):
        for block in make_pool(max_audio_s=60.0).open(bomb):
            started.append(block)
    assert not started, "the model sees nothing of a recording that is too long"


def test_a_worker_that_is_killed_costs_its_recording_only(make_pool, tmp_path):
    pool, path = make_pool(), write_noise(tmp_path / "a.wav", 300.0, 16_000)
    with pytest.raises(AudioError, match=r"^decoder_limit: .*a.wav: the decoder ended before the recording did"):
        for _ in pool.open(path):
            (worker,) = pool._started
            os.kill(worker._process.pid, 9)
    assert sum(map(len, pool.open(path))) == 300 * 16_000


def test_workers_end_with_the_server_however_it_ends(make_pool, tmp_path):
    pool, path = make_pool(2), write_noise(tmp_path / "a.wav", 300.0, 16_000)
    streams = [iter(pool.open(path)) for _ in range(2)]
    for stream in streams:
        next(stream)
    pids = [worker._process.pid for worker in pool._started]
    for worker in pool._started:  # as the system does when the server is killed: both pipes close
        worker._requests.close()
        worker._answers.close()
    for _ in range(600):
        if not any(map(is_alive, pids)):
            break
        time.sleep(0.1)
    assert not any(map(is_alive, pids))
    for stream in streams:
        stream.close()


def test_a_bomb_costs_one_request(make_pool, tmp_path):
    recogniser = FakeRecogniser()
    pool = make_pool(2, max_audio_s=60.0)
    recogniser.open_stream = pool.open
    served = make_served(tmp_path / "uploads", recogniser, {"max_audio_s": 60.0}, decoders=pool)
    bomb, good = write_bomb(tmp_path / "bomb.flac"), write_noise(tmp_path / "a.wav", 1.0, 16_000)
    with client_of(served) as client:
        for path, status in ((bomb, 413), (good, 200), (bomb, 413), (good, 200)):
            with path.open("rb") as file:
                answer = client.post(PATH, data={"model": "tiny"}, files={"file": (path.name, file)})
            assert answer.status_code == status, answer.text
            assert status == 200 or answer.json()["error"]["message"].startswith("too_long: bomb.flac: expected 60 s")
    assert not pool._started or not any(is_alive(worker._process.pid) for worker in pool._started)

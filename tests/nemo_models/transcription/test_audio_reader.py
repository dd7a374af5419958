"""Reading audio: formats, segments, channels, rates, and what is wrong with a bad file."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nemo_models.transcription.audio_reader import AudioError, load_waveform, probe_duration, stream_waveform

RATE = 16_000


def _tone(seconds, rate=RATE, frequency=440.0):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def write(name, samples, rate=RATE, **options):
        soundfile.write(str(tmp_path / name), samples, rate, **options)
        return tmp_path / name

    return write


def test_wav_and_flac_come_back_exactly(write):
    samples = (np.random.default_rng(0).integers(-(2**15), 2**15, 5000) / 2**15).astype(np.float32)
    for name in ("a.wav", "a.flac"):
        loaded = load_waveform(write(name, samples, subtype="PCM_16"))
        assert loaded.dtype == np.float32
        assert np.array_equal(loaded, samples)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg"])
def test_compressed_formats_sound_the_same(write, name):
    """A lossy codec keeps the tone: correlation with it above 0.99 at the best shift (codecs add delay)."""
    samples = _tone(1.0)
    loaded = load_waveform(write(name, samples))
    correlation = np.correlate(loaded, samples, "full").max() / (np.linalg.norm(loaded) * np.linalg.norm(samples))
    assert correlation > 0.99
    assert len(loaded) == pytest.approx(len(samples), abs=2400)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(write, rate):
    """Against the tone itself, away from the edges; 1e-3 is far below hearing and far above soxr's error (1e-5)."""
    loaded = load_waveform(write("a.wav", _tone(1.0, rate), rate, subtype="FLOAT"))
    assert len(loaded) == RATE
    assert np.abs(loaded - _tone(1.0))[800:-800].max() < 1e-3


def test_channels(write):
    left, right = _tone(0.2), _tone(0.2, frequency=100.0)
    path = write("a.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    assert np.array_equal(load_waveform(path, channel=0), left)
    assert np.array_equal(load_waveform(path, channel=1), right)
    assert np.allclose(load_waveform(path, channel="average"), (left + right) / 2, atol=1e-7)
    with pytest.raises(AudioError, match=r"^missing_channel: .*channel=3: found 1 channel, numbered from 0; choose 0"):
        load_waveform(write("one.wav", left), channel=3)
    for channel in (None, 2):
        with pytest.raises(
            AudioError, match=r"^(several_channels|missing_channel): .* found 2 .* choose 0 to 1, or av"
        ):
            load_waveform(path, channel=channel)
    assert np.array_equal(load_waveform(write("mono.wav", left, subtype="FLOAT"), channel=None), left)


def test_segments(write):
    samples = _tone(2.0, frequency=3.0)
    path = write("a.wav", samples, subtype="FLOAT")
    assert np.array_equal(load_waveform(path, 0.5), samples[8000:])
    assert np.array_equal(load_waveform(path, 0.5, 1.0), samples[8000:24000])
    assert np.array_equal(load_waveform(path, 0.5, 1.46), samples[8000:]), "a rounded duration reads to the end"
    assert np.array_equal(load_waveform(path, 0.5, 1.54), samples[8000:])
    for offset_s, duration_s in ((0.0, 2.5), (1.5, 1.0), (3.0, None)):
        with pytest.raises(AudioError, match=r"^bad_segment: .* of a recording of 2\.000 s"):
            load_waveform(path, offset_s, duration_s)


def test_bad_files_say_what_is_wrong(write, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "samples.raw").write_bytes(bytes(1000))
    nan = _tone(0.1)
    nan[7] = np.nan
    write("nan.wav", nan, subtype="FLOAT")
    whole = write("whole.flac", np.random.default_rng(0).uniform(-1, 1, RATE), subtype="PCM_16").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    cases = {
        "absent.wav": "missing_audio",
        "": "missing_audio",
        "text.wav": "unreadable_audio",
        "empty.wav": "unreadable_audio",
        "samples.raw": "unreadable_audio",
        "nan.wav": "not_finite_audio",
    }
    for name, reason in cases.items():
        with pytest.raises(AudioError, match=f"^{reason}: ") as error:
            load_waveform(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)
    stream = stream_waveform(tmp_path / "cut.flac")
    assert 4096 <= sum(map(len, stream)) <= RATE / 2 and "decoding stops" in str(stream.warning)
    with pytest.raises(AudioError, match=r"^truncated_audio: .*cut\.flac: decoding stops"):
        load_waveform(tmp_path / "cut.flac")  # whole or not at all


def test_probe(write, tmp_path):
    assert probe_duration(write("a.wav", _tone(1.5))) == 1.5
    (tmp_path / "text.wav").write_text("not audio")
    assert probe_duration(tmp_path / "text.wav") is None
    assert probe_duration(tmp_path / "absent.wav") is None


def test_only_files_are_opened(tmp_path, monkeypatch):
    """A pipe would be waited for without end, and `-` is standard input to libsndfile."""
    os.mkfifo(tmp_path / "pipe.wav")
    monkeypatch.chdir(tmp_path)
    for path, reason in (
        (tmp_path / "pipe.wav", "unreadable_audio: .*pipe.wav: found a pipe or device"),
        (Path("/dev/zero"), "unreadable_audio: /dev/zero: found a pipe or device"),
        (Path("-"), "missing_audio: -: no such file"),
        (tmp_path / ("x" * 300 + ".wav"), "unreadable_audio: .*: File name too long"),
        (tmp_path / "nul\0.wav", "missing_audio"),
        (tmp_path / "lone\ud800.wav", "missing_audio"),
    ):
        with pytest.raises(AudioError, match=f"^{reason}"):
            load_waveform(path)
        assert probe_duration(path) is None


def test_files_that_may_not_be_looked_at_say_so(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(AudioError, match=r"^unreadable_audio: closed/a\.wav: Permission denied"):
        load_waveform(Path("closed/a.wav"))


def test_any_name_is_opened(write, tmp_path, monkeypatch):
    whole = write("a.wav", _tone(0.5))
    monkeypatch.chdir(tmp_path)
    for name in ("\udce0\udca4.wav", "हिंदी.wav", "-", "-a.wav"):
        Path(name).write_bytes(whole.read_bytes())
        assert len(load_waveform(Path(name))) == 8000
        assert probe_duration(Path(name)) == 0.5

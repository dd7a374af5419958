import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import soundfile

from data_prep.audio import SoxMissingError, UnreadableAudioError, convert_audio, count_samples, is_ready


def find_peak_hz(path: Path) -> float:
    samples, rate = soundfile.read(path)
    return float(numpy.abs(numpy.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize(
    ("name", "options", "ready"),
    [
        ("a.wav", {}, True),
        ("a.flac", {}, True),
        ("a.wav", {"rate": 8000}, False),
        ("a.wav", {"rate": 44100, "channels": 2}, False),
        ("a.wav", {"channels": 2}, False),
        ("a.wav", {"subtype": "PCM_24"}, False),
        ("a.wav", {"subtype": "PCM_U8"}, False),
        ("a.wav", {"subtype": "FLOAT"}, False),
        ("a.wav", {"subtype": "ULAW", "rate": 8000}, False),
        ("a.aiff", {}, False),
        ("a.ogg", {"subtype": "VORBIS"}, False),
        ("a.mp3", {"subtype": "MPEG_LAYER_III"}, False),
    ],
)
def test_audio_becomes_16_khz_mono_16_bit(
    tmp_path: Path, write_audio: Callable[..., Path], name: str, options: dict, ready: bool
):
    source, target = write_audio(tmp_path / name, seconds=1.5, **options), tmp_path / "out.wav"
    assert is_ready(source) == ready
    convert_audio(source, target)
    assert is_ready(target) and soundfile.info(target).format == "WAV"
    # An encoder pads to whole blocks of at most 1152 samples, twice for MP3; everything else keeps its length.
    padding = 2 * 1152 if name.endswith(("mp3", "ogg")) else 0
    assert 24000 <= count_samples(target) <= 24000 + padding
    assert find_peak_hz(target) == pytest.approx(440, abs=1)  # the tone, within one bin of the spectrum
    assert numpy.abs(soundfile.read(target)[0]).max() == pytest.approx(0.5, abs=0.06)  # µ-law and 8 bits are coarse


def test_a_conversion_at_the_same_rate_is_exact(tmp_path: Path):
    samples = numpy.random.default_rng(0).integers(-(2**15), 2**15, 16000).astype("int16")
    soundfile.write(tmp_path / "a.aiff", samples, 16000)
    convert_audio(tmp_path / "a.aiff", tmp_path / "out.wav")
    assert numpy.array_equal(soundfile.read(tmp_path / "out.wav", dtype="int16")[0], samples)


def test_two_conversions_are_the_same_bytes(tmp_path: Path, write_audio: Callable[..., Path]):
    source = write_audio(tmp_path / "a.wav", rate=44100, channels=2, subtype="PCM_24")
    for name in ("one.wav", "two.wav"):
        convert_audio(source, tmp_path / name)
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()


def test_channels_are_averaged(tmp_path: Path):
    left = numpy.full(16000, 0.5)
    soundfile.write(tmp_path / "a.wav", numpy.stack([left, 0 * left], axis=1), 16000)
    convert_audio(tmp_path / "a.wav", tmp_path / "out.wav")
    assert numpy.allclose(soundfile.read(tmp_path / "out.wav")[0], 0.25, atol=2**-15)  # one step of 16 bits


def test_resampling_full_scale_audio_does_not_clip(tmp_path: Path):
    square = numpy.where(numpy.arange(44100) // 50 % 2, 1.0, -1.0)
    soundfile.write(tmp_path / "a.wav", square, 44100, subtype="FLOAT")
    convert_audio(tmp_path / "a.wav", tmp_path / "out.wav")
    samples = soundfile.read(tmp_path / "out.wav", dtype="int16")[0].astype(int)
    at_the_rail = numpy.abs(samples) >= 32767
    assert not (at_the_rail[1:] & at_the_rail[:-1]).any()  # a clipped overshoot would stay there


@pytest.mark.parametrize("content", [b"this is a text\n" * 100, b"RIFF\x00\x00\x00\x00WAVEfmt ", b"", os.urandom(5000)])
def test_what_is_no_audio_is_unreadable(tmp_path: Path, content: bytes):
    source = tmp_path / "a.wav"
    source.write_bytes(content)
    assert not is_ready(source)
    with pytest.raises(UnreadableAudioError, match="sox"):
        convert_audio(source, tmp_path / "out.wav")
    with pytest.raises(UnreadableAudioError):
        count_samples(source)


def test_a_damaged_flac_is_unreadable(tmp_path: Path, write_audio: Callable[..., Path]):
    source = write_audio(tmp_path / "a.flac", seconds=5)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert is_ready(source)  # the header is sound
    with pytest.raises(UnreadableAudioError, match="flac"):
        count_samples(source)


def test_lengths_are_counted_across_blocks(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", numpy.zeros((1 << 20) + 7, "int16"), 16000)
    assert count_samples(tmp_path / "a.wav") == (1 << 20) + 7


def test_a_missing_sox_is_told_with_its_remedy(
    tmp_path: Path, write_audio: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    source = write_audio(tmp_path / "a.wav", rate=8000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SoxMissingError, match="apt-get install -y sox"):
        convert_audio(source, tmp_path / "out.wav")


def test_a_killed_sox_is_not_the_files_fault(
    tmp_path: Path, write_audio: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    source = write_audio(tmp_path / "a.wav", rate=8000)
    (tmp_path / "sox").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "sox").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(OSError, match="sox was killed"):
        convert_audio(source, tmp_path / "out.wav")


def test_a_file_name_is_never_a_command(
    tmp_path: Path, write_audio: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_audio(tmp_path / "tone.wav", rate=8000).rename(tmp_path / "|touch owned; $(touch owned) -r.wav")
    convert_audio("|touch owned; $(touch owned) -r.wav", tmp_path / "out.wav")
    assert is_ready(tmp_path / "out.wav") and not (tmp_path / "owned").exists()


def test_sox_agrees_about_the_result(tmp_path: Path, write_audio: Callable[..., Path]):
    convert_audio(write_audio(tmp_path / "a.wav", rate=48000, channels=6), tmp_path / "out.wav")
    found = [
        subprocess.check_output(["soxi", flag, tmp_path / "out.wav"], text=True).strip()
        for flag in ("-r", "-c", "-b", "-s")
    ]
    assert found == ["16000", "1", "16", "16000"]

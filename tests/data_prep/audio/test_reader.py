import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.reader import (
    AudioReader,
    MissingChannelError,
    TooLongError,
    TruncatedAudioError,
    UnreadableAudioError,
    trim_silence,
    write_wav,
)
from odd_audio import encode, write
from read_audio import find_peak_hz, read


@pytest.mark.parametrize(
    ("name", "options", "ready"),
    [
        ("a.wav", {}, True),
        ("a.flac", {}, True),
        ("a.wav", {"rate": 8000}, False),
        ("a.wav", {"rate": 11000}, False),
        ("a.wav", {"rate": 22050}, False),
        ("a.wav", {"rate": 24000, "channels": 6}, False),
        ("a.wav", {"rate": 32000}, False),
        ("a.wav", {"rate": 44100, "channels": 2}, False),
        ("a.flac", {"rate": 48000, "subtype": "PCM_24"}, False),
        ("a.wav", {"rate": 96000, "subtype": "FLOAT"}, False),
        ("a.wav", {"channels": 2}, False),
        ("a.wav", {"subtype": "PCM_24"}, False),
        ("a.wav", {"subtype": "PCM_32"}, False),
        ("a.wav", {"subtype": "PCM_U8"}, False),
        ("a.wav", {"subtype": "FLOAT"}, False),
        ("a.wav", {"subtype": "DOUBLE"}, False),
        ("a.wav", {"subtype": "ULAW", "rate": 8000}, False),
        ("a.wav", {"subtype": "ALAW", "rate": 8000}, False),
        ("a.aiff", {}, False),
        ("a.ogg", {"subtype": "VORBIS"}, False),
        ("a.ogg", {"subtype": "OPUS", "rate": 48000}, False),
        ("a.mp3", {"subtype": "MPEG_LAYER_III"}, False),
        ("a.mp3", {"subtype": "MPEG_LAYER_III", "rate": 44100, "channels": 2}, False),
    ],
)
def test_every_format_becomes_16_khz_mono_16_bit(
    tmp_path: Path, write_audio: Callable[..., Path], name: str, options: dict, ready: bool
):
    audio = read(write_audio(tmp_path / name, seconds=1.5, **options), channel="average")
    assert audio.ready == ready and audio.samples.dtype == np.int16
    assert (audio.source is None) == (ready or name.endswith(("mp3", "ogg")))
    # An encoder pads to whole blocks of at most 1152 samples, twice for MP3; everything else keeps its length.
    padding = 2 * 1152 if name.endswith(("mp3", "ogg")) else 0
    assert 24000 <= len(audio.samples) <= 24000 + padding and audio.gain == 1
    assert find_peak_hz(audio.samples) == pytest.approx(440, abs=1)  # the tone, within one bin of the spectrum
    peak = np.abs(audio.samples.astype(int)).max() / 32768
    assert peak == pytest.approx(0.5, abs=0.06)  # µ-law and 8 bits are coarse
    write_wav(tmp_path / "out.wav", audio.samples)
    assert read(tmp_path / "out.wav").ready


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_agrees_with_sox(tmp_path: Path, rate: int):
    """An independent resampler on band-limited noise: sox's `rate -h`, with its own dither off."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate * 2)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / rate) > min(rate, 16000) * 0.4] = 0
    soundfile.write(tmp_path / "a.wav", np.fft.irfft(spectrum), rate, subtype="FLOAT")
    subprocess.run(
        ["sox", "-D", tmp_path / "a.wav", "-b", "16", tmp_path / "sox.wav", "rate", "-h", "16000"], check=True
    )
    theirs = soundfile.read(tmp_path / "sox.wav", dtype="int16")[0].astype(int)
    ours = read(tmp_path / "a.wav").samples.astype(int)
    assert len(ours) == len(theirs)
    # Where the recording begins and ends, the two may continue it differently; inside both are exact but for rounding.
    assert np.abs(ours - theirs)[200:-200].max() <= 1


@pytest.mark.parametrize(
    ("suffix", "container", "codec", "rate"),
    [
        ("m4a", "ipod", "aac", 44100),
        ("aac", "adts", "aac", 44100),
        ("webm", "webm", "libopus", 48000),
        ("mka", "matroska", "flac", 44100),
        ("wma", "asf", "wmav2", 44100),
        ("mp2", "mp2", "mp2", 44100),
        ("ac3", "ac3", "ac3", 44100),
        ("wv", "wv", "wavpack", 44100),
    ],
)
def test_formats_that_only_ffmpeg_reads(tmp_path: Path, suffix: str, container: str, codec: str, rate: int):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    path = write(tmp_path / f"a b.{suffix}", encode(np.stack([tone, tone], axis=1), rate, container, codec))
    audio = read(path)
    assert not audio.ready and (audio.source is None) == (codec not in ("wavpack", "flac"))
    # Encoders code frames of up to 2048 samples, with one more to begin and to end; WMA drops the last part of one.
    assert 32000 - 1024 <= len(audio.samples) <= 32000 + 3 * 2048
    assert find_peak_hz(audio.samples) == pytest.approx(440, abs=2)


def test_audio_at_the_right_rate_is_exact(tmp_path: Path):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 16000).astype("int16")
    for name in ("a.aiff", "a.wav", "a.flac"):
        soundfile.write(tmp_path / name, samples, 16000)
        assert np.array_equal(read(tmp_path / name).samples, samples), name


def test_the_same_input_gives_the_same_samples(tmp_path: Path, write_audio: Callable[..., Path]):
    source = write_audio(tmp_path / "a.wav", rate=44100, channels=2, subtype="PCM_24")
    assert np.array_equal(read(source).samples, read(source).samples)


def test_channels_are_averaged_or_one_is_taken(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.full((16000, 3), [0.5, 0.25, -0.375]), 16000)
    for channel, level in (("average", 4096), (0, 16384), (1, 8192), (2, -12288)):
        assert set(read(tmp_path / "a.wav", channel=channel).samples) == {level}
    soundfile.write(tmp_path / "mono.wav", np.full(16000, 0.5), 16000)
    assert read(tmp_path / "mono.wav", channel=0).ready
    with pytest.raises(MissingChannelError, match=r"channel=1: found 1 channel, .* choose 0"):
        read(tmp_path / "mono.wav", channel=1)
    for wrong in ("left", -1, True, 1.0):
        with pytest.raises(ValueError, match="expected auto, average, a channel number from 0"):
            AudioReader(tmp_path, wrong)
    with AudioReader(tmp_path, channel=1) as reader:  # a row's own choice comes first
        assert set(reader.read(str(tmp_path / "a.wav"), channel=2).samples) == {-12288}
        assert set(reader.read(str(tmp_path / "a.wav"), 0.5, 0.25).samples) == {8192}


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampling_full_scale_audio_does_not_clip(tmp_path: Path, rate: int, subtype: str):
    """A full-scale square wave overshoots by 9 % or more (Gibbs); clipped it would lie flat, wrapped it would jump."""
    square = np.where(np.arange(rate) // (rate // 400) % 2, 1.0, -1.0)
    soundfile.write(tmp_path / "a.wav", square, rate, subtype=subtype)
    audio = read(tmp_path / "a.wav")
    samples = audio.samples.astype(int)
    at_the_rail = np.abs(samples) >= 32767
    assert not (at_the_rail[1:] & at_the_rail[:-1]).any() and at_the_rail.any()
    assert 0.75 < audio.gain < 0.95
    soundfile.write(tmp_path / "quiet.wav", square / 4, rate, subtype="FLOAT")
    quiet = read(tmp_path / "quiet.wav")
    assert quiet.gain == 1
    # The same signal at a quarter, where nothing overshoots: only the level differs, by the gain that was applied.
    # 16 bits hold 1.0 as 32767/32768; either side is rounded, the quiet one's rounding is then quadrupled.
    assert np.abs(samples - 4 * audio.gain * quiet.samples.astype(int)).max() <= 4


def test_float_samples_beyond_full_scale_are_turned_down(tmp_path: Path):
    ramp = np.linspace(-1.5, 3.0, 16000)
    soundfile.write(tmp_path / "a.wav", ramp, 16000, subtype="FLOAT")
    audio = read(tmp_path / "a.wav")
    assert audio.gain == pytest.approx(1 / 3, abs=1e-4) and audio.samples.max() == 32767
    assert np.abs(audio.samples - ramp / 3 * 32767).max() <= 1  # rounded once


def test_silence_at_the_edges_is_trimmed_on_request(tmp_path: Path):
    generator = np.random.default_rng(0)
    speech = np.sin(np.arange(16000) * 0.2) * 8000
    speech[6000:10000] = 0  # a pause inside stays
    room = generator.normal(0, 8, 48000)
    room[16000:32000] += speech
    soundfile.write(tmp_path / "a.wav", room.astype("int16"), 16000)
    assert read(tmp_path / "a.wav").ready
    trimmed = read(tmp_path / "a.wav", trim=True)
    assert not trimmed.ready
    assert np.array_equal(trimmed.samples, room.astype("int16")[16000 - 1600 : 32000 + 1600])
    soundfile.write(tmp_path / "b.wav", trimmed.samples, 16000)
    assert read(tmp_path / "b.wav", trim=True).ready  # nothing is left to trim
    for nothing in (np.zeros(16000, "int16"), np.zeros(0, "int16"), np.ones(100, "int16")):
        assert np.array_equal(trim_silence(nothing), nothing)


def test_what_was_decoded_is_handed_on(tmp_path: Path):
    source = np.stack([np.linspace(-1, 1, 4800), np.zeros(4800)], axis=1)
    soundfile.write(tmp_path / "a.wav", source, 48000, subtype="FLOAT")
    audio = read(tmp_path / "a.wav")
    assert audio.source.dtype == np.float32 and np.allclose(audio.source, source, atol=1e-7)  # float32's own step


def test_too_long_audio_is_not_decoded(tmp_path, write_audio, monkeypatch):
    write_audio(tmp_path / "a.wav", seconds=5)
    assert len(read(tmp_path / "a.wav", None, None, None, 5.0).samples) == 80000
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(TooLongError, match=r"5\.000 s, max_duration is 4\.9 s"):
        read(tmp_path / "a.wav", None, None, None, 4.9)


@pytest.mark.parametrize(
    "content",
    [b"this is a text\n" * 100, b"RIFF\x00\x00\x00\x00WAVEfmt ", b"", np.random.default_rng(0).bytes(5000)],
)
def test_what_is_no_audio_is_unreadable(tmp_path: Path, content: bytes):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UnreadableAudioError, match=r"sox|found an empty file") as caught:
        read(tmp_path / "a.wav")
    assert caught.value.reason == "unreadable_audio" and str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"rate": 8000}, {"rate": 44100, "channels": 2, "subtype": "PCM_24"}])
@pytest.mark.parametrize("missing", [1, 1000])
def test_a_truncated_wav_is_told(tmp_path, write_audio, options, missing):
    source = write_audio(tmp_path / "a.wav", **options)
    source.write_bytes(source.read_bytes()[:-missing])
    with pytest.raises(TruncatedAudioError, match=r"\d+ of \d+ bytes of audio are there") as caught:
        read(source)
    assert caught.value.reason == "truncated_audio"


def test_a_wav_written_to_a_pipe_is_not_truncated(tmp_path, write_audio):
    """Its header has no length, because its writer could not go back."""
    command = ["sox", write_audio(tmp_path / "tone.wav"), "-t", "wav", "-"]
    (tmp_path / "a.wav").write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert len(read(tmp_path / "a.wav").samples) == 16000


def test_a_damaged_flac_is_truncated(tmp_path: Path, write_audio: Callable[..., Path]):
    source = write_audio(tmp_path / "a.flac", seconds=5)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(TruncatedAudioError):
        read(source)


def test_samples_that_are_no_numbers_do_no_harm(tmp_path: Path):
    """The gates reject such audio by its source; the samples must still be samples."""
    samples = np.full(16000, 0.25, "float32")
    samples[[5, 6, 7]] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    audio = read(tmp_path / "a.wav")
    assert audio.samples[4:9].tolist() == [8192, 0, 32767, -32768, 8192]
    assert np.count_nonzero(np.isfinite(audio.source)) == 16000 - 3

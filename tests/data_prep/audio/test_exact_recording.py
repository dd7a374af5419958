"""WAV, FLAC, AIFF and other exact formats: read to their end whatever the header says, and named if truncated."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.reader import AudioReader
from odd_audio import speak, write
from read_lengths import RATE, prepare, sox, transcribe


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("length", [0, 2_000_000_000])
def test_a_wav_whose_header_has_no_length_is_read_to_the_end(tmp_path, subtype, length):
    samples = speak(2, RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    whole = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    size = len(content) - at - 4
    content = content[: at + 4 + min(size, 2 * RATE * (4 if subtype == "FLOAT" else 3 if subtype == "PCM_24" else 2))]
    if subtype == "ULAW":
        content = content[: at + 4 + 2 * RATE]
    content[at : at + 4] = struct.pack("<I", length)
    path = write(tmp_path / "b.wav", bytes(content))
    with AudioReader(tmp_path) as reader:
        audio = reader.read(str(path))
        assert len(audio.samples) == 2 * RATE and not audio.ready and "read to the end" in str(audio.note)
        assert np.abs(audio.samples / 32768 - whole).max() < 1e-4
    seconds, warning = transcribe(path)
    assert seconds == 2 and str(warning).startswith("unclear_header: its header gives a length of")


def test_wav_headers_that_say_too_little(tmp_path):
    soundfile.write(tmp_path / "a.wav", speak(2, RATE), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = struct.pack("<I", 16_000)
    path = write(tmp_path / "b.wav", bytes(content))
    assert prepare(path, tmp_path) == 2 and "16000 bytes of audio, 64000 are there" in str(transcribe(path)[1])
    tagged = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 9000) + bytes(9000)
    assert prepare(write(tmp_path / "c.wav", tagged), tmp_path) == 2
    assert transcribe(tmp_path / "c.wav") == (2, None)


def test_joined_wav_and_flac_files_are_read_whole(tmp_path):
    first, second = speak(1, RATE), speak(2, RATE, seed=1)
    for name in ("a.wav", "a.flac"):
        parts = []
        for samples in (first, second):
            soundfile.write(tmp_path / name, samples, RATE)
            parts.append((tmp_path / name).read_bytes())
        path = write(tmp_path / f"joined_{name}", b"".join(parts))
        with AudioReader(tmp_path) as reader:
            samples = reader.read(str(path)).samples / 32768
        assert np.abs(samples - np.concatenate([first, second])).max() < 1e-4
        assert transcribe(path)[0] == 3
    soundfile.write(tmp_path / "b.wav", second, 8000)
    other = write(tmp_path / "other.wav", parts_of(tmp_path, "a.wav") + parts_of(tmp_path, "b.wav"))
    assert prepare(other, tmp_path) == "truncated_audio"
    seconds, warning = transcribe(other)
    assert seconds == 2 and "another rate" in str(warning)


def parts_of(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["a.aiff", "a.au", "a.caf", "a.w64", "a.flac", "a.rf64"])
def test_cut_files_of_exact_formats_are_truncated(tmp_path, name):
    container = {"a.rf64": "RF64", "a.w64": "W64"}.get(name)
    soundfile.write(tmp_path / name, speak(2, RATE), RATE, format=container, subtype="PCM_16")
    assert prepare(tmp_path / name, tmp_path) == 2 and transcribe(tmp_path / name) == (2, None)
    content = (tmp_path / name).read_bytes()
    path = write(tmp_path / f"cut_{name}", content[: int(len(content) * 0.7)])
    assert prepare(path, tmp_path) == "truncated_audio"
    seconds, warning = transcribe(path)
    assert 1 < seconds < 1.6 and warning


def test_a_flac_from_a_pipe_has_no_length_and_is_read(tmp_path):
    soundfile.write(tmp_path / "a.flac", speak(2, RATE), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path = write(tmp_path / "b.flac", bytes(content))
    assert prepare(path, tmp_path) == 2 and transcribe(path) == (2, None)


def test_a_flac_whose_header_says_too_little_is_read_to_the_end(tmp_path):
    soundfile.write(tmp_path / "a.flac", speak(40, RATE), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[22:26] = struct.pack(">I", 5 * RATE)
    path = write(tmp_path / "b.flac", bytes(content))
    assert prepare(path, tmp_path) == 40
    seconds, warning = transcribe(path)
    assert seconds == 40 and str(warning).startswith("unclear_header: its header gives 80000 samples")
    assert prepare(tmp_path / "a.flac", tmp_path) == 40 and transcribe(tmp_path / "a.flac") == (40, None)


@pytest.mark.parametrize("container", ["aiff", "au", "caf", "w64", "flac", "ogg", "sph", "wav", "mp3", "ircam", "wve"])
def test_what_sox_writes_to_a_pipe_is_read_whole(tmp_path, voice, container):
    """Its header has no length, or a wrong one: sox could not go back to write it."""
    rate = 8000 if container == "wve" else 16_000
    sox(voice, "-r", rate, "-t", container, "-", stdout=tmp_path / f"a.{container}")
    padding = 0.11 if container == "mp3" else 0.01
    assert prepare(tmp_path / f"a.{container}", tmp_path) == pytest.approx(6, abs=padding)
    assert transcribe(tmp_path / f"a.{container}") == (pytest.approx(6, abs=padding), None)
    if container in ("caf", "w64"):  # the second header is not sound
        sox(voice, "-r", rate, tmp_path / "a.wav")
        with AudioReader(tmp_path) as reader:
            piped, plain = (reader.read(str(tmp_path / f"a.{name}")).samples for name in (container, "wav"))
        assert len(piped) == len(plain) and np.abs(piped.astype(int) - plain).max() <= 2  # sox dithers


def test_cut_sphere_is_truncated(tmp_path):
    soundfile.write(tmp_path / "a.wav", speak(2, RATE), RATE)
    sox(tmp_path / "a.wav", tmp_path / "a.sph")
    assert prepare(tmp_path / "a.sph", tmp_path) == 2
    content = (tmp_path / "a.sph").read_bytes()
    path = write(tmp_path / "b.sph", content[: len(content) // 2])
    assert prepare(path, tmp_path) == "truncated_audio"
    assert transcribe(path)[0] == pytest.approx(1, abs=0.02)

"""What a file is, by its content: every kind of recording under any name, and nothing that is none."""

import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.formats import identify, is_recording
from data_prep.audio.opening import open_recording
from odd_audio import encode, pack_caf, speak, write

ENCODED = [  # FFmpeg's container, codec, rate, the name that is expected
    ("mp3", "libmp3lame", 44_100, "MP3"),
    ("mp2", "mp2", 44_100, "MP3"),
    ("adts", "aac", 44_100, "AAC"),
    ("ipod", "aac", 44_100, "MPEG-4 (m4a, mp4, mov, 3gp)"),
    ("mov", "aac", 44_100, "MPEG-4 (m4a, mp4, mov, 3gp)"),
    ("3gp", "aac", 44_100, "MPEG-4 (m4a, mp4, mov, 3gp)"),
    ("webm", "libopus", 48_000, "Matroska (mkv, webm)"),
    ("matroska", "flac", 44_100, "Matroska (mkv, webm)"),
    ("ogg", "libopus", 48_000, "Ogg"),
    ("asf", "wmav2", 44_100, "Windows Media (wma, wmv, asf)"),
    ("avi", "libmp3lame", 44_100, "AVI"),
    ("flv", "aac", 44_100, "Flash video"),
    ("mpegts", "aac", 44_100, "MPEG-TS"),
    ("vob", "ac3", 48_000, "MPEG-PS (mpg, vob)"),
    ("ac3", "ac3", 48_000, "AC-3"),
    ("eac3", "eac3", 44_100, "E-AC-3"),
    ("amr", "libopencore_amrnb", 8_000, "AMR"),
    ("wv", "wavpack", 44_100, "WavPack"),
    ("tta", "tta", 44_100, "True Audio"),
    ("caf", "pcm_s16be", 44_100, "CAF"),
    ("au", "pcm_s16be", 44_100, "AU"),
]


@pytest.mark.parametrize(("container", "codec", "rate", "name"), ENCODED)
def test_a_recording_is_known_and_read_under_any_name(tmp_path, container, codec, rate, name):
    bit_rate = 12_200 if codec == "libopencore_amrnb" else 96_000
    path = write(tmp_path / "film.bin", encode(speak(2, rate), rate, container, codec, bit_rate=bit_rate))
    with path.open("rb") as file:
        found = identify(file)
    assert found is not None and found.name == name and is_recording(path)
    recording = open_recording(path)
    frames = sum(len(block) for block in recording.iterate(0, None, 10_000))
    recording.close()
    assert frames / recording.rate == pytest.approx(2, abs=0.16) and not recording.faults


@pytest.mark.parametrize("container", ["matroska", "mov", "avi", "flv", "mpegts", "mp4"])
def test_the_sound_of_a_film_is_read(tmp_path, container):
    codec = "libmp3lame" if container in ("avi", "flv") else "aac"
    path = write(tmp_path / "film", encode(speak(2, 44_100), 44_100, container, codec, picture=True))
    recording = open_recording(path)
    frames = sum(len(block) for block in recording.iterate(0, None, 10_000))
    recording.close()
    assert frames / recording.rate == pytest.approx(2, abs=0.16) and not recording.faults


def test_a_film_with_two_sound_tracks_says_that_one_is_read(tmp_path):
    path = write(tmp_path / "film.mkv", encode(speak(1, 48_000), 48_000, "matroska", "libopus", tracks=2))
    recording = open_recording(path)
    assert recording.note == "2 audio tracks: one is read"
    recording.close()


def test_exact_formats_are_known(tmp_path):
    for name, container in (
        ("WAV", None),
        ("FLAC", "FLAC"),
        ("AIFF", "AIFF"),
        ("AU", "AU"),
        ("CAF", "CAF"),
        ("W64", "W64"),
        ("RF64", "RF64"),
        ("NIST SPHERE", "NIST"),
        ("VOC", "VOC"),
        ("IRCAM", "IRCAM"),
        ("IFF 8SVX", "SVX"),
        ("Ogg", "OGG"),
        ("MP3", "MP3"),
    ):
        soundfile.write(tmp_path / "a", speak(1, 16_000), 16_000, format=container or "WAV")
        with (tmp_path / "a").open("rb") as file:
            found = identify(file)
        assert found is not None and found.name == name
        recording = open_recording(tmp_path / "a")
        assert recording.read(0, None).shape[0] == pytest.approx(16_000, abs=2000), name
        recording.close()
    with io.BytesIO(pack_caf(speak(1))) as file:
        assert identify(file).name == "CAF"


def test_tags_before_a_recording_hide_nothing(tmp_path):
    tag = b"ID3\x04\0\0" + bytes([0, 5, 0, 0]) + bytes(5 << 14)  # a picture of 80 KB
    for container, codec in (("mp3", "libmp3lame"), ("adts", "aac")):
        path = write(tmp_path / "a", tag + encode(speak(2, 44_100), 44_100, container, codec))
        recording = open_recording(path)
        assert sum(map(len, recording.iterate(0, None, 10_000))) / 44_100 == pytest.approx(2, abs=0.16)
        recording.close()
    soundfile.write(tmp_path / "a.flac", speak(1, 16_000), 16_000)
    recording = open_recording(write(tmp_path / "b.flac", tag + (tmp_path / "a.flac").read_bytes()))
    assert recording.read(0, None).shape == (16_000, 1)
    recording.close()


def other_files() -> dict[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "text" * 1000)
    pixels = zlib.compress(np.random.default_rng(0).bytes(300_000))
    picture = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", len(pixels), b"IDAT") + pixels
    return {
        "notes.txt": "यह एक वाक्य है।\n".encode() * 500,
        "list.txt": b"/x/a.wav\nb.flac\n",
        "manifest.json": json.dumps({"audio_filepath": "a.wav"}).encode() * 300,
        "photo.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + np.random.default_rng(2).bytes(200_000),
        "chart.png": picture,
        "book.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + np.random.default_rng(3).bytes(200_000),
        "archive.zip": packed.getvalue(),
        "text.gz": gzip.compress(os.urandom(0) + b"text" * 9999),
        "model.nemo": np.random.default_rng(4).bytes(300_000),
        "weights.bin": np.random.default_rng(5).standard_normal(50_000).astype("float32").tobytes(),
        "half.bin": np.random.default_rng(6).standard_normal(90_000).astype("float16").tobytes(),
        "zeros": bytes(100_000),
        "ones": b"\xff" * 100_000,
        "empty": b"",
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "concat": b"ffconcat version 1.0\nfile a.wav\n",
        "stream.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        "subtitles.srt": "1\n00:00:00,000 --> 00:00:01,000\nयह\n".encode() * 50,
    }


@pytest.mark.parametrize("name", list(other_files()))
def test_other_files_are_not_recordings(tmp_path: Path, name: str):
    path = write(tmp_path / name, other_files()[name])
    assert not is_recording(path)
    with path.open("rb") as file:
        assert identify(file) is None


def test_headerless_samples_are_not_taken_for_frames():
    """Half a minute of 16-bit noise, and of a real tone, has no frames in a row."""
    for samples in (np.random.default_rng(1).normal(0, 3000, 480_000), 20_000 * speak(30, 16_000)):
        assert identify(io.BytesIO(samples.astype("<i2").tobytes())) is None


def test_pipes_and_folders_are_not_recordings(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_recording(tmp_path / "pipe") and not is_recording(tmp_path) and not is_recording(tmp_path / "absent")
    assert is_recording(tmp_path / "absent.WAV"), "a name alone says it where there is nothing to look at"

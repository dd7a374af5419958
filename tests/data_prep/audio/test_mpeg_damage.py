"""Changed bits inside MP3 frames: what the checksum of the index, and the frames themselves, tell."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.crc16 import compute_crc_16
from data_prep.audio.errors import DamagedAudioError
from data_prep.audio.mpeg_frames import walk_frames
from data_prep.audio.reader import AudioReader
from data_prep.audio.reading_plan import GAIN_CHANGED
from data_prep.audio.waveform import UNCLEAR_HEADER, WaveformStream
from odd_audio import encode, speak, write

RATE = 16_000


def compute_bit_by_bit(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def test_the_checksum_is_crc_16():
    """0xBB3D is the check value of CRC-16/ARC in the catalogue of parametrised CRC algorithms (reveng)."""
    assert compute_crc_16(b"123456789") == 0xBB3D
    generator = np.random.default_rng(0)
    for count in (0, 1, 2, 3, 255, 256, 257, 5000):
        data = generator.bytes(count)
        assert compute_crc_16(data) == compute_bit_by_bit(data)
        assert compute_crc_16(data[count // 3 :], compute_crc_16(data[: count // 3])) == compute_bit_by_bit(data)
    large = generator.bytes((1 << 20) + 7)
    assert compute_crc_16(large) == compute_crc_16(large[5:], compute_crc_16(large[:5]))


def make_mp3(writer: str) -> bytes:
    samples = speak(6, RATE)
    if writer == "ffmpeg":
        return encode(samples, RATE, "mp3", "libmp3lame")
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="MP3")
    return out.getvalue()


@pytest.mark.parametrize("writer", ["ffmpeg", "lame"])
def test_one_changed_bit_is_noticed(tmp_path: Path, writer: str):
    content = make_mp3(writer)
    path = write(tmp_path / "a.mp3", content)
    whole = WaveformStream(path)
    assert sum(map(len, whole)) == 6 * RATE and whole.warning is None
    generator = np.random.default_rng(0)
    for _ in range(5):
        changed = bytearray(content)
        changed[int(generator.integers(len(content) // 2, len(content) - 500))] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        stream = WaveformStream(path)
        assert sum(map(len, stream)) > 5 * RATE and str(stream.warning).startswith("damaged_audio: ")
        with AudioReader(tmp_path) as reader, pytest.raises(DamagedAudioError):
            reader.read(str(path))


def test_segments_of_a_recording_with_a_changed_bit_are_kept(tmp_path: Path):
    """Where the bit is, is not known; most segments are sound."""
    content = bytearray(make_mp3("lame"))
    for at in range(len(content) - 700, len(content) - 600):
        changed = bytearray(content)
        changed[at] ^= 1
        (walk,) = walk_frames(io.BytesIO(changed), 0, len(changed), "mpeg")
        if walk.is_changed and not (walk.damage or walk.impossible):
            break
    path = write(tmp_path / "a.mp3", bytes(changed))
    with AudioReader(tmp_path) as reader:
        assert len(reader.read(str(path), 1.0, 2.0).samples) == 2 * RATE
    stream = WaveformStream(path, 1.0, 2.0)
    assert sum(map(len, stream)) == 2 * RATE and stream.warning is None


def test_a_changed_gain_is_no_damage(tmp_path: Path):
    """mp3gain writes into the frames, and a tag behind them."""
    content = bytearray(make_mp3("lame"))
    (walk,) = walk_frames(io.BytesIO(content), 0, len(content), "mpeg")
    content[walk.places[80] + 60] ^= 1  # behind the frame's header
    tag = (
        b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16) + b"MP3GAIN_UNDO".ljust(32)
    )
    (walk,) = walk_frames(io.BytesIO(content + tag), 0, len(content + tag), "mpeg")
    assert not walk.is_changed and walk.gain_changed
    (walk,) = walk_frames(io.BytesIO(content), 0, len(content), "mpeg")
    assert walk.is_changed and not walk.gain_changed
    path = write(tmp_path / "a.mp3", bytes(content + tag))
    with AudioReader(tmp_path) as reader:
        audio = reader.read(str(path))
        assert len(audio.samples) == 6 * RATE and audio.note == GAIN_CHANGED
    assert "mp3gain" in GAIN_CHANGED
    stream = WaveformStream(path)
    assert sum(map(len, stream)) == 6 * RATE and stream.warning == f"{UNCLEAR_HEADER}: {GAIN_CHANGED}"
    (walk,) = walk_frames(io.BytesIO(make_mp3("lame") + tag), 0, len(content + tag), "mpeg")
    assert not walk.gain_changed, "the checksum fits: what the tag says was undone"


def test_a_frame_that_claims_more_than_it_has_room_for_is_damage(tmp_path: Path):
    """Without an index there is no checksum; a length of 4095 bits in a frame of 96 kbit/s contradicts itself."""
    content = bytearray(encode(speak(4, RATE), RATE, "mp3", "libmp3lame", {"write_xing": "0"}, bit_rate=32_000))
    (walk,) = walk_frames(io.BytesIO(content), 0, len(content), "mpeg")
    assert walk.checksum is None and not walk.impossible
    length = 144  # bytes of a frame at 32 kbit/s and 16 kHz
    start = walk.start + 50 * length
    assert content[start : start + 2] == content[walk.start : walk.start + 2]
    # behind the header of 4 bytes: 8 bits begin, 1 private, then 12 of the length
    content[start + 4 + 1] |= 0x7F
    content[start + 4 + 2] |= 0xF8
    (walk,) = walk_frames(io.BytesIO(content), 0, len(content), "mpeg")
    assert walk.impossible == [pytest.approx(50 * 576 / RATE)]
    stream = WaveformStream(write(tmp_path / "a.mp3", bytes(content)))
    list(stream)
    assert "contradict themselves" in str(stream.warning)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_sound_files_are_not_suspected(rate: int, channels: int):
    samples = np.random.default_rng(0).standard_normal((2 * rate, channels)).astype("float32") * 0.1
    samples[: rate // 2] = 0
    for options in ({"write_xing": "0"}, {}):
        for bit_rate in (24_000, 64_000, 160_000):
            content = encode(samples, rate, "mp3", "libmp3lame", options, bit_rate=bit_rate)
            (walk,) = walk_frames(io.BytesIO(content), 0, len(content), "mpeg")
            assert not (walk.impossible or walk.damage or walk.is_changed)

"""Walks the frames of MP3 (MPEG audio, all layers) and AAC (ADTS) files: how many there are, and whether one is cut.

Nothing is decoded: each frame's header gives its length, so an hour of audio takes a fraction of a second. An MP3's
index (Xing, Info, VBRI) is compared with this count.
"""

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO

from data_prep.audio.mpeg_checksum import StoredChecksum, read_checksum, was_gain_changed
from data_prep.audio.mpeg_side_info import find_contradictions

_KBPS = {  # (version 1?, layer): bit rates of indices 1 to 14; ISO/IEC 11172-3 and 13818-3
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_TRAILERS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI", b"ID3")  # tags behind the audio
_INDEX_NAME = re.compile(rb"Xing|Info|VBRI")
_INDEX_BYTES = 36  # from a frame's beginning to the name of its index, at most
_READ_BYTES = 1 << 20
_HEADER_BYTES = 7  # of ADTS; MPEG's has 4
_LONGEST_FRAME = 8192  # ADTS; 13 bits give the length


@dataclass
class FrameWalk:
    """Facts about the frames of one stream.

    Attributes:
        frames: Number of whole frames, the index frame left out.
        samples_per_frame: Samples of each channel in a frame.
        rate: Sampling rate in hertz; that of the first frame.
        indexed: Number of frames that the stream's index gives; `None` without one.
        gapless: Whether the index is one that decoders trim by (LAME's).
        regular: Whether all frames have the first one's rate and channels.
        cut: Whether the file ends within a frame.
        damage: Where other bytes come between two frames, in seconds from the stream's beginning.
        impossible: Where frames contradict themselves, in seconds from the stream's beginning.
        checksum: What its index holds of it; `None` if it holds none.
        is_changed: Whether the checksum tells of changed bits.
        gain_changed: Whether it tells nothing, because mp3gain changed the gain in the frames.
        places: First byte of each frame.
        start: First byte of the stream.
        end: Byte behind its last frame.
    """

    frames: int = 0
    samples_per_frame: int = 0
    rate: int = 0
    indexed: int | None = None
    gapless: bool = False
    regular: bool = True
    cut: bool = False
    damage: list[float] = field(default_factory=list)
    impossible: list[float] = field(default_factory=list)
    checksum: StoredChecksum | None = None
    is_changed: bool = False
    gain_changed: bool = False
    places: list[int] = field(default_factory=list, repr=False)
    start: int = 0
    end: int = 0

    @property
    def seconds(self) -> float:
        return self.frames * self.samples_per_frame / self.rate if self.rate else 0.0


@cache
def _parse_mpeg(first: int, second: int, third: int) -> tuple[int, int, int, int] | None:
    """Return length, samples, rate and version of the frame with these header bytes (the first is 0xFF)."""
    version, layer = first >> 3 & 3, 4 - (first >> 1 & 3)
    rate_index, bit_rate = second >> 2 & 3, second >> 4
    if first & 0xE0 != 0xE0 or version == 1 or layer == 4 or rate_index == 3 or not 0 < bit_rate < 15:
        return None
    rate = _RATES_HZ[version][rate_index]
    bits = _KBPS[version == 3, layer][bit_rate - 1] * 1000
    padding = second >> 1 & 1
    if layer == 1:
        return (12 * bits // rate + padding) * 4, 384, rate, third
    samples = 1152 if layer == 2 or version == 3 else 576
    return samples // 8 * bits // rate + padding, samples, rate, third


def _parse_adts(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    rate_index = data[at + 2] >> 2 & 15
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if data[at + 1] & 0xF6 != 0xF0 or rate_index > 12 or length < 7:
        return None
    rates = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
    return length, 1024 * (1 + (data[at + 6] & 3)), rates[rate_index], data[at + 2] & 1 << 2 | data[at + 3] >> 6


def _parse(data: bytes, at: int, kind: str) -> tuple[int, int, int, int] | None:
    """Return length, samples, rate and channel bits of the frame at a position, if one begins there."""
    if at + _HEADER_BYTES > len(data) or data[at] != 0xFF:
        return None
    if kind == "adts":
        return _parse_adts(data, at)
    return _parse_mpeg(data[at + 1], data[at + 2], data[at + 3] >> 6 == 3)


def begins_with_frames(data: bytes, at: int, kind: str, in_a_row: int) -> bool:
    """Whether `in_a_row` frames of kind `mpeg` or `adts` follow one another, or fewer are all of the data."""
    place, found = at, 0
    while found < in_a_row and (frame := _parse(data, place, kind)):
        place, found = place + frame[0], found + 1
    return found == in_a_row or (found > 0 and at == 0 and place == len(data))


def find_first_frame(data: bytes, kind: str, in_a_row: int) -> int | None:
    """Find where frames begin, see `begins_with_frames`."""
    at = data.find(b"\xff")
    while at >= 0:
        if begins_with_frames(data, at, kind, in_a_row):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def walk_frames(file: BinaryIO, start: int, size: int, kind: str) -> list[FrameWalk]:
    """Walk the frames of an MP3 or ADTS file.

    Args:
        file: The file.
        start: Where to begin, behind tags.
        size: Size of the file in bytes.
        kind: `mpeg` or `adts`.

    Returns:
        The streams, one after another where files were joined (`cat a.mp3 b.mp3`: each has an index, or tags between
        them); empty if no frame is found.
    """
    walks: list[FrameWalk] = []
    window = _Window(file, size)
    at, first_bits = start, (0, 0)
    while at < size:
        data, base = window.around(at)
        frame = _parse(data, at - base, kind)
        if frame is None:
            behind = _skip_tag(data, at - base, size - base)
            if behind is None:
                resumed = _resync(window, at + 1, kind, size)
                if resumed is None:
                    if walks and base + len(data) == size and data[at - base] == 0xFF and size - at < _HEADER_BYTES:
                        walks[-1].cut = True
                    break
                if walks and walks[-1].frames:
                    walks[-1].damage.append(walks[-1].seconds)
                at = resumed
            else:
                at = base + behind
                if at < size and walks:
                    walks.append(FrameWalk(start=at, end=at))
            continue
        length, samples, rate, bits = frame
        index = _read_index(data, at - base) if kind == "mpeg" and window.has_index(at) else None
        if not walks or (index and walks[-1].frames):
            walks.append(FrameWalk(start=at, end=at))
        walk = walks[-1]
        if at + length > size:
            walk.cut = True
            break
        if not walk.rate:
            walk.samples_per_frame, walk.rate, first_bits = samples, rate, (rate, bits)
        walk.regular &= first_bits == (rate, bits)
        if index and not walk.frames:
            walk.indexed, walk.gapless = index[:2] if index[0] >= 0 else (None, False)
            walk.checksum = read_checksum(data, index[2], at + length)
        else:
            walk.frames += 1
            walk.places.append(at)
        at += length
        walk.end = at
    found = [walk for walk in walks if walk.frames]
    for walk in found if kind == "mpeg" else ():
        _judge(file, walk)
    return found


def _judge(file: BinaryIO, walk: FrameWalk) -> None:
    """Look for changed bits: by the checksum, then, if there is none or it does not fit, frame by frame."""
    checksum = walk.checksum
    is_sound = checksum.compare(file, walk.start, walk.end) if checksum else None
    walk.is_changed = is_sound is False
    walk.gain_changed = checksum is not None and is_sound is None and was_gain_changed(file)
    if is_sound:
        return
    ends = [*walk.places[1:], walk.end]
    first = 0
    while first < walk.frames:
        begin = walk.places[first]
        last = max(first + 1, bisect_right(walk.places, begin + _READ_BYTES))
        file.seek(begin)
        data = file.read(ends[last - 1] - begin)
        starts = [place - begin for place in walk.places[first:last]]
        lengths = [end - place for place, end in zip(walk.places[first:last], ends[first:last], strict=True)]
        for at in find_contradictions(data, starts, lengths):
            walk.impossible.append((first + int(at)) * walk.samples_per_frame / walk.rate)
        first = last


class _Window:
    """A part of a large file in memory that follows the reading position."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._data, self._base = b"", 0
        self._names: list[int] = []

    def has_index(self, at: int) -> bool:
        """Whether the name of an index is where a frame that begins at a position would have it."""
        if not self._names or at >= self._names[-1]:  # nearly always: the index is in front
            return False
        return any(at < name <= at + _INDEX_BYTES for name in self._names)

    def around(self, at: int) -> tuple[bytes, int]:
        """Return bytes that hold a frame's header and index at a position, and the position of the first of them."""
        held = self._base + len(self._data)
        if not (self._base <= at and (at + _LONGEST_FRAME <= held or held == self._size)):
            self._file.seek(at)
            self._data, self._base = self._file.read(_READ_BYTES), at
            self._names = [at + found.start() for found in _INDEX_NAME.finditer(self._data)]
        return self._data, self._base


def _read_index(data: bytes, at: int) -> tuple[int, bool, int] | None:
    """Return the frames that a Xing, Info or VBRI header counts, whether it is LAME's, and its place; or `None`."""
    if data[at + 36 : at + 40] == b"VBRI" and len(data) >= at + 54:
        return struct.unpack_from(">I", data, at + 50)[0], False, len(data)
    mono, version_1 = data[at + 3] >> 6 == 3, data[at + 1] >> 3 & 3 == 3
    place = at + 4 + ((17 if mono else 32) if version_1 else (9 if mono else 17))
    if data[place : place + 4] not in (b"Xing", b"Info") or len(data) < place + 12:
        return None
    flags, frames = struct.unpack_from(">II", data, place + 4)
    return (frames, True, place) if flags & 1 else (-1, False, place)


def _skip_tag(data: bytes, at: int, end: int) -> int | None:
    """Return where the tag, or the padding of zeros, that begins at a position ends; `None` if neither does."""
    rest = data[at : at + 32]
    if rest.startswith(b"ID3") and len(rest) >= 10:
        return at + 10 + (rest[6] << 21 | rest[7] << 14 | rest[8] << 7 | rest[9])
    if rest.startswith(b"TAG"):
        return at + 128
    if rest.startswith(b"APETAGEX") and len(rest) >= 16:
        return at + 32 + struct.unpack_from("<I", rest, 12)[0]
    if rest.startswith(_TRAILERS) or not data[at:].strip(b"\0"):
        return end
    return None


def _resync(window: _Window, at: int, kind: str, size: int) -> int | None:
    while at < size:
        data, base = window.around(at)
        found = find_first_frame(data[at - base :], kind, 2)
        if found is not None:
            return at + found
        at = base + max(len(data) - _LONGEST_FRAME, at - base + 1) if base + len(data) < size else size
    return None

"""The checksum that LAME and FFmpeg write into an MP3's index: it detects every changed bit in the audio.

It is compared only if the index still describes the file: the audio has the length that the index gives, and no
program has changed the gain in the frames (mp3gain does, and writes a tag that says so).
"""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from data_prep.audio.crc16 import compute_crc_16

_ALL_FIELDS = 15  # flags of an index that holds frames, bytes, seek table and quality; the encoder's own fields follow
_ENCODERS = (b"LAME", b"Lavf", b"Lavc")
_GAIN_CHANGED = b"MP3GAIN_"
_TAG_BYTES = 8192  # at both ends of a file, where tags are
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredChecksum:
    """The facts about a stream in its index.

    Attributes:
        length: Bytes of the stream, with the index frame.
        crc: CRC-16 of the frames behind the index frame.
        start: Byte of the file at which these frames begin.
    """

    length: int
    crc: int
    start: int

    def compare(self, file: BinaryIO, start: int, end: int) -> bool | None:
        """Compare it with the audio.

        Args:
            file: The file.
            start: First byte of the stream.
            end: Byte behind its last frame.

        Returns:
            Whether the audio is unchanged; `None` if the checksum says nothing of it.
        """
        if end - start != self.length:
            return None
        file.seek(self.start)
        crc, at = 0, self.start
        while at < end:
            block = file.read(min(_READ_BYTES, end - at))
            if not block:
                return None
            crc, at = compute_crc_16(block, crc), at + len(block)
        return True if crc == self.crc else None if was_gain_changed(file) else False


def read_checksum(data: bytes, place: int, start: int) -> StoredChecksum | None:
    """Read the checksum of an index.

    Args:
        data: Bytes that hold the index.
        place: Where its name (`Xing` or `Info`) begins in them.
        start: Byte of the file at which the frames behind the index frame begin.

    Returns:
        The checksum; `None` if the index has none.
    """
    if len(data) < place + 156 or struct.unpack_from(">I", data, place + 4)[0] & _ALL_FIELDS != _ALL_FIELDS:
        return None
    length, crc = struct.unpack_from(">IH", data, place + 148)
    return StoredChecksum(length, crc, start) if data[place + 120 : place + 124] in _ENCODERS and length else None


def was_gain_changed(file: BinaryIO) -> bool:
    """Whether a tag says that a program has changed the gain in the frames."""
    file.seek(0)
    head = file.read(_TAG_BYTES)
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAG_BYTES))
    return _GAIN_CHANGED in head.upper() or _GAIN_CHANGED in file.read(_TAG_BYTES).upper()

"""CRC-16 (polynomial 0x8005, bits reversed, initial value 0) of bytes in memory, as in LAME's tags.

NumPy computes it in a tree: the checksums of all pairs of bytes at once, then of all pairs of those. Leading zeros do
not change the checksum, so the number of leaves is padded to a power of two. A megabyte takes a few milliseconds; a
loop over its bytes would take a tenth of a second or more.
"""

from functools import cache

import numpy as np

_CHUNK_BYTES = 1 << 20


def compute_crc_16(data: bytes | memoryview, before: int = 0) -> int:
    """Compute the checksum.

    Args:
        data: The bytes.
        before: Checksum of the bytes before them.

    Returns:
        The checksum, 0 to 65535.
    """
    for start in range(0, len(data), _CHUNK_BYTES):
        block = np.frombuffer(data[start : start + _CHUNK_BYTES], np.uint8)
        before = _extend(before, len(block)) ^ _compute_block(block)
    return before


def _compute_block(block: np.ndarray) -> int:
    size = 1 << max(1, (len(block) - 1).bit_length())
    padded = np.zeros(size, np.uint8)
    padded[size - len(block) :] = block
    sums = _append_zeros(1)[padded.view("<u2")]  # two bytes: the first is in the low half, as CRC-16 takes them
    for level in range(1, size.bit_length() - 1):
        sums = _append_zeros(level)[sums[0::2]] ^ sums[1::2]
    return int(sums[0])


def _extend(crc: int, count: int) -> int:
    """Return the checksum after `count` zero bytes more."""
    if count & 1:
        crc = crc >> 8 ^ int(_byte_table()[crc & 0xFF])
    for level in range(1, count.bit_length()):
        if count >> level & 1:
            crc = int(_append_zeros(level)[crc])
    return crc


@cache
def _append_zeros(level: int) -> np.ndarray:
    """Return the table of checksums after 2 ** `level` zero bytes more, uint16 (65536,)."""
    if level == 0:
        values = np.arange(65536, dtype=np.uint16)
        return values >> 8 ^ _byte_table()[values & 0xFF]
    half = _append_zeros(level - 1)
    return half[half]


@cache
def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0xA001, table >> 1).astype(np.uint16)
    return table

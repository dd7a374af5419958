"""Finds MP3 frames whose side information is inconsistent: the changed bits that can be detected without decoding.

MP3 has no checksum over its audio, so every decoder plays most changed bits as a click. But the side information of
each frame says where the parts of its audio begin and how long they are. Changed bits there often give more data than
the frame has room for, or a value that the format does not allow; decoders then mute the frame or make noise. Frames at
a place where files were cut and joined are consistent and therefore not reported.

Source: ISO/IEC 11172-3, section 2.4.1.7, and 13818-3, section 2.4.1.7 (side information of layer III).
"""

from collections.abc import Sequence

import numpy as np

MOST_BIG_VALUES = 288  # pairs of frequency lines: half of 576
_SIDE_BYTES = 32  # of the longest side information


def find_contradictions(data: bytes, starts: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
    """Find the frames of which the side information is impossible.

    Args:
        data: Bytes that hold the frames.
        starts: First byte of each frame.
        lengths: Number of bytes of each frame.

    Returns:
        int64 (n,): positions in `starts`, in order. Frames of layers I and II are not judged.
    """
    content, at = np.frombuffer(data, np.uint8), np.asarray(starts, np.int64)
    second, fourth = content[at + 1], content[at + 3]
    header = np.where(second & 1, 4, 6)  # a checksum follows the header
    places = (at + header)[:, None] + np.arange(_SIDE_BYTES)
    bits = np.unpackbits(content[np.minimum(places, len(content) - 1)], axis=1)
    is_layer_3, is_version_1, is_mono = second >> 1 & 3 == 1, second >> 3 & 3 == 3, fourth >> 6 == 3
    bad = np.zeros(len(at), bool)
    for version_1, channels in ((True, 1), (True, 2), (False, 1), (False, 2)):
        chosen = is_layer_3 & (is_version_1 == version_1) & (is_mono == (channels == 1))
        if chosen.any():
            room = np.asarray(lengths)[chosen] - header[chosen]
            bad[chosen] = _contradicts(bits[chosen], room, version_1, channels)
    return np.flatnonzero(bad)


def _contradicts(bits: np.ndarray, room: np.ndarray, version_1: bool, channels: int) -> np.ndarray:
    """Judge frames of one kind: `room` is the bytes behind header and checksum."""
    if version_1:
        side_bytes, first, granules, step, switch = (17, 18, 2, 59, 33) if channels == 1 else (32, 20, 2, 59, 33)
    else:
        side_bytes, first, granules, step, switch = (9, 9, 1, 63, 38) if channels == 1 else (17, 10, 1, 63, 38)
    before = _read(bits, 0, 9 if version_1 else 8)  # bytes of this frame's audio that are in the frames before it
    wanted = np.zeros(len(bits), np.int64)
    bad = np.zeros(len(bits), bool)
    for part in range(granules * channels):
        at = first + part * step
        wanted += _read(bits, at, 12)
        bad |= _read(bits, at + 12, 9) > MOST_BIG_VALUES
        bad |= (bits[:, at + switch] == 1) & (_read(bits, at + switch + 1, 2) == 0)  # a block type that is reserved
    return bad | (wanted > 8 * (before + room - side_bytes))


def _read(bits: np.ndarray, at: int, width: int) -> np.ndarray:
    """Return the numbers in `width` bits of each row, the highest bit first."""
    return bits[:, at : at + width] @ (1 << np.arange(width)[::-1])

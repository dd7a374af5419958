"""The samples of a WAV file, even if its header gives a wrong number.

Recorders that lose power and programs that write to a pipe leave a length of 0, of 2,000,000,000 or of all ones; joined
files have a second header at which libsndfile stops; a truncated file is shorter than its header says. libsndfile and
sox read too few or too many samples of such files without an error.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from data_prep.audio.errors import Fault

STREAMED_SIZE = 0x7FFFF000  # what programs write that cannot go back: sox from here up, FFmpeg all ones
_ROUND, _ROUND_FROM = 1_000_000, 1_000_000_000  # recorders reserve 2,000,000,000: no true length is so round
_LEAST_REST_S = 0.1  # bytes behind the samples that last less are an editor's leftovers
_SUBTYPES = {  # (format tag, bits): libsndfile's name
    **{(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32"},
    **{(3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"},
}
_SNDFILE_TAGS = (2, 0x11)  # Microsoft's and IMA's ADPCM, which libsndfile reads as well
# GSM 6.10, TrueSpeech, G.723.1, G.729: telephone codecs whose blocks have one size
_BLOCK_TAGS = (0x31, 0x22, 0x42, 0x83)
_EXTENSIBLE = 0xFFFE


@dataclass
class SampleLayout:
    """The place of the samples in a file, and how libsndfile may read them.

    Attributes:
        parts: First byte and end of each run of samples.
        subtype: libsndfile's name of the encoding; empty for a codec that is left to FFmpeg.
        endian: `LITTLE` or `BIG`.
        channels: Number of channels.
        rate: Sampling rate in hertz.
        block: Bytes of a block: a sample of every channel, or what a codec packs together.
        whole_blocks: Whether all blocks have this size, so that a rest is padding.
        plain: Whether libsndfile reads just these samples when it opens the file itself.
        fault: What is wrong with the file, if so.
        note: What its header does not say, if so.
    """

    parts: list[tuple[int, int]] = field(default_factory=list)
    subtype: str = ""
    endian: str = "LITTLE"
    channels: int = 0
    rate: int = 0
    block: int = 1
    whole_blocks: bool = False
    plain: bool = True
    fault: Fault | None = None
    note: str | None = None


def inspect_riff(file: BinaryIO, size: int) -> SampleLayout | None:
    """Find the samples of a WAV or RF64 file.

    Args:
        file: The file, open for reading.
        size: Its size in bytes.

    Returns:
        The layout; `None` if it holds no samples that can be found.
    """
    layout = _inspect_one(file, 0, size)
    while layout is not None and layout.fault is None:
        end = _find_next_file(file, layout, size)
        if end is None:
            break
        following = _inspect_one(file, end, size)
        if following is None:
            break
        if (following.subtype, following.channels, following.rate) != (layout.subtype, layout.channels, layout.rate):
            layout.fault = Fault(
                "a second WAV file with another rate, encoding or number of channels is joined to it; split them"
            )
            break
        layout.parts += following.parts
        layout.plain, layout.fault = False, following.fault
        layout.note = layout.note or "files joined into one: all are read"
    return layout


def _inspect_one(file: BinaryIO, base: int, size: int) -> SampleLayout | None:
    layout, sizes, at = SampleLayout(), {}, base + 12
    file.seek(base)
    big = file.read(4) in (b"RF64", b"BW64")
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"ds64":
            content = file.read(24)
            sizes[b"data"] = struct.unpack_from("<Q", content, 8)[0] if len(content) == 24 else length
        elif name == b"fmt ":
            read_format(layout, file.read(min(length, 40)))
        elif name == b"data":
            if big and length == 0xFFFFFFFF:
                length = sizes.get(b"data", length)
            _place_samples(layout, file, at + 8, length, size)
            return layout if layout.rate else None
        at += 8 + length + length % 2
    return None


def read_format(layout: SampleLayout, content: bytes) -> None:
    """Fill in rate, channels and encoding from the content of a `fmt ` chunk (WAVEFORMATEX)."""
    if len(content) < 16:
        return
    tag, layout.channels, layout.rate, _, layout.block, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack_from("<H", content, 24)[0]
    layout.subtype = _SUBTYPES.get((tag, bits), "ADPCM" if tag in _SNDFILE_TAGS else "")
    layout.block, layout.whole_blocks = max(1, layout.block), tag in _BLOCK_TAGS


def _place_samples(layout: SampleLayout, file: BinaryIO, start: int, length: int, size: int) -> None:
    """Judge the length that the header gives against what is there."""
    there, second = size - start, layout.rate * layout.block
    end = start + length
    is_streamed = length >= STREAMED_SIZE and not (length < there and _is_tail(file, end, size, 0))
    if length == 0 and there > 0 and not _is_tail(file, start, size, second):
        layout.parts, layout.plain = [(start, size)], False
        layout.note = "its header gives a length of 0: read to the end of the file"
    elif length > there and length >= _ROUND_FROM and length % _ROUND == 0:
        layout.parts, layout.plain = [(start, size)], False
        layout.note = (
            f"its header gives a length of {length:,} bytes, which is a placeholder: read to the end of the file"
        )
    elif is_streamed:
        layout.parts, layout.plain = [(start, size)], length >= there
    elif length > there:
        layout.parts = [(start, size)]
        layout.fault = Fault(f"{there} of {length} bytes of audio are there")
    elif not _is_tail(file, end, size, second) and _find_riff(file, end) is None:
        layout.parts, layout.plain = [(start, size)], False
        layout.note = f"its header gives {length} bytes of audio, {there} are there: read to the end of the file"
    else:
        layout.parts = [(start, end)]


def _is_tail(file: BinaryIO, at: int, size: int, second: int) -> bool:
    """Whether audio no longer follows: the file ends, or further chunks or an editor's leftovers come."""
    if size - at < max(_LEAST_REST_S * second, 8):
        return True
    for place in (at, at + at % 2):  # the odd byte of padding is often left out
        file.seek(place)
        head = file.read(8)
        if len(head) == 8 and head[:4].isascii() and head[:4].decode("ascii").isprintable() and head[:4] != b"RIFF":
            return struct.unpack_from("<I", head, 4)[0] <= size - place - 8
    return False


def _find_riff(file: BinaryIO, at: int) -> int | None:
    for place in (at, at + at % 2):
        file.seek(place)
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return place
    return None


def _find_next_file(file: BinaryIO, layout: SampleLayout, size: int) -> int | None:
    """Find a WAV file that begins behind the samples and the chunks that follow them."""
    at = layout.parts[-1][1]
    while at + 12 <= size:
        if (found := _find_riff(file, at)) is not None:
            return found
        file.seek(at + at % 2)
        name, length = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return None
        at += at % 2 + 8 + length
    return None

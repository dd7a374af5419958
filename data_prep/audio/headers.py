"""Compares the length in the header of AIFF, AU, CAF, W64, SPHERE and FLAC files with the length of the file.

libsndfile reads these formats exactly, but reads a truncated file as a shorter recording. Contents that only FFmpeg
decodes (MPEG-4 audio or Opus in CAF, FLAC of unknown length) are passed to FFmpeg.
"""

import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from data_prep.audio import formats
from data_prep.audio.errors import Fault
from data_prep.audio.formats import AudioFormat
from data_prep.audio.riff import STREAMED_SIZE, SampleLayout, inspect_riff, read_format

_CAF_CODECS = (b"lpcm", b"alaw", b"ulaw", b"alac")  # that libsndfile decodes
_AIFC_CODECS = (
    *(b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"23ni", b"42ni", b"fl32", b"FL32", b"fl64", b"FL64"),
    *(b"ulaw", b"ULAW", b"alaw", b"ALAW"),
)
_LAST_HEADER_BYTES = 1 << 14
_LAST_FLAC_BYTES = 1 << 17  # holds a frame of any usual length
_FLAC_AGAIN = re.compile(rb"fLaC[\0\x80]\0\0\x22")  # the marker and the first metadata block


def inspect_header(file: BinaryIO, size: int, found: AudioFormat) -> SampleLayout | None:
    """Judge the header of a file that libsndfile may read.

    Args:
        file: The file, open for reading.
        size: Its size in bytes.
        found: Its format.

    Returns:
        The layout. `subtype` is empty if FFmpeg is to decode it. `None`: the format is none of these, or the header
        makes no sense.
    """
    if found in (formats.WAV, formats.RF64):
        return inspect_riff(file, size)
    inspect = _INSPECTIONS.get(found)
    return inspect(file, size) if inspect else None


def _judge(start: int, length: int, size: int, subtype: str = "any") -> SampleLayout:
    """Compare a length in bytes with the file's; 0 and what no file has are placeholders."""
    layout = SampleLayout(parts=[(start, size)], subtype=subtype)
    if 0 < length < STREAMED_SIZE and length > size - start:
        layout.fault = Fault(f"{max(0, size - start)} of {length} bytes of audio are there")
    return layout


def _inspect_aiff(file: BinaryIO, size: int) -> SampleLayout | None:
    at, subtype, counted = 12, "any", 0
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(">4sI", file.read(8))
        if name == b"COMM":
            content = file.read(min(length, 22)).ljust(22, b"\0")
            channels, frames, bits = struct.unpack_from(">HIH", content)
            counted = channels * frames * ((bits + 7) // 8)
            if length >= 22 and content[18:22] not in _AIFC_CODECS:
                subtype = ""
        elif name == b"SSND":
            placeholder = length >= STREAMED_SIZE - 0x1000000 and counted > size  # sox's, to a pipe: 0x7F000008
            return _judge(at + 16, 0 if placeholder else max(length - 8, counted), size, subtype)
        at += 8 + length + length % 2
    return None


def _inspect_au(file: BinaryIO, size: int) -> SampleLayout | None:
    file.seek(0)
    head = file.read(24)
    if len(head) < 24:
        return None
    start, length = struct.unpack_from(">II" if head[:4] == b".snd" else "<II", head, 4)
    return _judge(start, length, size)


def _inspect_caf(file: BinaryIO, size: int) -> SampleLayout | None:
    at, subtype, description = 8, "", b""
    while at + 12 <= size:
        file.seek(at)
        name, length = struct.unpack(">4sq", file.read(12))
        if name == b"desc":
            description = file.read(32)
            subtype = "any" if description[8:12] in _CAF_CODECS else ""
        elif name == b"data":
            if length <= 4 and size - at > 16 + 4:
                return _describe_open_caf(description, *_skip_headers(file, at + 16, size))
            return _judge(at + 16, max(0, length - 4), size, subtype)
        if length < 0:
            return None
        at += 12 + length
    return None


def _describe_open_caf(description: bytes, start: int, size: int) -> SampleLayout:
    """Describe a CAF file without a length (-1, or 0 from sox to a pipe); codecs are left to FFmpeg."""
    layout = SampleLayout(parts=[(start, size)], plain=False)
    if len(description) == 32 and description[8:12] == b"lpcm":
        rate, flags, channels, bits = struct.unpack(">d4xI8xII", description)
        kind = {32: "FLOAT", 64: "DOUBLE"} if flags & 1 else {16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
        layout.subtype, layout.endian = kind.get(bits, ""), "LITTLE" if flags & 2 else "BIG"
        layout.rate, layout.channels, layout.block = round(rate), channels, channels * bits // 8
    return layout


def _skip_headers(file: BinaryIO, start: int, size: int) -> tuple[int, int]:
    """Return where samples begin and end: to a pipe, sox writes its header of `start` bytes twice, and once behind."""
    file.seek(0)
    beginning = file.read(16)
    file.seek(start)
    if file.read(16) == beginning:
        start *= 2
    last = max(start, size - _LAST_HEADER_BYTES)
    file.seek(last)
    found = file.read().find(beginning)
    return start, last + found if found >= 0 else size


def _inspect_w64(file: BinaryIO, size: int) -> SampleLayout | None:
    at, form = 40, SampleLayout()
    while at + 24 <= size:
        file.seek(at)
        name, length = struct.unpack("<4s12xq", file.read(24))
        if name == b"fmt ":
            read_format(form, file.read(40))
        elif name == b"data":
            start, end = _skip_headers(file, at + 24, size)
            if form.subtype and (start, end) != (at + 24, size):
                form.parts, form.plain = [(start, end)], False
                return form
            return _judge(at + 24, length - 24, size)
        if length < 24:
            return None
        at += (length + 7) // 8 * 8
    return None


def _inspect_sphere(file: BinaryIO, size: int) -> SampleLayout | None:
    file.seek(0)
    head = file.read(1024).decode("latin-1")
    fields = dict(re.findall(r"^(\w+) -\w+ (.*?) *$", head, re.MULTILINE))
    try:
        start = int(head.split()[1])
        length = int(fields["sample_count"]) * int(fields.get("sample_n_bytes", 2)) * int(fields["channel_count"])
    except (KeyError, ValueError, IndexError):
        return None
    coding = fields.get("sample_coding", "pcm")
    return _judge(start, length if coding in ("pcm", "ulaw", "alaw") else 0, size, "" if "," in coding else "any")


def _inspect_flac(file: BinaryIO, size: int) -> SampleLayout | None:
    """FLAC without a length, and joined files, are left to FFmpeg: each part by itself."""
    start = formats.skip_id3(file)
    file.seek(start)
    head = file.read(42)
    if len(head) < 42 or head[:4] != b"fLaC":
        return None
    samples = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    starts = [start, *(at for at in _find_all(file, _FLAC_AGAIN, start + 4))]
    parts = list(zip(starts, [*starts[1:], size], strict=True))
    if samples and len(parts) == 1 and _find_last_flac_sample(file, head, size) >= samples:
        note = f"its header gives {samples} samples, more are there: read to the end of the file"
        return SampleLayout(parts=parts, note=note)
    return SampleLayout(parts=parts, subtype="any" if samples and len(parts) == 1 and not start else "")


def _find_last_flac_sample(file: BinaryIO, head: bytes, size: int) -> int:
    """Return the first sample of the last frame; 0 if it is not found, or frames have different lengths.

    Source: RFC 9639, section 9.1.
    """
    shortest, longest = struct.unpack_from(">HH", head, 8)
    file.seek(max(0, size - _LAST_FLAC_BYTES))
    tail = file.read()
    at = len(tail)
    while shortest == longest and (at := tail.rfind(b"\xff\xf8", 0, at)) >= 0:
        lead = tail[at + 4] if at + 12 < len(tail) else 0xFF
        extra = 0 if lead < 0x80 else 7 - (~lead & 0xFF).bit_length()  # bytes after the first, as in UTF-8
        if lead == 0xFF or (lead >= 0x80 and extra < 1):
            continue
        block, rate = tail[at + 2] >> 4, tail[at + 2] & 15
        end = at + 5 + extra + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
        if end < len(tail) and _crc_8(tail[at:end]) == tail[end]:
            number = lead if not extra else lead & (0x3F >> extra)
            for byte in tail[at + 5 : at + 5 + extra]:
                number = number << 6 | byte & 0x3F
            return number * longest
    return 0


def _crc_8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def _find_all(file: BinaryIO, mark: re.Pattern[bytes], at: int) -> list[int]:
    found, held = [], b""
    file.seek(at)
    while block := file.read(1 << 20):
        data = held + block
        found += [at - len(held) + match.start() for match in mark.finditer(data)]
        at += len(block)
        held = data[-7:]
    return found


_INSPECTIONS: dict[AudioFormat, Callable[[BinaryIO, int], SampleLayout | None]] = {
    formats.AIFF: _inspect_aiff,
    formats.AU: _inspect_au,
    formats.CAF: _inspect_caf,
    formats.W64: _inspect_w64,
    formats.SPHERE: _inspect_sphere,
    formats.FLAC: _inspect_flac,
}

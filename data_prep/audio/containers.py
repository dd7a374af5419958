"""Walks the outer structure of Ogg, Matroska/WebM and MPEG-4 files: where each stream begins, and whether one is cut.

Decoders play a truncated file without an error. Its structure shows the truncation: an Ogg stream marks its last page,
and Matroska and MPEG-4 give the size of each element. Several files joined into one (`cat a.ogg b.ogg`) are reported as
several parts. Nothing is decoded.
"""

import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass
class Part:
    """One stream of a file.

    Attributes:
        start: Its first byte.
        end: The byte behind its last.
        cut: What shows that it is cut, for messages; `None` if nothing does.
        seconds: The length that its header gives; `None` if it gives none.
        damage: Number of places where data is missing or changed.
        codec: Name of its codec, where the structure names it.
    """

    start: int
    end: int
    cut: str | None = None
    seconds: float | None = None
    damage: int = 0
    codec: str = ""
    serials: set[int] = field(default_factory=set)


_OGG_CODECS = {b"\x01vorb": "vorbis", b"OpusH": "opus", b"\x7fFLAC": "flac", b"Speex": "speex"}
_BIT_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def walk_ogg(file: BinaryIO, size: int) -> list[Part]:
    """Walk the pages of an Ogg file; chained streams are parts, streams side by side are one part with several serials.

    Source: RFC 3533.
    """
    parts: list[Part] = []
    sequence: dict[int, int] = {}
    ended: set[int] = set()
    at, in_headers = 0, False
    while at < size:
        file.seek(at)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            at = _find(file, b"OggS", at + 1, size)
            if parts and at < size:
                parts[-1].damage += 1
            continue
        flags, serial, number = head[5], *struct.unpack_from("<II", head, 14)
        header = 27 + head[26]
        length = header + sum(head[27:header])
        if flags & 2 and not in_headers:
            _end_ogg(parts, ended)
            parts.append(Part(at, at))
            sequence, ended = {}, set()
        in_headers = bool(flags & 2)
        if not parts:
            return []
        part = parts[-1]
        if at + length > size or header > len(head):
            part.cut, part.end = "it ends within a page", size
            return parts
        file.seek(at)
        page = file.read(length)
        if flags & 2:
            part.serials.add(serial)
            part.codec = part.codec or _OGG_CODECS.get(page[header : header + 5], "")
        part.damage += sequence.get(serial, number) != number or not _is_ogg_page_sound(page)
        sequence[serial] = number + 1
        if flags & 4:
            ended.add(serial)
        at += length
        part.end = at
    _end_ogg(parts, ended)
    return parts


def _end_ogg(parts: list[Part], ended: set[int]) -> None:
    if parts and parts[-1].serials - ended:
        parts[-1].cut = "its last page is not marked as the last"


def _is_ogg_page_sound(page: bytes) -> bool:
    """Ogg's checksum has zlib's polynomial, but takes bits in the other order and begins with 0."""
    bare = page[:22] + bytes(4) + page[26:]
    reversed_crc = zlib.crc32(bare.translate(_BIT_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_crc:032b}"[::-1], 2) == struct.unpack_from("<I", page, 22)[0]


def _find(file: BinaryIO, mark: bytes, at: int, size: int) -> int:
    """Return where a mark comes next, or the size."""
    file.seek(at)
    held = b""
    while block := file.read(1 << 20):
        found = (held + block).find(mark)
        if found >= 0:
            return at - len(held) + found
        at += len(block)
        held = (held + block)[-len(mark) + 1 :]
    return size


_EBML, _SEGMENT, _INFO, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1F43B675
_TIMESTAMP_SCALE, _DURATION = 0x2AD7B1, 0x4489
_UNKNOWN_SIZE = -1


def walk_matroska(file: BinaryIO, size: int) -> list[Part]:
    """Walk the elements of a Matroska or WebM file; each EBML header begins a part.

    Source: RFC 8794, RFC 9559.
    """
    parts: list[Part] = []
    at = 0
    while at < size:
        element = _read_element(file, at)
        if element is None:
            break
        name, begin, length = element
        if name == _EBML:
            parts.append(Part(at, size))
            if len(parts) > 1:
                parts[-2].end = at
        if not parts:
            break
        if name == _INFO:
            parts[-1].seconds = _read_matroska_seconds(file, begin, length)
        if name in (_SEGMENT, _CLUSTER) and (length == _UNKNOWN_SIZE or name == _SEGMENT):
            if length != _UNKNOWN_SIZE and begin + length > size:
                parts[-1].cut = f"{size - begin} of {length} bytes are there"
            at = begin  # look inside
            continue
        if length == _UNKNOWN_SIZE:
            break
        if begin + length > size:
            parts[-1].cut = parts[-1].cut or "it ends within an element"
        at = begin + length
    return parts


def _read_element(file: BinaryIO, at: int) -> tuple[int, int, int] | None:
    """Return an element's name, first byte of content and length."""
    file.seek(at)
    head = file.read(12)
    if not head or not head[0]:
        return None
    name_bytes = 9 - head[0].bit_length()
    if name_bytes > 4 or len(head) <= name_bytes or not head[name_bytes]:
        return None
    size_bytes = 9 - head[name_bytes].bit_length()
    raw = head[name_bytes : name_bytes + size_bytes]
    length = int.from_bytes(raw, "big") & ((1 << 7 * size_bytes) - 1)
    unknown = length == (1 << 7 * size_bytes) - 1
    begin = at + name_bytes + size_bytes
    return int.from_bytes(head[:name_bytes], "big"), begin, _UNKNOWN_SIZE if unknown else length


def _read_matroska_seconds(file: BinaryIO, begin: int, length: int) -> float | None:
    at, scale, duration = begin, 1_000_000, None
    while length != _UNKNOWN_SIZE and at < begin + length:
        element = _read_element(file, at)
        if element is None:
            break
        name, start, size = element
        if size == _UNKNOWN_SIZE:
            break
        if name in (_TIMESTAMP_SCALE, _DURATION) and size <= 8:
            file.seek(start)
            raw = file.read(size)
            if name == _TIMESTAMP_SCALE:
                scale = int.from_bytes(raw, "big")
            elif len(raw) in (4, 8):
                duration = float(struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0])
        at = start + size
    return duration * scale / 1e9 if duration else None


def walk_mp4(file: BinaryIO, size: int) -> list[Part]:
    """Walk the outer boxes of an MPEG-4 or QuickTime file; each `ftyp` box begins a part.

    Source: ISO/IEC 14496-12, section 4.2.
    """
    parts = [Part(0, size)]
    at = 0
    seen: set[bytes] = set()
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, name = struct.unpack_from(">I4s", head)
        if not (name.isascii() and name.decode("ascii").isprintable()):
            break  # something else was appended
        if name == b"ftyp" and seen:
            parts[-1].end = at
            parts.append(Part(at, size))
            seen = set()
        seen.add(name)
        if length == 1 and len(head) == 16:
            length = struct.unpack_from(">Q", head, 8)[0]
        elif length == 0:
            length = size - at  # to the end of the file
        if length < 8:
            break
        if at + length > size:
            parts[-1].cut = f"{size - at} of {length} bytes of its box {name.decode('ascii')} are there"
        at += length
    if b"moov" not in seen and parts[-1].cut is None and seen:
        parts[-1].cut = "its index (box moov) is missing"
    return parts

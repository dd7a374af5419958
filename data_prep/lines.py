"""Reading files line by line: fixed-size chunks, gzip recognised by content, and files that are not UTF-8 text."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

Item = TypeVar("Item")

GZIP_START = b"\x1f\x8b"
# First bytes of files that are not UTF-8 text -> what they are, and what to do.
FOREIGN_STARTS = {
    b"\xff\xfe": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    GZIP_START: ("gzip", "unpack it: gunzip"),
    b"PK\x03\x04": ("a zip archive", "unpack it"),
    b"PAR1": ("a Parquet file", "read it with corpus=huggingface"),
    b"version https://git-lfs": ("a Git-LFS pointer, not the file itself", "fetch the file: git lfs pull"),
    b"<!DOCTYPE": ("a web page", "download the file again"),
    b"<!doctype": ("a web page", "download the file again"),
    b"<html": ("a web page", "download the file again"),
}
_SNIFFED_BYTES = 65536


def cut_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield consecutive lists of `size` items; the last one may be shorter."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def number_chunks(lines: Iterable[bytes], size: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield consecutive lists of lines, each with the number of its first line, from 1."""
    for index, chunk in enumerate(cut_chunks(lines, size)):
        yield 1 + index * size, chunk


def open_lines(path: Path) -> IO[bytes]:
    """Open a text file for bytes; gzip is recognised by its content, not by the file's name."""
    with path.open("rb") as content:
        packed = content.read(2) == GZIP_START
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def find_foreign_format(path: Path) -> tuple[str, str] | None:
    """Recognise a file that is not UTF-8 text with line feeds, by its first 64 KiB.

    Args:
        path: The file.

    Returns:
        (what the file is, what to do); `None` for a text file.
    """
    with path.open("rb") as content:
        start = content.read(_SNIFFED_BYTES)
    for mark, found in FOREIGN_STARTS.items():
        if start.startswith(mark):
            return found
    if b"\0" in start[1:4:2] and start[:1].strip(b"\0"):  # every second byte of UTF-16 Latin text is 0
        return "UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"
    if b"\r" in start.rstrip(b"\r\n") and b"\n" not in start:
        return "lines that end with a carriage return alone", "convert it: tr '\\r' '\\n'"
    return None


def check_text_file(path: Path) -> None:
    """Refuse a file that is not UTF-8 text with line feeds.

    Raises:
        ValueError: The message names what the file is, and what to do.
    """
    if found := find_foreign_format(path):
        kind, remedy = found
        raise ValueError(f"{path}: found {kind}, expected a text file in UTF-8 with line feeds; {remedy}")

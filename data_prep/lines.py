"""Reading files line by line: fixed-size chunks, gzip recognised by content, and files that are not UTF-8 text."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from data_prep.file_kinds import FileKind, identify_file, identify_start

Item = TypeVar("Item")

# Kinds of files that are not UTF-8 text -> what to do about them.
REMEDIES = {
    FileKind.UTF16: "convert it: iconv -f UTF-16 -t UTF-8",
    FileKind.GZIP: "unpack it: gunzip",
    FileKind.ZIP: "unpack it: unzip",
    FileKind.PARQUET: "read it with corpus=huggingface",
    FileKind.LFS_POINTER: "fetch the file itself: git lfs pull",
    FileKind.HTML: "download the file again",
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
    packed = identify_file(path) == FileKind.GZIP
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
    kind = identify_start(start)
    if kind is None and len(start) >= 8 and not start[1:16:2].strip(b"\0"):  # UTF-16 of Latin text without its mark
        kind = FileKind.UTF16
    if kind in REMEDIES:
        return kind.value, REMEDIES[kind]
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

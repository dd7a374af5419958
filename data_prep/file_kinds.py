"""The kind of a file by its first bytes, for messages about a file that is of another kind than expected."""

import re
from enum import Enum
from pathlib import Path


class FileKind(Enum):
    """A kind of file; the value is what a message calls it."""

    EMPTY = "an empty file"
    LFS_POINTER = "a Git-LFS pointer"
    HTML = "an HTML page"
    UTF16 = "UTF-16 text"
    GZIP = "a gzip file"
    ZIP = "a zip archive"
    PARQUET = "a Parquet file"
    ARPA = "an ARPA text"
    KENLM = "a KenLM binary"


_STARTS = {
    b"version https://git-lfs.github.com/spec/": FileKind.LFS_POINTER,
    b"\xff\xfe": FileKind.UTF16,
    b"\xfe\xff": FileKind.UTF16,
    b"\x1f\x8b": FileKind.GZIP,
    b"PK\x03\x04": FileKind.ZIP,
    b"PAR1": FileKind.PARQUET,
    b"mmap lm ": FileKind.KENLM,
}
_PATTERNS = {
    re.compile(rb"\s*<(!doctype|html|head|\?xml)", flags=re.IGNORECASE): FileKind.HTML,
    re.compile(rb"\s*\\data\\"): FileKind.ARPA,
}
START_BYTES = 512


def identify_file(path: Path) -> FileKind | None:
    """Return the kind of a file; `None` for any other kind."""
    with path.open("rb") as file:
        return identify_start(file.read(START_BYTES))


def identify_start(start: bytes) -> FileKind | None:
    """Return the kind of a file that begins with these bytes (512, or all of them); `None` for any other kind."""
    if not start:
        return FileKind.EMPTY
    kinds = [kind for beginning, kind in _STARTS.items() if start.startswith(beginning)]
    kinds += [kind for pattern, kind in _PATTERNS.items() if pattern.match(start)]
    return kinds[0] if kinds else None

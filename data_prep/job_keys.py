"""Keys that say whether a finished part of a job can be reused: hashes of everything that its result depends on."""

import hashlib
import json
from pathlib import Path
from typing import Any


def stat_file(path: str | Path) -> tuple[int, int] | None:
    """Return a file's size in bytes and its modification time in nanoseconds; `None` without such a file."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):  # ValueError: a path with a NUL
        return None
    return stat.st_size, stat.st_mtime_ns


def make_key(*parts: Any) -> str:
    """Hash values that JSON can hold.

    Args:
        parts: Versions, settings, rows and file stats. Equal parts in equal order give equal keys.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

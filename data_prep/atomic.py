"""Writing files so that they appear complete or not at all."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a hidden path beside `path`; what was written there takes the name of `path` when the block ends well.

    The hidden name keeps the suffix, by which some libraries choose a format, and names machine and process, so that
    two jobs that write the same file do not meet. The folder is made if needed.

    Raises:
        OSError: The file is not written, such as on a full disk; the message names `path`, not the hidden name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for bytes, through `atomic_path`."""
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        yield out

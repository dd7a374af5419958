"""Writing files so that they appear complete or not at all."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_LEFTOVER = re.compile(r"\..+-\d+\.tmp(\.[^.]*)?")


@contextmanager
def atomic_path(path: Path, sync: bool = True) -> Iterator[Path]:
    """Give a hidden path beside `path`; what was written there takes the name of `path` when the block ends well.

    The hidden name keeps the suffix, by which some libraries choose a format, and names machine and process, so that
    two jobs that write the same file do not meet. The folder is made if needed.

    Args:
        path: The file to write.
        sync: Whether to wait until the disk holds the file, which survives a power failure. False is for many small
            files that another run can make again.

    Raises:
        OSError: The file is not written, such as on a full disk; the message names `path`, not the hidden name.
    """
    if not path.parent.is_dir():  # a look costs a tenth of an attempt to make it
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}.tmp{path.suffix}")
    is_done = False
    try:
        yield temporary
        if sync:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
        is_done = True
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        if not is_done:
            temporary.unlink(missing_ok=True)


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for bytes, through `atomic_path`."""
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        yield out


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden files that killed processes left in a folder; one that still writes there would fail."""
    if folder.is_dir():
        for path in folder.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)

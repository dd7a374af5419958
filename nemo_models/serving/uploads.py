"""Uploads: written to disk while they arrive, with limits on size and waiting, and removed with their request.

A server that is killed leaves its folder behind; the next one removes it.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from data_prep.audio.formats import has_recording_extension
from nemo_models.serving.api_errors import ApiError

FORM_BYTES = 1 << 20  # of the fields beside the file
MOST_FIELDS = 64
DROPPED_BYTES = 64 << 20  # of an upload that is too large
_CLOSE = {"Connection": "close"}  # what else comes is not read
MADE_S = 3600.0  # after which a folder without a lock is not just being made
_LOCK = "in_use"


class UploadFolder:
    """A temporary folder of this server; removed by `close`, or by the next server after a kill.

    Attributes:
        path: The folder.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Make the folder, and remove those of servers that are not running any more.

        Args:
            parent: Where; `None`: the system's folder for temporary files.

        Raises:
            OSError: The folder cannot be made.
        """
        shared = Path(parent or tempfile.gettempdir()) / f"hindi_asr_uploads_{os.getuid()}"
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shared.is_symlink() or shared.stat().st_uid != os.getuid():
            raise PermissionError(f"{shared}: found a folder of another user, expected this user's; remove it")
        for old in shared.iterdir():
            _remove_if_unused(old)
        self.path = Path(tempfile.mkdtemp(dir=shared)).absolute()
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    @contextmanager
    def keep(self, upload: UploadFile) -> Iterator[Path]:
        """Give an upload a path, for as long as it is needed.

        The extension stays if recordings have it, and nothing else of the client's name.
        """
        with self._keep(upload.filename or "") as path:
            with path.open("wb") as file:
                upload.file.seek(0)
                shutil.copyfileobj(upload.file, file, 1 << 20)
            yield path

    @contextmanager
    def keep_bytes(self, content: bytes, name: str) -> Iterator[Path]:
        """Give a file's bytes a path, as `keep` does."""
        with self._keep(name) as path:
            path.write_bytes(content)
            yield path

    @contextmanager
    def _keep(self, name: str) -> Iterator[Path]:
        suffix = Path(name).suffix
        suffix = suffix if suffix.isascii() and has_recording_extension(Path(f"audio{suffix}")) else ""
        handle, path = tempfile.mkstemp(suffix, dir=self.path)
        os.close(handle)
        try:
            yield Path(path)
        finally:
            Path(path).unlink(missing_ok=True)


def _remove_if_unused(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # just being made, or its server was killed just then
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime < MADE_S:
                return
    except OSError:  # in use
        return
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class UploadLimits:
    """What a client may send.

    Attributes:
        max_bytes: Most bytes of a file.
        idle_s: Most seconds between two pieces of it.
    """

    max_bytes: int
    idle_s: float


async def read_form(request: Request, limits: UploadLimits) -> FormData:
    """Read a multipart form; the file goes to the disk (unnamed) as it comes.

    Args:
        request: The request; the caller closes the form.
        limits: The limits.

    Raises:
        ApiError: 415 for another type of content, 413 for too much of it, 408 for a client that is too slow, 400 for a
            form that is not well-formed.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        message = f"Content-Type={kind[:60]}: expected multipart/form-data; send the recording as the field file"
        raise ApiError(415, message, "unsupported_media_type")
    most = limits.max_bytes + FORM_BYTES
    parser = _Parser(request.headers, _limit(request, limits, most), max_files=1, max_fields=MOST_FIELDS)
    try:
        return await parser.parse()
    except (MultiPartException, ValueError) as error:
        parser.close()
        message = f"form: found a fault ({error}), expected multipart/form-data; repair the request"
        raise ApiError(400, message, "bad_form") from error
    except BaseException:
        parser.close()
        raise


async def read_body(request: Request, limits: UploadLimits) -> bytes:
    """Read a body that is not a form.

    Args:
        request: The request.
        limits: The limits.

    Raises:
        ApiError: 413 for too much, 408 for a client that is too slow, 400 for one that goes away.
    """
    return b"".join([piece async for piece in _limit(request, limits, limits.max_bytes)])


class _Parser(MultiPartParser):
    """Starlette's parser, which closes its files on its own errors only."""

    def close(self) -> None:
        for file in self._files_to_close_on_error:
            file.close()


async def _limit(request: Request, limits: UploadLimits, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the body; what is too much is read on a little and dropped, so that the client reads the answer."""
    declared = request.headers.get("content-length", "")
    is_too_much = declared.isdigit() and int(declared) > most
    received, stream = 0, request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), limits.idle_s)
        except StopAsyncIteration:
            break
        except asyncio.TimeoutError:
            message = f"upload: found no data for {limits.idle_s:g} s, expected more; send it faster"
            raise ApiError(408, message, "upload_timeout", headers=_CLOSE) from None
        except ClientDisconnect:
            raise ApiError(400, "upload: it ended too early; send it again", "disconnected") from None
        received += len(piece)
        is_too_much = is_too_much or received > most
        if received > most + DROPPED_BYTES:
            break
        if not is_too_much:
            yield piece
    if is_too_much:
        message = f"file: found more than {limits.max_bytes / 1e6:g} MB, expected less; cut or compress the recording"
        raise ApiError(413, message, "file_too_large", "file", _CLOSE)

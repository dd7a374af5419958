"""Chooses who decodes a file: libsndfile in this process, FFmpeg in a child process, or the program sox.

libsndfile reads the files for which it is exact: WAV, FLAC, AIFF and similar formats with correct headers, MP3 whose
index agrees with its frames, and complete Ogg. FFmpeg, which is part of PyAV, reads all other formats of
`data_prep.audio.formats`. sox is tried last, for formats of telephony and of old computers that neither reads.
"""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import soundfile

from data_prep.audio.av_decoder import AvSource, AvStream
from data_prep.audio.errors import UnreadableAudioError
from data_prep.audio.exact_recording import PcmRecording, SoundFileRecording
from data_prep.audio.reading_plan import ReadingPlan, plan_reading
from data_prep.audio.recording import DecodedRecording, Recording, open_spool
from data_prep.audio.sox_decoder import decode_with_sox
from data_prep.file_kinds import START_BYTES, FileKind, identify_start

_LARGE_FILE_BYTES = 4 << 20
_MOST_PLANS = 16
_plans: dict[tuple[str, int, int, int, int], ReadingPlan] = {}
_plans_lock = threading.Lock()
PLAYLIST_SUFFIXES = (".m3u", ".m3u8", ".pls")


def open_recording(path: Path, scratch_dir: Path | None = None, content: bytes | None = None) -> Recording:
    """Open an audio file for reading at its sampling rate, with all its channels.

    Args:
        path: The audio file, or its name where `content` is given.
        scratch_dir: Existing folder for temporary files that no other recording uses at the same time; `None` makes one
            where it is needed.
        content: The file's bytes, where it is not on disk.

    Returns:
        The open recording.

    Raises:
        UnreadableAudioError: No installed decoder can read it; the message names each with its reason, and the one that
            is not installed.
        OSError: The file cannot be opened, the disk is full, or a decoder was killed.
    """
    if path.suffix.lower() in PLAYLIST_SUFFIXES:
        raise UnreadableAudioError("found a playlist, expected a recording; name the recordings that it lists")
    file: BinaryIO = io.BytesIO(content) if content is not None else path.open("rb")
    is_taken = False
    try:
        plan = _plan(path, file) if content is None else plan_reading(file)
        if plan.found is None:
            file.seek(0)
            kind = identify_start(file.read(START_BYTES))
            if kind not in (None, FileKind.UTF16):  # two bytes, with which headerless samples may begin too
                raise UnreadableAudioError(f"found {kind.value}, expected a recording; fetch or write the file again")
        if plan.exact and plan.layout is not None and plan.simple:
            is_taken = True
            return PcmRecording(file, plan.layout, plan.faults, content is None)
    finally:
        if not is_taken:
            file.close()
    return _Opening(path, scratch_dir, content, plan).open()


def _plan(path: Path, file: BinaryIO) -> ReadingPlan:
    """Plan, once for all segments of a large file: to walk the frames of an hour takes a quarter of a second."""
    found = os.fstat(file.fileno())
    if found.st_size < _LARGE_FILE_BYTES:
        return plan_reading(file)
    key = (str(path.absolute()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    with _plans_lock:
        plan = _plans.pop(key, None)
    plan = plan or plan_reading(file)
    with _plans_lock:
        _plans[key] = plan  # the last in order
        while len(_plans) > _MOST_PLANS:
            del _plans[next(iter(_plans))]
    return plan


class _Opening:
    """Asks one decoder after another."""

    def __init__(self, path: Path, scratch_dir: Path | None, content: bytes | None, plan: ReadingPlan) -> None:
        self._path, self._content, self._plan = path, content, plan
        self._scratch_dir = scratch_dir
        self._temporary: TemporaryDirectory[str] | None = None
        self._packed: Path | None = None
        self._refusals: list[str] = []

    def open(self) -> Recording:
        plan = self._plan
        ways: list[Callable[[], Recording]] = []
        if plan.exact or plan.found is None:
            ways.append(self._open_with_libsndfile)
        if plan.found is not None and plan.found.demuxer:
            ways.append(self._open_with_ffmpeg)
        if not plan.exact and plan.found is not None:
            ways.append(self._open_with_libsndfile)
        for way in (*ways, self._open_with_sox):
            try:
                return way()
            except UnreadableAudioError as error:
                self._refusals.append(str(error))
            except BaseException:
                self._clean_up()
                raise
        self._clean_up()
        cut = next((fault for fault in plan.faults if fault.truncated), None)
        if cut is not None:
            raise type(cut.make_error())(f"{cut.detail}; {'; '.join(self._refusals)}")
        raise UnreadableAudioError("; ".join(self._refusals))

    def _open_with_libsndfile(self) -> Recording:
        plan = self._plan
        try:
            if plan.layout is not None:
                layout = plan.layout
                file = soundfile.SoundFile(
                    _Ranges(self._open_file(), layout.parts),
                    format="RAW",
                    subtype=layout.subtype,
                    endian=layout.endian,
                    channels=layout.channels,
                    samplerate=layout.rate,
                )
                return SoundFileRecording(file, plan.faults, plan.note, plain=False, on_close=self._clean_up)
            file = soundfile.SoundFile(self._open_file() if self._content is not None else self._open_descriptor())
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:  # TypeError: headerless
            refusal = "headerless samples" if isinstance(error, TypeError) else getattr(error, "error_string", error)
            raise UnreadableAudioError(f"libsndfile: {refusal}") from None
        fallback = (lambda: AvStream(self._make_source())) if plan.found and plan.found.demuxer else None
        plain = self._content is None
        return SoundFileRecording(file, plan.faults, plan.note, plain, fallback, on_close=self._clean_up)

    def _open_with_ffmpeg(self) -> Recording:
        plan = self._plan

        def state(stream: AvStream) -> float | None:
            if plan.seconds is not None:
                return plan.seconds if stream.alone else None
            return stream.seconds if plan.found and plan.found.states_length and len(plan.parts) == 1 else None

        return DecodedRecording(
            self._make_source(), plan.faults, plan.note, state, lambda: open_spool(self._scratch()), self._clean_up
        )

    def _open_with_sox(self) -> Recording:
        target = self._scratch() / "decoded.w64"
        decode_with_sox(self._on_disk(), target, self._path.name)
        file = soundfile.SoundFile(str(target))
        target.unlink()  # the open file stays
        return SoundFileRecording(file, self._plan.faults, self._plan.note, plain=False, on_close=self._clean_up)

    def _make_source(self) -> AvSource:
        assert self._plan.found is not None and self._plan.found.demuxer is not None
        parts = self._plan.parts or [(0, self._plan.size)]
        return AvSource(self._on_disk(), self._plan.found.demuxer, parts, self._plan.options, self._path.name)

    def _open_file(self) -> BinaryIO:
        return self._path.open("rb") if self._content is None else io.BytesIO(self._content)

    def _open_descriptor(self) -> int:
        """libsndfile gets no name: one of other bytes than UTF-8, or `-`, it would not find."""
        return os.open(self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def _on_disk(self) -> Path:
        if self._content is None:
            return self._path
        if self._packed is None:
            packed = self._scratch() / "packed"
            packed.write_bytes(self._content)
            self._packed = packed
        return self._packed

    def _scratch(self) -> Path:
        if self._scratch_dir is None:
            self._temporary = TemporaryDirectory()
            self._scratch_dir = Path(self._temporary.name)
        return self._scratch_dir

    def _clean_up(self) -> None:
        if self._packed is not None:
            self._packed.unlink(missing_ok=True)
        if self._temporary is not None:
            self._temporary.cleanup()


class _Ranges(io.RawIOBase):
    """Some byte ranges of a file as one file without a header."""

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        self._file, self._parts, self._at = file, parts, 0
        self._size = sum(end - start for start, end in parts)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        done, before = 0, 0
        for start, end in self._parts:
            inside = self._at - before
            if 0 <= inside < end - start and done < len(view):
                self._file.seek(start + inside)
                block = self._file.read(min(len(view) - done, end - start - inside))
                view[done : done + len(block)] = block
                done, self._at = done + len(block), self._at + len(block)
            before += end - start
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()

"""Opens recordings of any format: libsndfile in this process for most; sox, then ffmpeg, for what only they decode.

libsndfile reads WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, AU, NIST SPHERE and others; sox adds AMR and rarer formats;
ffmpeg, which need not be installed, adds MPEG-4 (m4a, mp4, 3gp), AAC, WebM and WMA. No program is given a file to make
out for itself that could name others: playlists are refused, and ffmpeg is told the container.
"""

import logging
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile

from data_prep.audio.errors import TruncatedAudioError, UnreadableAudioError

SOX_PACKAGES = "sox libsox-fmt-all"
FFMPEG_PACKAGES = "ffmpeg"
PLAYLIST_SUFFIXES = (".m3u", ".m3u8", ".pls")
_STREAMED_SIZE = 0x7FFFF000  # a RIFF writer that cannot seek back leaves a size from here up, or none
# Ends of a program that say nothing about the file it was reading.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class DecoderMissingError(FileNotFoundError):
    """A program is needed and not installed: the job cannot go on, no single file is at fault."""


@dataclass(frozen=True)
class _Container:
    """A format that libsndfile does not know: how a file of it begins, and who decodes it under what name."""

    name: str
    offset: int
    magic: bytes
    sox_type: str | None
    ffmpeg_demuxer: str


_CONTAINERS = (
    _Container("AMR-WB", 0, b"#!AMR-WB\n", "amr-wb", "amr"),
    _Container("AMR", 0, b"#!AMR\n", "amr-nb", "amr"),
    _Container("MPEG-4 audio (m4a, mp4, 3gp)", 4, b"ftyp", None, "mov"),
    _Container("WebM", 0, b"\x1aE\xdf\xa3", None, "matroska"),
    _Container("AAC", 0, b"\xff\xf1", None, "aac"),
    _Container("AAC", 0, b"\xff\xf9", None, "aac"),
    _Container("Windows Media", 0, b"0&\xb2u", None, "asf"),
)


def open_recording(path: Path, scratch: Path) -> soundfile.SoundFile:
    """Open an audio file for reading at its own rate and with its own channels.

    Args:
        path: The audio file.
        scratch: File that gets the audio as 32-bit WAV where sox or ffmpeg had to decode it; its folder must exist.

    Returns:
        The open file: `path` itself, or `scratch`.

    Raises:
        TruncatedAudioError: A WAV file is shorter than its header says.
        UnreadableAudioError: No decoder can read it.
        DecoderMissingError: The program that could is not installed.
        OSError: The disk is full, or the program was killed.
    """
    try:
        with path.open("rb") as file:
            _check_riff_length(file, path.stat().st_size)
        recording = soundfile.SoundFile(name_for_libsndfile(path))
        if recording.format != "RAW":
            return recording
        recording.close()
        refusal = "headerless samples"  # that libsndfile guesses by the file's name, and cannot seek in
    except (soundfile.LibsndfileError, TypeError, OSError) as error:  # TypeError: headerless, and no guess
        refusal = str(error).replace(str(path.absolute()), path.name).replace(str(path), path.name)
    _decode(path, scratch, refusal)
    return soundfile.SoundFile(str(scratch))


def name_for_libsndfile(path: Path) -> str | bytes:
    """Name a file so that libsndfile finds it: `-` would be standard input, and soundfile encodes UTF-8 names only."""
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def _check_riff_length(file: BinaryIO, size: int) -> None:
    """Check that a RIFF file holds the bytes that its header promises: libsndfile and sox read on without a word."""
    if file.read(12)[:4] != b"RIFF":
        return
    start = 12
    while file.seek(start) + 8 <= size:
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            if size < start + 8 + length < _STREAMED_SIZE:
                raise TruncatedAudioError(f"{size - start - 8} of {length} bytes of audio are there")
            end = start + 8 + length + length % 2
            if length >= _STREAMED_SIZE and end < size and not _is_chunk(file, end):
                raise TruncatedAudioError(
                    f"the audio goes on for {size - end} bytes after the {length} that its header can count, which are "
                    "all that is read; convert it to FLAC or RF64 (sox --ignore-length in.wav out.flac)"
                )
            return
        start += 8 + length + length % 2


def _is_chunk(file: BinaryIO, start: int) -> bool:
    """Whether another chunk, such as tags, begins there: it has a name of four printable letters."""
    file.seek(start)
    name = file.read(4)
    return name.isascii() and name.decode("ascii").isprintable()


def _decode(path: Path, target: Path, refusal: str) -> None:
    if path.suffix.lower() in PLAYLIST_SUFFIXES:
        raise UnreadableAudioError(f"{path.name} is a playlist, expected a recording")
    with path.open("rb") as file:
        start = file.read(16)
    container = next((item for item in _CONTAINERS if start[item.offset :].startswith(item.magic)), None)
    if container is None:
        _run_sox(path, target, None, refusal)
    elif container.sox_type and shutil.which("sox"):
        try:
            _run_sox(path, target, container.sox_type, refusal)
        except UnreadableAudioError:
            if not shutil.which("ffmpeg"):
                raise
            _run_ffmpeg(path, target, container)
    else:
        _run_ffmpeg(path, target, container)


def _run_sox(path: Path, target: Path, sox_type: str | None, refusal: str) -> None:
    if not shutil.which("sox"):
        raise DecoderMissingError(
            f"sox is not installed and {path} needs it ({refusal}); run: apt-get install -y {SOX_PACKAGES}"
        )
    from sox.core import sox  # probes for the program when imported, hence not before the check above

    logging.getLogger("sox").setLevel(logging.CRITICAL)
    source = [*(["-t", sox_type] if sox_type else []), str(path.resolve())]
    command = ["-D", "-V1", *source, "-t", "wav", "-e", "floating-point", "-b", "32", str(target)]

    def run() -> tuple[int, str]:
        status, _, message = sox(command)
        return status, message or ""

    _check_run("sox", run, path, target)


def _run_ffmpeg(path: Path, target: Path, container: _Container) -> None:
    if not shutil.which("ffmpeg"):
        raise DecoderMissingError(
            f"ffmpeg is not installed and {path} is {container.name}; run: apt-get install -y {FFMPEG_PACKAGES}"
        )
    source = ["-protocol_whitelist", "file", "-f", container.ffmpeg_demuxer, "-i", f"file:{path.resolve()}"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *source, "-vn", "-c:a", "pcm_f32le", "-f", "wav", str(target)]
    _check_run("ffmpeg", lambda: _call(command), path, target)


def _call(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stderr


def _check_run(program: str, run: Callable[[], tuple[int, str]], path: Path, target: Path) -> None:
    status, message = run()
    if status in _KILLED:
        raise OSError(f"{program} was killed while it decoded {path}; finished shards are kept, run again")
    if status and shutil.disk_usage(target.parent).free < 1 << 20:
        raise OSError(f"{target}: the disk is full; make room and run again")
    if status:
        reason = " ".join(message.split()) or f"{program} ended with status {status} and no message"
        names = (f"file:{path.resolve()}", os.fspath(path.resolve()), str(path))
        for name in names:
            reason = reason.replace(name, path.name)
        raise UnreadableAudioError(reason if program in reason else f"{program}: {reason}")

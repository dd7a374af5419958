"""Checks of audio files before training, made by many threads, because most of the time is spent waiting.

Lengths are those that libsndfile gives from the header. Training reads files with libsndfile too, so it reads the same
length even if the header is wrong. `check_manifest.py` decodes every file to its end.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile

from nemo_models.training.findings import Problem
from nemo_models.training.sources import Row, Source

HEADERS_READ = 20_000  # headers that are read in each manifest; in a larger one, they are evenly spread
THREADS = 32  # they wait for the file system
CHUNK_ROWS = 500  # rows that a thread checks at once
DURATION_TOLERANCE_S = 0.05  # manifests round durations; one or two frames make no difference


@dataclass(frozen=True)
class FileChecks:
    """The checks for the audio files of one manifest.

    Attributes:
        folder: Folder that relative paths start from.
        every: Number of files for each header that is read; the others only have to exist.
        sample_rate: Expected rate, Hz; `None` accepts any.
        whole: Whether a row without an offset means the whole file, as in Lhotse; NeMo's reader takes `duration` of it.
    """

    folder: str
    every: int
    sample_rate: int | None
    whole: bool

    def check(self, rows: Sequence[Row], start: int) -> list[Problem | None]:
        """Check the file of each row.

        Args:
            rows: Rows of the manifest, one after the other.
            start: Number of the first row in its manifest, from 0.

        Returns:
            The problem of each row's file; `None` if there is none.
        """
        return [
            check_audio(row, locate(self.folder, row), number % self.every == 0, self.sample_rate, self.whole)
            for number, row in enumerate(rows, start)
        ]


def file_checks(source: Source, lines: int, sample_rate: int | None, whole: bool) -> FileChecks:
    """Build the checks for a manifest.

    Args:
        source: The manifest.
        lines: Number of its lines.
        sample_rate: Expected rate, Hz; `None` accepts any.
        whole: As in `FileChecks`.
    """
    return FileChecks(str(source.path.resolve().parent), max(1, -(-lines // HEADERS_READ)), sample_rate, whole)


def check_in_threads(
    source: Source, checks: FileChecks, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Row], list[Problem | None]]]:
    """Yield chunks of rows with the problems of their files, in order; a bounded number of chunks is in memory.

    Args:
        source: The manifest. If its audio is in tars, no file is checked.
        checks: The checks.
        pool: The threads.
    """
    pending: deque[tuple[list[Row], Future[list[Problem | None]]]] = deque()
    rows = source.read()
    start = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        if source.has_files:
            pending.append((chunk, pool.submit(checks.check, chunk, start)))
        else:
            yield chunk, [None] * len(chunk)
        start += len(chunk)
        if len(pending) > 2 * THREADS:
            done, files = pending.popleft()
            yield done, files.result()
    for done, files in pending:
        yield done, files.result()


def locate(folder: str, row: Row) -> str:
    """Return the path of a row's audio.

    It is the path of `data_prep.manifest.resolve_audio_path`, but does not look up the folder again for each row.
    """
    name = row["audio_filepath"]
    if name.startswith("~"):
        return str(Path(name).expanduser())
    return name if name.startswith("/") else f"{folder}/{name}"


def check_audio(
    row: Mapping[str, Any], path: str, read_header: bool, sample_rate: int | None, whole: bool = False
) -> Problem | None:
    """Check an utterance's audio file.

    Args:
        row: Row of the manifest; `duration` and `offset` in seconds.
        path: The file.
        read_header: Whether to read its header, or only check that it exists.
        sample_rate: Expected rate, Hz; `None` accepts any.
        whole: As in `FileChecks`.

    Returns:
        The first problem, or `None`.
    """
    if not Path(path).is_file():
        return Problem("missing_audio", path)
    if not read_header:
        return None
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        return Problem("unreadable_audio", f"{path} ({error})")
    if sample_rate is not None and info.samplerate != sample_rate:
        return Problem("wrong_sample_rate", f"{path} ({info.samplerate} Hz, expected {sample_rate} Hz)")
    if info.channels != 1:
        return Problem("not_mono", f"{path} ({info.channels} channels)")
    end = row["duration"] + (row.get("offset") or 0.0)
    example = f"{path} ({info.duration:.2f} s, the manifest says {end:.2f} s)"
    if info.duration < end - DURATION_TOLERANCE_S:
        return Problem("short_audio", example)
    if not whole or info.duration <= row["duration"] + DURATION_TOLERANCE_S:
        return None
    if row.get("sampling_rate") or row.get("sample_rate"):  # NeMo then takes the row's duration as the file's
        return Problem("rate_with_segment", example)
    return Problem("long_audio", example) if row.get("offset") is None else None

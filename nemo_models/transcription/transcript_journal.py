"""Finished rows of a job, kept in a file that survives the process, until the whole output is written at once.

While a job runs, `.out.json.partial` is beside `out.json`: a header with the job's key (model, options, inputs), then
one line for each finished input, in the order in which they finished. The next run of the same job continues; another
job starts from the beginning.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from data_prep.atomic import open_atomic
from data_prep.manifest import encode_json


class TranscriptJournal:
    """The finished rows of one output file.

    Attributes:
        finished: Positions of the inputs that have a row.
        resumed: Number of rows that were there when the journal was opened.
        resumed_audio_s: Audio of those rows that have no error, seconds.
    """

    def __init__(self, output: Path, key: str) -> None:
        """Open the journal of an output, or begin one.

        Args:
            output: The file to be written in the end.
            key: Hash of everything that the rows depend on.

        Raises:
            OSError: The journal cannot be written.
            ValueError: Another process is writing the same output.
        """
        self._output = output
        self._path = output.with_name(f".{output.name}.partial")
        self._offsets: dict[int, int] = {}
        self.resumed_audio_s = 0.0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise ValueError(
                f"{output}: found another process that is writing it ({self._path} is locked); wait for its end, or "
                "choose another output_filename"
            ) from error
        for leftover in (f".{escape(output.name)}.*.tmp", f".{escape(output.stem)}.*.tmp{escape(output.suffix)}"):
            for half_written in output.parent.glob(leftover):  # of a process that was killed while it published
                half_written.unlink()
        header = encode_json({"journal": 1, "key": key}) + b"\n"
        self._file.seek(0)
        if self._file.readline() == header:
            self._read()
        else:
            self._file.truncate(0)
            self._append(header)
        self.resumed = len(self._offsets)

    @property
    def finished(self) -> frozenset[int]:
        return frozenset(self._offsets)

    def __enter__(self) -> "TranscriptJournal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # writes what a full disk refused, and fails again
        except OSError:
            if kind is None:
                raise
        if not self._offsets and self._path.exists():
            self._path.unlink()  # nothing to continue from

    def add(self, index: int, audio_s: float, row: Mapping[str, Any]) -> None:
        """Keep the row of an input; once this returns, the row survives the end of the process.

        Args:
            index: The input's position.
            audio_s: Audio that was transcribed, seconds.
            row: The row of output.

        Raises:
            OSError: The disk is full, say; the message names the output. The rows before are kept.
        """
        offset = self._file.seek(0, 2)
        self._append(encode_json({"index": index, "audio_s": audio_s, "row": row}) + b"\n")
        self._offsets[index] = offset

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the inputs' order."""
        for index in sorted(self._offsets):
            self._file.seek(self._offsets[index])
            yield json.loads(self._file.readline())["row"]

    def publish(self) -> None:
        """Write the output, complete or not at all, and remove the journal."""
        with open_atomic(self._output) as out:
            for row in self.rows():
                out.write(encode_json(row) + b"\n")
        self._path.unlink()

    def _append(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise type(error)(error.errno, os.strerror(error.errno or 0), str(self._output)) from error

    def _read(self) -> None:
        """Find the finished rows; what follows the last whole line was cut off when a process ended."""
        while True:
            offset = self._file.tell()
            line = self._file.readline()
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if entry is None:
                self._file.truncate(offset)
                return
            self._offsets[entry["index"]] = offset
            self.resumed_audio_s += entry["audio_s"]

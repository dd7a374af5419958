"""Finished rows of a job, kept where a killed process cannot lose them, until the whole output is written at once.

Beside `out.json` lies `.out.json.partial` while the job runs: a header that binds it to this very job (model, options,
inputs), then one line for each finished input, in the order in which they finished. The next run of the same job does
the rest; a job that differs starts anew.
"""

import fcntl
import json
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
        resumed: How many of them were there when it was opened.
        resumed_audio_s: Audio of these that have no error, seconds.
    """

    def __init__(self, output: Path, key: str) -> None:
        """Open, or begin, the journal of an output.

        Args:
            output: The file to be written in the end.
            key: What the rows depend on, as a hash.

        Raises:
            ValueError: Another process is at work on the same output.
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
            raise ValueError(f"{output}: another process is writing it ({self._path} is locked)") from error
        for half_written in output.parent.glob(
            f".{escape(output.name)}.*.tmp"
        ):  # by a process killed while it published
            half_written.unlink()
        header = encode_json({"journal": 1, "key": key}) + b"\n"
        self._file.seek(0)
        if self._file.readline() == header:
            self._read()
        else:
            self._file.truncate(0)
            self._file.write(header)
            self._file.flush()
        self.resumed = len(self._offsets)

    @property
    def finished(self) -> frozenset[int]:
        return frozenset(self._offsets)

    def __enter__(self) -> "TranscriptJournal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, index: int, audio_s: float, row: Mapping[str, Any]) -> None:
        """Keep the row of an input; once this returns, the end of the process does not lose it.

        Args:
            index: The input's position.
            audio_s: Audio that was transcribed, seconds.
            row: The row of output.
        """
        self._offsets[index] = self._file.seek(0, 2)
        self._file.write(encode_json({"index": index, "audio_s": audio_s, "row": row}) + b"\n")
        self._file.flush()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the inputs' order."""
        for index in sorted(self._offsets):
            self._file.seek(self._offsets[index])
            yield json.loads(self._file.readline())["row"]

    def publish(self) -> None:
        """Write the output, complete or not at all, and take the journal away."""
        with open_atomic(self._output) as out:
            for row in self.rows():
                out.write(encode_json(row) + b"\n")
        self._path.unlink()

    def _read(self) -> None:
        """Find the finished rows; what follows the last whole line was cut off by the end of a process."""
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

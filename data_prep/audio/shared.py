"""Decodes a recording with several segments once, in one pass, for all of its segments.

FFmpeg's formats have no exact positions: to find a segment, the file is decoded from its beginning. For hundreds of
segments of one long recording, the work would grow with their square. Here the decoded audio is kept on disk until the
last segment has been read. Each segment has the same samples as if it were read alone.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from data_prep.audio.opening import open_recording
from data_prep.audio.recording import DecodedRecording, Recording

MOST_OPEN = 8  # each has a decoding process and a temporary file


class SharedRecordings:
    """The recordings of a job, opened once for all of their segments; threads may share it."""

    def __init__(self, uses: Mapping[Path, int]) -> None:
        """Describe a job.

        Args:
            uses: Recording -> how many segments of it will be read; other recordings are opened for each use.
        """
        self._waiting = {path: count for path, count in uses.items() if count > 1}
        self._lock = threading.Lock()
        self._held: dict[Path, _Held] = {}

    @contextmanager
    def use(self, path: Path) -> Iterator[Recording]:
        """Open a recording for one segment.

        Raises:
            AudioError: It cannot be opened, see `open_recording`.
        """
        held = self._hold(path)
        try:
            recording = held.open() if held else open_recording(path)
            if held and not isinstance(recording, _Segment):
                self._forget(path)
            try:
                yield recording
            finally:
                recording.close()
        finally:
            self._count_use(path)

    def close(self) -> None:
        """Close what is still open, where a job ends early."""
        with self._lock:
            for held in self._held.values():
                held.close()
            self._held.clear()
            self._waiting.clear()

    def _hold(self, path: Path) -> "_Held | None":
        with self._lock:
            if path not in self._waiting:
                return None
            if path not in self._held and len(self._held) < MOST_OPEN:
                self._held[path] = _Held(path)
            return self._held.get(path)

    def _forget(self, path: Path) -> None:
        with self._lock:
            self._waiting.pop(path, None)
            self._held.pop(path, None)

    def _count_use(self, path: Path) -> None:
        with self._lock:
            if path not in self._waiting:
                return
            self._waiting[path] -= 1
            if not self._waiting[path]:
                del self._waiting[path]
                if (held := self._held.pop(path, None)) is not None:
                    held.close()


class _Held:
    """A recording that is open for several segments; one that is read by position anyway is opened for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recording: DecodedRecording | None = None
        self.lock = threading.Lock()

    def open(self) -> Recording:
        with self.lock:
            if self._recording is None:
                recording = open_recording(self._path)
                if not isinstance(recording, DecodedRecording):
                    return recording
                self._recording = recording
            return _Segment(self._recording, self.lock)

    def close(self) -> None:
        with self.lock:
            if self._recording is not None:
                self._recording.close()
                self._recording = None


class _Segment(Recording):
    """One segment's view of a recording: what it knows is what a recording that it alone reads would know."""

    def __init__(self, recording: DecodedRecording, lock: threading.Lock) -> None:
        super().__init__(recording.faults, recording.note)
        self._recording, self._lock = recording, lock
        self.rate, self.channels, self.lossy = recording.rate, recording.channels, recording.lossy
        self.length = None

    def read(self, start: int, frames: int | None, dtype: str = "float32", keep: bool = True) -> np.ndarray:
        with self._lock:  # for this call only: who waits for the next block must not wait for another segment's reader
            samples = self._recording.read(start, frames, dtype)
            if frames is None or len(samples) < frames:
                self.length = self._recording.length
            self.faults = list(self._recording.faults)
        return samples

    def iterate(self, start: int, frames: int | None, block: int) -> Iterator[np.ndarray]:
        done, end = start, None if frames is None else start + frames
        while end is None or done < end:
            wanted = block if end is None else min(block, end - done)
            samples = self.read(done, wanted)
            done += len(samples)
            if len(samples):
                yield samples
            if len(samples) < wanted:
                break

    def close(self) -> None:
        """The others may still read."""

"""The windows that wait for the model, and the choice of the next batch.

There are two lines: windows of short audio (live streams, and recordings of one window), and those of longer
recordings. In each the window that has waited longest is first. While both lines wait, each gets the same number of
seconds, and a batch of the long line is one window. So short audio waits for the batches that have begun, and rarely
for one window more, however many hours of audio are being transcribed.

Several batches may be computed at a time. They share the windows that wait, and the processor's threads: small networks
gain more from several batches with one thread each than from one batch with all threads.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.tasks import RecognitionTask, WindowTask
from nemo_models.transcription.audio_windows import AudioWindow

WINDOWS_AHEAD = 4  # of one recording that wait at a time
THREAD_S = 0.1  # computing that is worth a thread: with less, threads wait for each other more than they gain


@dataclass(frozen=True)
class WaitingWindow:
    """A window that waits for the model, since `arrived` (`time.monotonic()`)."""

    task: RecognitionTask | WindowTask
    window: AudioWindow
    arrived: float

    @property
    def samples(self) -> int:
        """Number of its samples."""
        return len(self.window.samples)

    @property
    def is_short(self) -> bool:
        """Whether it belongs to a live stream, or is a whole recording."""
        return isinstance(self.task, WindowTask) or (self.window.number == 0 and self.window.last)


@dataclass(frozen=True)
class Batch:
    """Windows that go through the model together, and the number of threads for that."""

    windows: Sequence[WaitingWindow]
    threads: int


class WindowQueue:
    """The windows that wait.

    Attributes:
        cost: Seconds that one thread computes for a second of audio; 0: a batch needs no more than one.
    """

    def __init__(self, limits: EngineLimits, sample_rate_hz: int, threads: int = 1) -> None:
        """Set up an empty queue.

        Args:
            limits: The engine's limits.
            sample_rate_hz: Rate of the windows.
            threads: Threads that compute; each batch at work has one or more of them.
        """
        self.cost = 0.0
        self._limits, self._rate = limits, sample_rate_hz
        self._changed = threading.Condition()
        self._short: deque[WaitingWindow] = deque()
        self._long: deque[WaitingWindow] = deque()
        self._short_samples = 0  # that were taken since the long line's last window, while that line waited
        self._free, self._takers, self._is_closed = threads, 0, False

    def __len__(self) -> int:
        """Return the number of windows that wait."""
        return len(self._short) + len(self._long)

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that wait."""
        with self._changed:
            return sum(one.samples for line in (self._short, self._long) for one in line) / self._rate

    def put(self, task: RecognitionTask | WindowTask, window: AudioWindow) -> bool:
        """Add a window as soon as few of its recording wait; return whether the task still goes on."""
        with self._changed:
            self._changed.wait_for(lambda: task.waiting < WINDOWS_AHEAD or task.over)
            if not task.over:
                task.waiting += 1
                waiting = WaitingWindow(task, window, time.monotonic())
                (self._short if waiting.is_short else self._long).append(waiting)
                self._changed.notify_all()
        return not task.over

    def remove(self, task: RecognitionTask) -> None:
        """Remove the windows of a task that is over."""
        with self._changed:
            self._short = deque(one for one in self._short if one.task is not task)
            self._long = deque(one for one in self._long if one.task is not task)
            self._changed.notify_all()

    def close(self) -> None:
        """Let `take` return `None` once no window waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take(self) -> Batch | None:
        """Wait for the next batch; `give_back` it when it was computed. `None`: there is none any more."""
        with self._changed:
            self._takers += 1
            try:
                while not (batch := self._choose()):
                    if self._is_closed and not len(self):
                        return None
                    self._changed.wait(self._wait_s())
            finally:
                self._takers -= 1
            for one in batch.windows:
                one.task.waiting -= 1
            self._free -= batch.threads
            self._changed.notify_all()
        return batch

    def give_back(self, batch: Batch) -> None:
        """Free the threads of a batch."""
        with self._changed:
            self._free += batch.threads
            self._changed.notify_all()

    def _wait_s(self) -> float | None:
        """Return how long the first window still waits for others, at most; `None`: without a limit."""
        if not len(self) or not self._free:
            return None
        first = min(line[0].arrived for line in (self._short, self._long) if line)
        return first + self._limits.batch_wait_ms / 1000 - time.monotonic()

    def _choose(self) -> Batch | None:
        """Take a batch out of the lines; `None` if there is none yet."""
        if not len(self) or not self._free:
            return None
        line, room = self._choose_line(), self._count_room()
        both_wait = bool(self._short and self._long)
        most = 1 if both_wait and line is self._long else math.ceil(len(line) / room)
        count = self._count_windows(line, most)
        if count == len(self) and (self._wait_s() or 0) > 0:
            return None  # more may come
        windows = [line.popleft() for _ in range(count)]
        samples = sum(one.samples for one in windows)
        self._short_samples = self._short_samples + samples if line is self._short and self._long else 0
        wanted = math.ceil(samples / self._rate * self.cost / THREAD_S)
        return Batch(windows, max(1, min(wanted, self._free // room)))

    def _choose_line(self) -> deque[WaitingWindow]:
        if self._short and self._long:
            return self._long if self._short_samples >= self._long[0].samples else self._short
        return self._short or self._long

    def _count_room(self) -> int:
        """Return the number of batches that can be begun now and have something to do, from 1."""
        return min(self._free, self._takers, len(self))

    def _count_windows(self, line: Sequence[WaitingWindow], most: int) -> int:
        """Return the number of windows, from the one that has waited longest, that a batch holds."""
        longest, limit = 0, self._limits.batch_audio_s * self._rate
        for number, one in enumerate(line):
            longest = max(longest, one.samples)
            if number and (number >= min(most, self._limits.batch_size) or longest * (number + 1) > limit):
                return number
        return len(line)

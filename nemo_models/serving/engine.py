"""One loaded model that all requests share: a bounded queue, threads that read audio, and one batcher.

The queue contains windows, not recordings, and few windows of each recording at a time, so an hour-long file hardly
delays a short one. The batcher takes the window that has waited longest and those after it, up to the seconds of audio
in a batch. A text does not depend on the batch.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.arguments import require_int, require_number
from nemo_models.serving.process_memory import MemoryRelease
from nemo_models.serving.recogniser import Recogniser
from nemo_models.serving.tasks import FAILED, STOPPED, TOO_LONG, QueueFullError, RecognitionTask, WindowTask
from nemo_models.transcription.audio_windows import AudioWindow
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcripts import Transcript

WINDOWS_AHEAD = 4  # of one recording that wait at a time
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineLimits:
    """How much the engine takes at once.

    Attributes:
        max_requests: Most recordings that are begun or wait, from 1.
        num_workers: Threads that read audio, from 1: so many recordings are read at a time.
        batch_size: Most windows in a batch, from 1.
        batch_audio_s: Most seconds of audio in a batch, padding included; a longer window is a batch alone.
        batch_wait_ms: Milliseconds that the first window of a batch waits for others.
        max_audio_s: Longest recording, seconds.

    Raises:
        ValueError: A limit is out of range.
    """

    max_requests: int = 64
    num_workers: int = 4
    batch_size: int = 32
    batch_audio_s: float = 120.0
    batch_wait_ms: float = 5.0
    max_audio_s: float = 7200.0

    def __post_init__(self) -> None:
        for key in ("max_requests", "num_workers", "batch_size"):
            require_int(key, getattr(self, key), 1)
        require_number("batch_audio_s", self.batch_audio_s, above=0)
        require_number("batch_wait_ms", self.batch_wait_ms, 0)
        require_number("max_audio_s", self.max_audio_s, above=0)


@dataclass(frozen=True)
class _Work:
    """A window that waits for the model."""

    task: RecognitionTask | WindowTask
    window: AudioWindow
    arrived: float


class RecognitionEngine:
    """Recognises recordings for many callers at once.

    Attributes:
        recogniser: The loaded model.
        limits: The limits.
        on_batch: Function that is called with (windows, seconds of audio, seconds of computing) after each batch.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        limits: EngineLimits | None = None,
        on_batch: Callable[[int, float, float], object] | None = None,
    ) -> None:
        """Set up; `start` begins to work.

        Args:
            recogniser: The loaded model.
            limits: `None`: the defaults.
            on_batch: See the attribute.
        """
        self.recogniser, self.limits, self.on_batch = recogniser, limits or EngineLimits(), on_batch
        self._changed = threading.Condition()
        self._queue: deque[_Work] = deque()
        self._tasks: set[RecognitionTask] = set()
        self._readers = ThreadPoolExecutor(self.limits.num_workers, "read-audio")
        self._batcher = threading.Thread(target=self._work, name="recognise", daemon=True)
        self._closed, self._ready, self._speed = False, False, 0.0

    @property
    def ready(self) -> bool:
        """Whether the model is warm and requests are taken."""
        return self._ready and not self._closed and self.is_working

    @property
    def is_working(self) -> bool:
        """Whether the model is being warmed up, or computes."""
        return self._batcher.is_alive()

    @property
    def open_requests(self) -> int:
        """Number of recordings that are begun or wait."""
        return len(self._tasks)

    @property
    def waiting_windows(self) -> int:
        """Number of windows that wait for the model."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to work: the model is warmed up first."""
        self._batcher.start()

    def submit(
        self, audio: AudioInput, phrases: Sequence[str] = (), on_text: Callable[[str], object] | None = None
    ) -> RecognitionTask:
        """Take a recording.

        Args:
            audio: The recording.
            phrases: Phrases to prefer, normalised.
            on_text: See `RecognitionTask`. The pieces, one after another, are the transcript's text.

        Raises:
            QueueFullError: As many recordings wait as may wait, or the engine is closed.
        """
        with self._changed:
            if self._closed or len(self._tasks) >= self.limits.max_requests:
                raise QueueFullError(self._estimate_wait())
            task = RecognitionTask(audio, self.recogniser.open(audio, phrases), on_text)
            self._tasks.add(task)
        task.transcript.add_done_callback(lambda _: self._forget(task))
        self._readers.submit(self._read, task)
        return task

    def compute(self, samples: np.ndarray, language: str | None = None) -> WindowTask:
        """Take a window of a live stream.

        Args:
            samples: (n,) float32 at the recogniser's rate.
            language: Has no effect here, where `best_labels` takes it; the engine of a cluster passes it on.

        Returns:
            The task, whose `frames` come with a batch.
        """
        task = WindowTask()
        with self._changed:
            if self._closed or not self._batcher.is_alive():
                task.fail(STOPPED)
            else:
                self._queue.append(_Work(task, AudioWindow(samples, 0), time.monotonic()))
                self._changed.notify_all()
        return task

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more recordings, finish those that are here, and stop.

        Args:
            timeout_s: Seconds for that; what is not done then ends with the error `stopped`. `None`: no limit.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._closed = True
            while self._tasks and self._batcher.is_alive() and (end is None or time.monotonic() < end):
                self._changed.wait(None if end is None else max(0.0, end - time.monotonic()))
            left = list(self._tasks)
            self._changed.notify_all()
        for task in left:
            task.fail(STOPPED)
        self._readers.shutdown(wait=timeout_s is None, cancel_futures=True)
        if self._batcher.is_alive():
            self._batcher.join(timeout_s)

    def _estimate_wait(self) -> int:
        waiting_s = sum(len(work.window.samples) for work in self._queue) / self.recogniser.sample_rate_hz
        return max(1, min(60, round(waiting_s / self._speed))) if self._speed else 1

    def _forget(self, task: RecognitionTask) -> None:
        with self._changed:
            self._tasks.discard(task)
            self._queue = deque(work for work in self._queue if work.task is not task)
            self._changed.notify_all()

    def _read(self, task: RecognitionTask) -> None:
        """Read a recording into the queue, as fast as its windows are taken."""
        try:
            for item in self.recogniser.read(task.audio):
                if isinstance(item, Transcript):
                    return task.end(item)
                if (item.start + len(item.samples)) / self.recogniser.sample_rate_hz > self.limits.max_audio_s:
                    limit = f"expected {self.limits.max_audio_s:g} s of audio or less; cut the recording"
                    return task.fail(f"{TOO_LONG}: {task.audio.path}: {limit}")
                if not self._put(task, item):
                    return None
        except Exception:
            _log.exception("a recording could not be read")
            task.fail(FAILED)
        return None

    def _put(self, task: RecognitionTask, window: AudioWindow) -> bool:
        """Queue a window as soon as there is room; return whether the task still goes on."""
        with self._changed:
            self._changed.wait_for(lambda: task.waiting < WINDOWS_AHEAD or task.over)
            if not task.over:
                task.waiting += 1
                self._queue.append(_Work(task, window, time.monotonic()))
                self._changed.notify_all()
        return not task.over

    def _work(self) -> None:
        try:
            self.recogniser.warm_up()
        except Exception:
            _log.exception("the model could not be warmed up")
            return
        self._ready, memory = True, MemoryRelease()
        while batch := self._take_batch():
            self._recognise(batch)
            memory.release()

    def _take_batch(self) -> list[_Work]:
        """Wait for a batch: the windows that have waited longest. An empty one ends the work."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or (self._closed and not self._tasks))
            if not self._queue:
                return []
            end = self._queue[0].arrived + self.limits.batch_wait_ms / 1000
            while self._queue and (rest_s := end - time.monotonic()) > 0 and self._count_batch() == len(self._queue):
                self._changed.wait(rest_s)
            batch = [self._queue.popleft() for _ in range(self._count_batch())]
            for work in batch:
                work.task.waiting -= 1
            self._changed.notify_all()
        return batch or self._take_batch()

    def _count_batch(self) -> int:
        """Return the number of windows, from the one that has waited longest, that a batch holds."""
        longest, most = 0, self.limits.batch_audio_s * self.recogniser.sample_rate_hz
        for number, work in enumerate(self._queue):
            longest = max(longest, len(work.window.samples))
            if number and (number == self.limits.batch_size or longest * (number + 1) > most):
                return number
        return len(self._queue)

    def _recognise(self, batch: Sequence[_Work]) -> None:
        started = time.monotonic()
        recordings: list[tuple[RecognitionTask, AudioWindow, Any]] = []
        for work, frames in self._compute([work for work in batch if not work.task.over]):
            if isinstance(work.task, WindowTask):
                work.task.end(frames)
            else:
                recordings.append((work.task, work.window, frames))
        try:
            self.recogniser.add([(task.recognition, window, frames) for task, window, frames in recordings])
        except Exception:
            _log.exception("a batch could not be decoded")
            for task, _, _ in recordings:
                task.fail(FAILED)
        seconds = time.monotonic() - started
        audio_s = sum(len(work.window.samples) for work in batch) / self.recogniser.sample_rate_hz
        self._speed = audio_s / max(seconds, 1e-6)
        if self.on_batch:
            self.on_batch(len(batch), audio_s, seconds)
        for task in dict.fromkeys(task for task, _, _ in recordings):
            self._tell(task)

    def _compute(self, batch: Sequence[_Work]) -> list[tuple[_Work, Any]]:
        """Run the model; where a batch fails, each of its windows alone, so that one costs the others nothing."""
        try:
            frames = self.recogniser.compute([work.window.samples for work in batch]) if batch else []
            return list(zip(batch, frames, strict=True))
        except Exception:
            if len(batch) > 1:
                return [pair for work in batch for pair in self._compute([work])]
            _log.exception("a window could not be computed")
            batch[0].task.fail(FAILED)
            return []

    def _tell(self, task: RecognitionTask) -> None:
        try:
            if task.recognition.error:
                return task.fail(task.recognition.error)
            task.tell_text()
            if task.recognition.done and not task.over:
                task.end(task.recognition.finish())
        except Exception:
            _log.exception("a transcript could not be made")
            task.fail(FAILED)
        return None

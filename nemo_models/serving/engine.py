"""One loaded model that all requests share: a bounded queue, threads that read audio, and threads that compute.

The queue contains windows, not recordings, and few windows of each recording at a time, so an hour-long file hardly
delays a short one (`window_queue`). A text does not depend on the batch.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nemo_models.serving.batch_workers import BatchWorkers, OnBatch
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.recogniser import Recogniser
from nemo_models.serving.tasks import FAILED, STOPPED, TOO_LONG, QueueFullError, RecognitionTask, WindowTask
from nemo_models.serving.window_queue import WINDOWS_AHEAD, WindowQueue
from nemo_models.transcription.audio_windows import AudioWindow
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcripts import Transcript

LONGEST_RETRY_S = 60
_log = logging.getLogger(__name__)


class RecognitionEngine:
    """Recognises recordings for many callers at once.

    Attributes:
        recogniser: The loaded model.
        limits: The limits.
        on_batch: See `OnBatch`; `None`: nobody wants to know.
    """

    def __init__(
        self, recogniser: Recogniser, limits: EngineLimits | None = None, on_batch: OnBatch | None = None
    ) -> None:
        """Set up; `start` begins to work.

        Args:
            recogniser: The loaded model.
            limits: `None`: the defaults.
            on_batch: See the attribute.
        """
        self.recogniser, self.limits, self.on_batch = recogniser, limits or EngineLimits(), on_batch
        self._changed = threading.Condition()
        self._tasks: set[RecognitionTask] = set()
        self._readers = ThreadPoolExecutor(self.limits.num_workers, "read-audio")
        self._long_room = max(1, self.limits.num_workers - 1)  # readers of long recordings; one stays for short ones
        self._postponed: deque[RecognitionTask] = deque()
        most = self.limits.parallel_batches
        self._queue = WindowQueue(self.limits, recogniser.sample_rate_hz, max(most, recogniser.threads))
        self._workers = BatchWorkers(recogniser, self._queue, most, self._note_batch)
        self._closed, self._speed = False, 0.0

    @property
    def ready(self) -> bool:
        """Whether the model is warm and requests are taken."""
        return self._workers.ready and not self._closed and self.is_working

    @property
    def is_working(self) -> bool:
        """Whether the model is being warmed up, or computes."""
        return self._workers.are_working

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
        self._workers.start()

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
            if self._closed or not self.is_working:
                task.fail(STOPPED)
            else:
                self._queue.put(task, AudioWindow(samples, 0))
        return task

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more recordings, finish those that are here, and stop.

        Args:
            timeout_s: Seconds for that; what is not done then ends with the error `stopped`. `None`: no limit.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._closed = True
            while self._tasks and self.is_working and (end is None or time.monotonic() < end):
                self._changed.wait(None if end is None else max(0.0, end - time.monotonic()))
            left = list(self._tasks)
        for task in left:
            task.fail(STOPPED)
        self._queue.close()
        self._readers.shutdown(wait=timeout_s is None, cancel_futures=True)
        self._workers.join(timeout_s)

    def _note_batch(self, windows: int, audio_s: float, seconds: float) -> None:
        self._speed = self.limits.parallel_batches * audio_s / max(seconds, 1e-6)
        if self.on_batch:
            self.on_batch(windows, audio_s, seconds)

    def _estimate_wait(self) -> int:
        return max(1, min(LONGEST_RETRY_S, round(self._queue.waiting_s / self._speed))) if self._speed else 1

    def _forget(self, task: RecognitionTask) -> None:
        self._queue.remove(task)
        with self._changed:
            self._tasks.discard(task)
            self._changed.notify_all()

    def _read(self, task: RecognitionTask, begun: int = 0) -> None:
        """Read a recording into the queue, as fast as its windows are taken.

        Args:
            task: The recording.
            begun: Number of windows that the queue has had already; such a recording has room as a long one.
        """
        is_long = begun > 0
        try:
            for number, item in enumerate(self.recogniser.read(task.audio)):
                if number < begun:
                    continue
                if isinstance(item, Transcript):
                    return task.end(item)
                if (item.start + len(item.samples)) / self.recogniser.sample_rate_hz > self.limits.max_audio_s:
                    limit = f"expected {self.limits.max_audio_s:g} s of audio or less; cut the recording"
                    return task.fail(f"{TOO_LONG}: {task.audio.path}: {limit}")
                if number >= WINDOWS_AHEAD and not is_long:
                    is_long = self._claim_long_room(task)
                    if not is_long:
                        return None
                if not self._queue.put(task, item):
                    return None
        except Exception:
            _log.exception("a recording could not be read")
            task.fail(FAILED)
        finally:
            if is_long:
                self._free_long_room()
        return None

    def _claim_long_room(self, task: RecognitionTask) -> bool:
        """Return whether a long recording may be read on now, while the model computes; else it is read again later."""
        with self._changed:
            if not self._long_room:
                self._postponed.append(task)
                return False
            self._long_room -= 1
        return True

    def _free_long_room(self) -> None:
        """Read on the long recording that has waited longest."""
        with self._changed:
            while self._postponed:
                task = self._postponed.popleft()
                if not task.over:
                    self._readers.submit(self._read, task, WINDOWS_AHEAD)
                    return
            self._long_room += 1

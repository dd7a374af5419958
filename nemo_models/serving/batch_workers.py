"""The threads that run the model: each takes a batch, computes it, searches, and passes the results on."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from nemo_models.serving.process_memory import MemoryRelease
from nemo_models.serving.recogniser import Recogniser
from nemo_models.serving.tasks import FAILED, RecognitionTask, WindowTask
from nemo_models.serving.window_queue import WaitingWindow, WindowQueue
from nemo_models.transcription.audio_windows import AudioWindow

OnBatch = Callable[[int, float, float], object]
"""Function that is called with (windows, seconds of audio, seconds of computing) after each batch."""
_log = logging.getLogger(__name__)


class BatchWorkers:
    """Threads that compute what waits in a queue; several batches are computed at a time, and one is searched."""

    def __init__(self, recogniser: Recogniser, queue: WindowQueue, count: int, on_batch: OnBatch) -> None:
        """Set up; `start` begins to work.

        Args:
            recogniser: The loaded model.
            queue: The windows that wait.
            count: Number of threads.
            on_batch: See `OnBatch`.
        """
        self._recogniser, self._queue, self._on_batch = recogniser, queue, on_batch
        self._others = [self._make_thread(self._work, number) for number in range(1, count)]
        self._first = self._make_thread(self._begin, 0)
        self._searching = threading.Lock()  # one search at a time: a recording's pieces come in order
        self._memory = MemoryRelease()
        self.ready = False
        """Whether the model is warm."""

    @property
    def are_working(self) -> bool:
        """Whether the model is being warmed up, or all threads work."""
        return self._first.is_alive() and (not self.ready or all(thread.is_alive() for thread in self._others))

    def start(self) -> None:
        """Begin to work: the model is warmed up first."""
        self._first.start()

    def join(self, timeout_s: float | None) -> None:
        """Wait until the threads have ended, which they do once the queue is closed."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in (self._first, *self._others):
            if thread.is_alive():
                thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _make_thread(self, work: Callable[[], None], number: int) -> threading.Thread:
        return threading.Thread(target=work, name=f"recognise-{number}", daemon=True)

    def _begin(self) -> None:
        try:
            self._queue.cost = self._recogniser.warm_up()
        except Exception:
            _log.exception("the model could not be warmed up")
            return
        for thread in self._others:
            thread.start()
        self.ready = True
        self._work()

    def _work(self) -> None:
        while batch := self._queue.take():
            try:
                self._recognise(batch.windows, batch.threads)
            finally:
                self._queue.give_back(batch)
            self._memory.release()

    def _recognise(self, batch: Sequence[WaitingWindow], threads: int) -> None:
        started = time.monotonic()
        recordings: list[tuple[RecognitionTask, AudioWindow, Any]] = []
        for one, frames in self._compute([one for one in batch if not one.task.over], threads):
            if isinstance(one.task, WindowTask):
                one.task.end(frames)
            else:
                recordings.append((one.task, one.window, frames))
        with self._searching:
            self._search(recordings)
        audio_s = sum(one.samples for one in batch) / self._recogniser.sample_rate_hz
        self._on_batch(len(batch), audio_s, time.monotonic() - started)

    def _compute(self, batch: Sequence[WaitingWindow], threads: int) -> list[tuple[WaitingWindow, Any]]:
        """Run the model; where a batch fails, each of its windows alone, so that one costs the others nothing."""
        try:
            frames = self._recogniser.compute([one.window.samples for one in batch], threads) if batch else []
            return list(zip(batch, frames, strict=True))
        except Exception:
            if len(batch) > 1:
                return [pair for one in batch for pair in self._compute([one], threads)]
            _log.exception("a window could not be computed")
            batch[0].task.fail(FAILED)
            return []

    def _search(self, recordings: Sequence[tuple[RecognitionTask, AudioWindow, Any]]) -> None:
        try:
            self._recogniser.add([(task.recognition, window, frames) for task, window, frames in recordings])
        except Exception:
            _log.exception("a batch could not be decoded")
            for task, _, _ in recordings:
                task.fail(FAILED)
        for task in dict.fromkeys(task for task, _, _ in recordings):
            self._tell(task)

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

"""The engine of a server whose models are replicas on Ray Serve.

The front server keeps uploads, sessions of live streams, keys and limits, and sends work to any replica. Another
replica repeats the unfinished work of a lost one, so that no recording and no stream is lost. If no replica returns in
time, recordings end with the error `no_replica`, and streams are closed with a code that means "connect again".
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from data_prep.languages.union import LANGUAGE_KEY
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.replica import ModelFacts, RemoteAudio
from nemo_models.serving.tasks import FAILED, NO_REPLICA, STOPPED, QueueFullError, RecognitionTask, WindowTask
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.memory_audio import MemoryAudio
from nemo_models.transcription.transcripts import Transcript

T = TypeVar("T")
LOST_S = 60.0  # without any replica that answers
RETRY_S = 0.2
_log = logging.getLogger(__name__)


class _NoReplicaError(RuntimeError):
    """No replica answered in time."""


@dataclass(frozen=True)
class RemoteRecogniser:
    """What a server has to know of the recogniser; the labels of a window come as they are."""

    sample_rate_hz: int
    frame_step: int
    vocabulary: Sequence[str]

    def best_labels(self, frames: np.ndarray, language: str | None = None) -> np.ndarray:
        """Return the best label of each frame, which a replica has found."""
        return frames


class _RemoteRecognition:
    """The text of a recording so far; see `Recognition`."""

    def __init__(self) -> None:
        self.text, self.done, self.error = "", False, None

    def finish(self) -> Transcript:
        raise NotImplementedError("a replica gives the transcript")


class ClusterEngine:
    """Recognises recordings on replicas; see `tasks.ServingEngine`."""

    def __init__(
        self,
        handle: Any,
        facts: ModelFacts,
        limits: EngineLimits | None = None,
        on_close: Callable[[], object] | None = None,
        lost_s: float = LOST_S,
    ) -> None:
        """Set up.

        Args:
            handle: Ray Serve's handle of the replicas.
            facts: What the model is.
            limits: Limits of the server in front.
            on_close: Function that is called when the engine has stopped.
            lost_s: Seconds without any replica after which recordings fail.
        """
        self.limits = limits or EngineLimits()
        self.recogniser = RemoteRecogniser(facts.sample_rate_hz, facts.frame_step, facts.vocabulary)
        self.on_batch: Callable[[int, float, float], object] | None = None
        self._handle, self._on_close, self._lost_s = handle, on_close, lost_s
        self._changed, self._tasks = threading.Condition(), set[RecognitionTask]()
        self._callers = ThreadPoolExecutor(self.limits.max_requests, "ask-replica")
        self._windows = ThreadPoolExecutor(self.limits.max_requests, "ask-replica-window")
        self._waiting_windows, self._closed = 0, False

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return not self._closed

    @property
    def open_requests(self) -> int:
        """Number of recordings that are begun or wait."""
        return len(self._tasks)

    @property
    def waiting_windows(self) -> int:
        """Number of windows of live streams that replicas compute or will."""
        return self._waiting_windows

    def start(self) -> None:
        """Begin to work; the replicas are warm already."""

    def submit(
        self, audio: AudioInput, phrases: Sequence[str] = (), on_text: Callable[[str], object] | None = None
    ) -> RecognitionTask:
        """Take a recording, see `RecognitionEngine.submit`."""
        with self._changed:
            if self._closed or len(self._tasks) >= self.limits.max_requests:
                raise QueueFullError(1)
            task = RecognitionTask(audio, _RemoteRecognition(), on_text)
            self._tasks.add(task)
        task.transcript.add_done_callback(lambda _: self._forget(task))
        self._callers.submit(self._recognise, task, tuple(phrases))
        return task

    def compute(self, samples: np.ndarray, language: str | None = None) -> WindowTask:
        """Take a window of a live stream, see `RecognitionEngine.compute`; its labels are of that language."""
        task = WindowTask()
        if self._closed:
            task.fail(STOPPED)
        else:
            self._waiting_windows += 1
            self._windows.submit(self._compute, task, samples, language)
        return task

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more recordings, finish those that are here, and stop; see `RecognitionEngine.close`."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._tasks, timeout_s)
            left = list(self._tasks)
        for task in left:
            task.fail(STOPPED)
        for pool in (self._callers, self._windows):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._on_close:
            self._on_close()

    def _forget(self, task: RecognitionTask) -> None:
        with self._changed:
            self._tasks.discard(task)
            self._changed.notify_all()

    def _recognise(self, task: RecognitionTask, phrases: tuple[str, ...]) -> None:
        try:
            task.end(self._retry(lambda: self._ask(task, phrases), lambda: task.over))
        except _NoReplicaError:
            task.fail(NO_REPLICA)
        except Exception:
            if not task.over:
                _log.exception("a recording could not be sent to a replica")
            task.fail(FAILED)

    def _ask(self, task: RecognitionTask, phrases: tuple[str, ...]) -> Transcript:
        """Have one replica recognise a recording; pass on the text that the ones before did not give."""
        stream = self._handle.options(stream=True).recognise.remote(_pack(task.audio), phrases)
        task.transcript.add_done_callback(lambda _: stream.cancel())
        text, recognition = "", task.recognition
        assert isinstance(recognition, _RemoteRecognition)
        for item in _take(stream):
            if isinstance(item, Transcript):
                return item
            text += item
            if len(text) > len(recognition.text):
                recognition.text = text
                task.tell_text()
        raise RuntimeError("a replica gave no transcript")

    def _compute(self, task: WindowTask, samples: np.ndarray, language: str | None) -> None:
        try:
            task.end(self._retry(lambda: self._handle.compute.remote(samples, language).result(), lambda: task.over))
        except Exception as error:
            if not isinstance(error, _NoReplicaError):
                _log.exception("a window could not be sent to a replica")
            task.fail(FAILED)
        finally:
            self._waiting_windows -= 1

    def _retry(self, ask: Callable[[], T], is_over: Callable[[], bool]) -> T:
        """Ask until a replica answers; those that are lost, or have no room, are asked no more."""
        from ray.exceptions import RayError, RayTaskError

        end = time.monotonic() + self._lost_s
        while not (is_over() or self._closed_and_empty()):
            try:
                return ask()
            except RayTaskError as error:
                if not isinstance(error.cause, QueueFullError):
                    raise
                end = time.monotonic() + self._lost_s
            except (RayError, ConnectionError, RuntimeError) as error:
                if not _is_lost(error):
                    raise
                if time.monotonic() > end:
                    raise _NoReplicaError(str(error)) from error
            time.sleep(RETRY_S)
        raise _NoReplicaError("nobody waits for the result")

    def _closed_and_empty(self) -> bool:
        return self._closed and not self._tasks


def _is_lost(error: Exception) -> bool:
    """Whether another replica, or the same one later, may answer."""
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    return isinstance(error, RayError | RayServeException | ConnectionError)


def _pack(audio: AudioInput) -> RemoteAudio:
    name, language = str(audio.path), audio.fields.get(LANGUAGE_KEY)
    if isinstance(audio, MemoryAudio) and audio.samples is not None:
        return RemoteAudio(name, samples=audio.samples, sample_rate_hz=audio.sample_rate_hz, language=language)
    return RemoteAudio(name, audio.path.read_bytes(), language=language)


def _take(stream: Any) -> Iterator[Any]:
    """Yield what a replica sends; give the rest up where nobody wants it."""
    try:
        yield from stream
    finally:
        stream.cancel()

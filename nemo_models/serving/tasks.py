"""A recording in the engine, and the errors that may end it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from nemo_models.serving.recogniser import Recognition
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcripts import Transcript

TOO_LONG = "too_long"
FAILED = "server: an unexpected error; the server's log has the details"
STOPPED = "stopped: the server was stopped before this recording was done"
NO_REPLICA = "no_replica: found no replica that answers, expected one; try again"


class QueueFullError(RuntimeError):
    """As many recordings wait as may wait; `retry_after_s` says when to try again."""

    def __init__(self, retry_after_s: int) -> None:
        """Name the time.

        Args:
            retry_after_s: Seconds, 1 or more.
        """
        super().__init__("too many requests wait")
        self.retry_after_s = retry_after_s


class RecognitionTask:
    """A recording in the engine.

    Attributes:
        transcript: Future of the transcript; audio that cannot be used gives one with an `error`.
        submitted: `time.monotonic()` when it came.
    """

    def __init__(
        self, audio: AudioInput, recognition: Recognition, on_text: Callable[[str], object] | None = None
    ) -> None:
        """Set up a task that nothing was done for yet.

        Args:
            audio: The recording.
            recognition: What its windows are added to.
            on_text: Function that is called, in the engine's thread, with each piece of text that is complete.
        """
        self.transcript: Future[Transcript] = Future()
        self.submitted = time.monotonic()
        self.audio, self.recognition, self.on_text = audio, recognition, on_text
        self.waiting, self.told = 0, 0

    def cancel(self) -> None:
        """Give the recording up: what is not computed yet never will be."""
        self.transcript.cancel()

    @property
    def over(self) -> bool:
        """Whether there is a transcript, an error, or nobody who waits for one."""
        return self.transcript.done()

    def end(self, transcript: Transcript) -> None:
        """Give the transcript to who waits for it, if anybody does."""
        with suppress(InvalidStateError):
            self.transcript.set_result(transcript)

    def fail(self, error: str) -> None:
        """End with an error (`reason: details`)."""
        self.end(Transcript(0, self.audio, error=error))

    def tell_text(self) -> None:
        """Pass on the text that is new."""
        new, self.told = self.recognition.text[self.told :], len(self.recognition.text)
        if new and self.on_text:
            self.on_text(new)


class ServingEngine(Protocol):
    """What a server needs of an engine: this process's, or that of a cluster.

    Attributes:
        recogniser: What is known of the model.
        limits: The limits.
        on_batch: See `RecognitionEngine`.
    """

    on_batch: Callable[[int, float, float], object] | None

    @property
    def recogniser(self) -> "FrameReader": ...

    @property
    def limits(self) -> "HasLongest": ...

    @property
    def ready(self) -> bool: ...

    @property
    def open_requests(self) -> int: ...

    @property
    def waiting_windows(self) -> int: ...

    def start(self) -> None: ...

    def submit(
        self, audio: AudioInput, phrases: Sequence[str] = (), on_text: Callable[[str], object] | None = None
    ) -> RecognitionTask: ...

    def compute(self, samples: np.ndarray, language: str | None = None) -> "WindowTask": ...

    def close(self, timeout_s: float | None = None) -> None: ...


class FrameReader(Protocol):
    """What live streams need of a recogniser; see `Recogniser`."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def frame_step(self) -> int: ...

    @property
    def vocabulary(self) -> Sequence[str]: ...

    def best_labels(self, frames: Any, language: str | None = None) -> np.ndarray: ...


class HasLongest(Protocol):
    """The limit that live streams keep."""

    @property
    def max_audio_s(self) -> float: ...


class WindowTask:
    """A window of a live stream in the engine.

    Attributes:
        frames: Future of the window's log-probabilities; `None` if they could not be computed.
    """

    def __init__(self) -> None:
        """Set up a task that nothing was done for yet."""
        self.frames: Future[Any] = Future()
        self.waiting = 0

    @property
    def over(self) -> bool:
        """Whether the window was computed, or nobody waits for it."""
        return self.frames.done()

    def end(self, frames: Any) -> None:
        """Give the log-probabilities to who waits for them, if anybody does."""
        with suppress(InvalidStateError):
            self.frames.set_result(frames)

    def fail(self, error: str) -> None:
        """End without them; a stream goes on, for its final is computed from the whole utterance."""
        self.end(None)

"""One replica of the recogniser on Ray Serve: the engine of a server without its web part, behind four methods.

Uploads, samples, labels and transcripts go over the network. A replica keeps no state between calls, so any other
replica can take its place.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.uploads import UploadFolder
from nemo_models.transcription.inputs import AudioInput, in_language
from nemo_models.transcription.memory_audio import as_inputs
from nemo_models.transcription.transcripts import Transcript

LOOK_S = 0.1  # between two looks whether the model is warm
LoadServed = Callable[[UploadFolder], ServedModel]
"""Function that loads the model and sets up its engine."""


@dataclass(frozen=True)
class ModelFacts:
    """What a server has to know of a model that is elsewhere.

    Attributes:
        names: Names of the model; the first is its own.
        created: When its file was written, seconds since 1970.
        sample_rate_hz: See `Recogniser`.
        frame_step: See there.
        vocabulary: See there.
        gives_words: Whether transcripts have words with times.
        prefers_phrases: Whether the search can prefer phrases.
    """

    names: tuple[str, ...]
    created: int
    sample_rate_hz: int
    frame_step: int
    vocabulary: tuple[str, ...]
    gives_words: bool
    prefers_phrases: bool


@dataclass(frozen=True)
class RemoteAudio:
    """Audio on its way to a replica.

    Attributes:
        name: Its name for messages; the extension may say what format it has.
        content: A file's bytes; `None` if there are samples.
        samples: (n, 1) int16 or float32; `None` if there is a file.
        sample_rate_hz: Rate of the samples.
        language: Code of the language to recognise in, for a model that has several; `None`: it is identified.
    """

    name: str
    content: bytes | None = None
    samples: np.ndarray | None = None
    sample_rate_hz: int = 16_000
    language: str | None = None


class Replica:
    """A loaded model; see the module. Ray Serve makes it and calls it."""

    def __init__(self, load: LoadServed, temporary_dir: Path | None = None) -> None:
        """Load the model and warm it up.

        Args:
            load: What loads it.
            temporary_dir: Folder for temporary files; `None`: the system's.

        Raises:
            RuntimeError: The model could not be warmed up.
        """
        self._uploads = UploadFolder(temporary_dir)
        tempfile.tempdir = str(self._uploads.path)  # the process belongs to this replica
        self._served = load(self._uploads)
        assert isinstance(self._served.engine, RecognitionEngine)
        self._engine = self._served.engine
        self._engine.start()
        while not self._engine.ready:
            if not self._engine.is_working:
                raise RuntimeError("the model could not be warmed up; the replica's log has the details")
            time.sleep(LOOK_S)

    def __del__(self) -> None:
        """Stop; Ray Serve calls it before it ends the process."""
        with suppress(Exception):
            self._engine.close(0.0)
            if self._served.decoders:
                self._served.decoders.close()
            self._uploads.close()

    async def describe(self) -> ModelFacts:
        """Return what a server has to know."""
        served, recogniser = self._served, self._engine.recogniser
        return ModelFacts(
            tuple(served.names),
            served.created,
            recogniser.sample_rate_hz,
            recogniser.frame_step,
            tuple(recogniser.vocabulary),
            served.gives_words,
            served.read_prompt is not None,
        )

    async def compute(self, samples: np.ndarray, language: str | None = None) -> np.ndarray | None:
        """Return the best label of each frame of a window, (T,) int; `None` if it cannot be computed."""
        frames = await asyncio.wrap_future(self._engine.compute(np.array(samples)).frames)
        return None if frames is None else self._engine.recogniser.best_labels(frames, language)

    async def recognise(self, audio: RemoteAudio, phrases: Sequence[str]) -> AsyncIterator[str | Transcript]:
        """Yield the pieces of a text, and the transcript as the last item.

        Args:
            audio: The recording.
            phrases: Phrases to prefer.

        Raises:
            QueueFullError: As many recordings wait as may wait.
        """
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def pass_on(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        async with AsyncExitStack() as held:
            item, path = await run_in_threadpool(self._receive, audio, held)
            task = self._engine.submit(item, phrases, pass_on)
            held.callback(task.cancel)
            task.transcript.add_done_callback(lambda _: pass_on(None))
            while (piece := await pieces.get()) is not None:
                yield piece
            found = task.transcript.result()
            error, warning = (text and text.replace(str(path), audio.name) for text in (found.error, found.warning))
            yield replace(found, audio=AudioInput(Path(audio.name)), error=error, warning=warning)

    def _receive(self, audio: RemoteAudio, held: AsyncExitStack) -> tuple[AudioInput, Path]:
        if audio.samples is not None:
            (item,) = as_inputs((np.array(audio.samples), audio.sample_rate_hz), audio.sample_rate_hz)
            return in_language(item, audio.language), item.path
        path = held.enter_context(self._uploads.keep_bytes(audio.content or b"", audio.name))
        return in_language(AudioInput(path), audio.language), path


def make_deployment(load: LoadServed, options: dict[str, Any], temporary_dir: Path | None = None) -> Any:
    """Return Ray Serve's application.

    Args:
        load: What loads a replica's model.
        options: Options of the deployment.
        temporary_dir: Folder for temporary files on each machine; `None`: the system's.
    """
    from ray import serve

    deploy: Any = serve.deployment(name="recogniser", **options)
    return deploy(Replica).bind(load, temporary_dir)

"""The interface of a recogniser, and the recogniser of a CTC model. Only the engine's threads run the model."""

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nemo_models.serving.decoding_pool import DecodingPool
from nemo_models.transcription.audio_windows import AudioWindow
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.memory_audio import MemoryAudio
from nemo_models.transcription.transcripts import Transcript

if TYPE_CHECKING:
    from nemo_models.transcription.log_prob_joiner import LogProbSegment
    from nemo_models.transcription.segment_results import SegmentResult
    from nemo_models.transcription.transcribe import Transcriber

KEPT_DECODERS = 8  # one for each list of phrases; each holds a boosting tree
WARMUP_S = (1.0, 10.0)  # of noise: short and long windows take different paths on a GPU
NOT_FINITE = "model: its output is not finite; try compute_dtype=float32"


class Recognition(Protocol):
    """One recording that is being recognised.

    Attributes:
        text: What was recognised so far: complete segments, with single spaces.
        done: Whether the last window was added.
        error: Why there is no transcript (`reason: details`), or `None`.
    """

    @property
    def text(self) -> str: ...

    @property
    def done(self) -> bool: ...

    @property
    def error(self) -> str | None: ...

    def finish(self) -> Transcript:
        """Return the transcript, once it is done."""


class Recogniser(Protocol):
    """A loaded model with its options.

    Attributes:
        sample_rate_hz: Rate of the waveforms that the model takes.
        frame_step: Samples from one frame of log-probabilities to the next.
        vocabulary: The labels; the blank follows them.
        threads: Threads of the processor that all batches at work share.
    """

    sample_rate_hz: int
    frame_step: int
    vocabulary: Sequence[str]
    threads: int

    def warm_up(self) -> float:
        """Compute noise once, so that the first request is as fast as the others.

        Returns:
            Seconds that one thread of the processor computes for a second of audio; 0 if a GPU computes.
        """

    def read(self, audio: AudioInput) -> Iterator[AudioWindow | Transcript]:
        """Read an input as windows; the last item is a transcript with the error where it cannot be read."""

    def open(self, audio: AudioInput, phrases: Sequence[str] = ()) -> Recognition:
        """Begin to recognise an input, with phrases to prefer."""

    def compute(self, waveforms: Sequence[np.ndarray], threads: int | None = None) -> list[Any]:
        """Compute the log-probabilities of waveforms, (n,) float32 each, in one batch.

        Several threads may call it at a time, each with its share of the processor's threads; `None`: as before.
        """

    def best_labels(self, frames: Any, language: str | None = None) -> np.ndarray:
        """Return the best label of each frame, (T,) int; of a model of several languages, one of that language."""

    def add(self, computed: Sequence[tuple[Any, AudioWindow, Any]]) -> None:
        """Add windows and their log-probabilities to their recognitions; one call at a time."""


class ModelRecognition:
    """A recording that a CTC model is recognising; see `Recognition`."""

    def __init__(self, audio: AudioInput, transcriber: "Transcriber", phrases: Sequence[str]) -> None:
        """Begin with nothing recognised.

        Args:
            audio: The input.
            transcriber: What recognises it.
            phrases: Phrases to prefer.
        """
        self.phrases = tuple(phrases)
        self._language = transcriber.languages.choose(audio)
        self.joiner = transcriber.make_joiner(language=self._language)
        self.results: list[SegmentResult] = []
        self.text = ""
        self.error: str | None = None
        self._audio, self._gives_words = audio, transcriber.gives_words
        self._duration_s = 0.0
        self._warning: str | None = None

    @property
    def done(self) -> bool:
        """Whether the last window was added."""
        return self.joiner.done

    def note(self, window: AudioWindow, sample_rate_hz: int) -> None:
        """Remember what a window says about the whole recording."""
        self._warning = window.warning or self._warning
        self._duration_s = max(self._duration_s, (window.start + len(window.samples)) / sample_rate_hz)

    def finish(self) -> Transcript:
        """Return the transcript, as `Transcriber.transcribe` gives it."""
        from nemo_models.transcription.languages import find_main_language
        from nemo_models.transcription.segment_results import join_results

        text, words, fields = join_results(self.results)
        listed = words if self._gives_words else None
        language = find_main_language(self.results, self._language)
        return Transcript(0, self._audio, text, self._duration_s, None, listed, None, fields, self._warning, language)


class ModelRecogniser:
    """A CTC model that recognises; see `Recogniser`. Its batches share the threads that torch has when it is made."""

    def __init__(
        self, transcriber: "Transcriber", boosting_weight: float | None = None, decoders: DecodingPool | None = None
    ) -> None:
        """Set up for a transcriber with its model's current decoding strategy.

        Args:
            transcriber: The model with its options.
            boosting_weight: How strongly the phrases of a request are preferred, above 0; `None`: the default.
            decoders: Processes that decode files; `None`: this one.
        """
        import torch

        from nemo_models.inference.log_probs import device_of

        self._transcriber, self._weight, self._pool = transcriber, boosting_weight, decoders
        self._is_on_cpu = device_of(transcriber.model).type == "cpu"
        self.threads = torch.get_num_threads() if self._is_on_cpu else 1
        self.sample_rate_hz = transcriber.sample_rate_hz
        self.frame_step = round(transcriber.frame_s * transcriber.sample_rate_hz)
        self.vocabulary: Sequence[str] = list(transcriber.model.decoder.vocabulary)
        self._decoders: OrderedDict[tuple[str, ...], Any] = OrderedDict()

    def warm_up(self) -> float:
        """Compute and decode noise, see `Recogniser`."""
        from nemo_models.transcription.log_prob_joiner import LogProbSegment

        generator, cost = np.random.default_rng(0), 0.0
        for seconds in WARMUP_S:
            noise = 0.1 * generator.standard_normal(round(seconds * self.sample_rate_hz)).astype(np.float32)
            started = time.monotonic()
            computed = self.compute([noise], threads=1)
            cost = (time.monotonic() - started) / seconds
            self._transcriber.decode([LogProbSegment(frames) for frames in computed])
        return cost if self._is_on_cpu else 0.0

    def read(self, audio: AudioInput) -> Iterator[AudioWindow | Transcript]:
        """Read an input as windows, see `Transcriber.read`."""
        if self._pool is None or isinstance(audio, MemoryAudio):
            return self._transcriber.read(audio)
        return self._transcriber.read(audio, open_stream=self._pool.open)

    def open(self, audio: AudioInput, phrases: Sequence[str] = ()) -> ModelRecognition:
        """Begin to recognise an input, see `Recogniser`."""
        return ModelRecognition(audio, self._transcriber, phrases)

    def compute(self, waveforms: Sequence[np.ndarray], threads: int | None = None) -> list[Any]:
        """Compute log-probabilities, see `Recogniser` and `Transcriber.compute`."""
        import torch

        if threads and self._is_on_cpu and threads != torch.get_num_threads():
            torch.set_num_threads(threads)  # of the thread that calls
        return self._transcriber.compute(waveforms)

    def best_labels(self, frames: Any, language: str | None = None) -> np.ndarray:
        """Return the best label of each frame, see `Recogniser`."""
        return self._transcriber.languages.mask(frames, language).argmax(dim=-1).cpu().numpy()

    def add(self, computed: Sequence[tuple[ModelRecognition, AudioWindow, Any]]) -> None:
        """Join and decode windows, those of recordings with the same phrases together."""
        segments: dict[tuple[str, ...], list[tuple[ModelRecognition, LogProbSegment]]] = {}
        for recognition, window, frames in computed:
            if not bool(frames.isfinite().all()):
                recognition.error = NOT_FINITE
            if recognition.error:
                continue
            recognition.note(window, self.sample_rate_hz)
            ready = recognition.joiner.add(window, frames)
            segments.setdefault(recognition.phrases, []).extend((recognition, segment) for segment in ready)
        for phrases, waiting in segments.items():
            self._decode(phrases, waiting)

    def _decode(self, phrases: tuple[str, ...], waiting: Sequence[tuple[ModelRecognition, "LogProbSegment"]]) -> None:
        model: Any = self._transcriber.model
        usual = model.decoding
        numbered = [replace(segment, index=number) for number, (_, segment) in enumerate(waiting)]
        try:
            model.decoding = self._decoder(phrases) if phrases else usual
            results = {result.index: result for result in self._transcriber.decode_in_batches(numbered)}
        finally:
            model.decoding = usual
        for number, (recognition, _) in enumerate(waiting):
            recognition.results.append(results[number])
            recognition.text = " ".join(f"{recognition.text} {results[number].text}".split())

    def _decoder(self, phrases: tuple[str, ...]) -> Any:
        """Return the decoder that prefers some phrases, made if necessary."""
        from nemo_models.serving.phrases import make_decoder

        decoder = self._decoders.pop(phrases, None) or make_decoder(self._transcriber.model, phrases, self._weight)
        self._decoders[phrases] = decoder
        if len(self._decoders) > KEPT_DECODERS:
            self._decoders.popitem(last=False)
        return decoder

"""Batch transcription: one text or one error for each recording, independent of the rest of its batch.

The loop replaces NeMo's `transcribe`, in which one unreadable file ends the whole job, and one long file needs more
memory than the machine has. The data takes these forms:

    AudioInput → AudioWindow (read in threads) → LogProbSegment (computed, joined) → SegmentResult → Transcript
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data_prep.audio.shared import SharedRecordings
from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding
from nemo_models.decoding.strategy import decode_log_probs, decode_masked, frame_seconds, pad_log_probs
from nemo_models.inference.log_probs import compute_log_probs, device_of
from nemo_models.transcription.audio_reader import AudioError, stream_waveform
from nemo_models.transcription.audio_windows import AudioWindow, cut_windows
from nemo_models.transcription.batches import batch_by_length
from nemo_models.transcription.channels import split_channels
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.languages import InputLanguages, find_main_language
from nemo_models.transcription.log_prob_joiner import LogProbJoiner, LogProbSegment
from nemo_models.transcription.memory_audio import Audio, as_file, as_inputs
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.read_ahead import compute_ahead, read_ahead
from nemo_models.transcription.segment_order import count_segments, order_inputs
from nemo_models.transcription.segment_results import SegmentResult, join_results, make_result
from nemo_models.transcription.silence import blank_silence
from nemo_models.transcription.transcripts import Transcript

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

SORTED_BATCHES = 4  # batches' worth of windows that are read before they are batched by length


def transcribe(
    model: "EncDecCTCModel",
    audio: Audio | Iterable[Audio],
    on_audio: Callable[[float], object] | None = None,
    **options: Any,
) -> Iterator[Transcript]:
    """Transcribe audio with a model's current decoding strategy.

    Args:
        model: A CTC model; it stays on its device.
        audio: One piece of audio or several: paths, samples, (samples, rate), bytes, open files; see
            `memory_audio.as_inputs`.
        on_audio: Function that is called with the seconds of audio that went through the model since the last call.
        options: Those of `TranscribeOptions`.

    Returns:
        An iterator over the transcripts, see `Transcriber.transcribe`.

    Raises:
        ValueError: An option or a piece of audio is not one of those accepted.
    """
    return Transcriber(model, TranscribeOptions(**options)).transcribe(audio, on_audio)


class Transcriber:
    """A model with options, ready to transcribe. It keeps no state from call to call: threads may share it.

    Attributes:
        model: The model, in evaluation mode.
        options: The options.
        sample_rate_hz: Rate of the waveforms that the model takes.
        frame_s: Seconds from one frame of log-probabilities to the next.
        languages: The choice of a language, for a model that has several.
    """

    def __init__(self, model: "EncDecCTCModel", options: TranscribeOptions | None = None) -> None:
        """Set up for a model with its current decoding strategy.

        Args:
            model: A CTC model; it stays on its device.
            options: How to transcribe; `None`: the defaults.
        """
        self.model = model.eval()
        self.options = options or TranscribeOptions()
        self.sample_rate_hz = int(model.cfg.sample_rate)
        self.frame_s = frame_seconds(model)
        self._frame_step = round(self.frame_s * self.sample_rate_hz)
        self._shortest = model.encoder.receptive_field() if hasattr(model.encoder, "receptive_field") else 1
        self._vocabulary = list(model.decoder.vocabulary)
        self.languages = InputLanguages(model, self.options.language)

    def transcribe(
        self, audio: Audio | Iterable[Audio], on_audio: Callable[[float], object] | None = None
    ) -> Iterator[Transcript]:
        """Transcribe audio, yielding each transcript as it is ready.

        A text does not depend on the batch, the threads or the order. A batch that does not fit into memory is halved.
        A recording of any length takes no more memory than one of a few minutes.

        Args:
            audio: See `transcribe`. Inputs are sorted by duration; that of an `AudioInput` is what it says, see
                `inputs.measure_durations`.
            on_audio: See `transcribe`.

        Returns:
            An iterator over one transcript for each input, the longest first; `index` is the input's position. Audio
            that cannot be read, or is too short, has an `error`. With `channel="each"`, each channel is one input.

        Raises:
            ValueError: A piece of audio is not one of those accepted.
        """
        inputs = split_channels(as_inputs(audio, self.sample_rate_hz), self.options.channel)
        return self._run(inputs, on_audio)

    @property
    def gives_words(self) -> bool:
        """Whether transcripts have words with times and confidence."""
        wanted = self.options.timestamps
        return isinstance(self.model.decoding, CharacterCTCDecoding) if wanted is None else wanted

    def read(
        self,
        audio: AudioInput,
        index: int = 0,
        recordings: SharedRecordings | None = None,
        open_stream: Callable[..., Iterable[np.ndarray]] = stream_waveform,
    ) -> Iterator[AudioWindow | Transcript]:
        """Read an input as windows; where it cannot be read, the last item is a transcript with the error.

        Args:
            audio: The input.
            index: The input's position in its job, for windows and transcript to carry.
            recordings: The job's recordings, if several segments of one are read.
            open_stream: Function that reads a file, with the arguments and the result of `stream_waveform`.
        """
        channel = self.options.channel if audio.channel is None else audio.channel
        try:
            if audio.error:
                raise AudioError(audio.error)
            self.languages.check(audio)
            with as_file(audio) as file:
                place = (file.path, file.offset_s, file.duration_s)
                blocks = open_stream(*place, channel, self.sample_rate_hz, recordings)
                yield from self._cut(blocks, audio, index)
        except AudioError as error:
            listed = f" ({audio.place})" if audio.place and audio.place not in str(error) else ""
            yield Transcript(index, audio, error=f"{error}{listed}")

    def compute(self, waveforms: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Compute the log-probabilities of waveforms; what holds no signal at all is certain to be blank.

        Args:
            waveforms: (n,) float32 each, full scale 1.0, at `sample_rate_hz`.

        Returns:
            (frames, V+1) float32 natural log-probabilities of each, blank last, on the model's device.
        """
        computed = compute_log_probs(self.model, waveforms, self.options.autocast_dtype)
        return [
            blank_silence(log_probs, waveform, self.sample_rate_hz, self._frame_step)
            for log_probs, waveform in zip(computed, waveforms, strict=True)
        ]

    def decode(self, segments: Sequence[LogProbSegment]) -> list[SegmentResult]:
        """Decode segments with the model's current strategy, in one batch.

        Args:
            segments: At least one.

        Returns:
            The result of each.

        Raises:
            ValueError: Words or NeMo's fields of a model over subwords.
        """
        fields = frozenset(self.options.nemo_fields)
        times = self.gives_words or bool(fields - {"beams"})
        segments = list(map(self.languages.apply, segments))
        log_probs, lengths = pad_log_probs([segment.log_probs for segment in segments])
        if isinstance(self.model.decoding, CharacterCTCDecoding) or "beams" in fields:
            found = decode_masked(self.model, log_probs, lengths, "beams" in fields, times, times)
        else:
            found = [[best] for best in decode_log_probs(self.model, log_probs, lengths, times, times)]
        return [
            self.languages.unfold(make_result(segment, hypotheses, self.frame_s, self.gives_words, fields))
            for hypotheses, segment in zip(found, segments, strict=True)
        ]

    def decode_in_batches(self, segments: Sequence[LogProbSegment]) -> Iterator[SegmentResult]:
        """Decode any number of segments, those of similar length together."""
        by_length = sorted(segments, key=lambda segment: len(segment.log_probs))
        for first in range(0, len(by_length), self.options.batch_size):
            yield from self.decode(by_length[first : first + self.options.batch_size])

    def make_joiner(self, index: int = 0, language: str | None = None) -> LogProbJoiner:
        """Return what joins the windows of one input into segments."""
        return LogProbJoiner(self._vocabulary, self._frame_step, index, language)

    def _run(self, audio: Sequence[AudioInput], on_audio: Callable[[float], object] | None) -> Iterator[Transcript]:
        options = self.options
        recordings = SharedRecordings(count_segments(audio))
        order = order_inputs(audio) if options.sort_by_duration else list(range(len(audio)))
        items = read_ahead(
            lambda index: self.read(audio[index], index, recordings), order, options.num_workers, 2 * options.batch_size
        )
        batches = batch_by_length(items, _length, options.batch_size, SORTED_BATCHES if options.sort_by_duration else 1)
        job = _Job(self, audio)
        computed = map(job.compute, batches)
        try:
            for windows, log_probs in compute_ahead(computed) if device_of(self.model).type == "cuda" else computed:
                job.collect(windows, log_probs)
                if on_audio:
                    on_audio(sum(map(_length, windows)) / self.sample_rate_hz)
                yield from job.finish()
        finally:
            recordings.close()

    def _cut(self, blocks: Iterable[np.ndarray], audio: AudioInput, index: int) -> Iterator[AudioWindow]:
        for window in cut_windows(blocks, self.sample_rate_hz, self._frame_step, self.options.window_s, index):
            if len(window.samples) < self._shortest:
                found, needed = (1000 * n / self.sample_rate_hz for n in (len(window.samples), self._shortest))
                raise AudioError(f"too short: {audio.path}: {found:.1f} ms, the model needs {needed:.1f} ms")
            # a reader that goes on behind a damaged place says so once it has reached the end
            warning = getattr(blocks, "warning", None) if window.last else None
            yield replace(window, warning=warning) if warning else window


@dataclass
class _Unfinished:
    """An input of which some windows have been through the model."""

    joiner: LogProbJoiner
    results: list[SegmentResult] = field(default_factory=list)
    duration_s: float = 0.0
    warning: str | None = None


class _Job:
    """The inputs of one call that are begun and not finished."""

    def __init__(self, transcriber: Transcriber, audio: Sequence[AudioInput]) -> None:
        self._transcriber, self._audio = transcriber, audio
        self._unfinished: dict[int, _Unfinished] = {}
        self._failed: set[int] = set()
        self._ready: list[Transcript] = []

    def compute(self, batch: Sequence[AudioWindow | Transcript]) -> tuple[list[AudioWindow], list[torch.Tensor]]:
        """Run the model over the windows of a batch, except those of inputs that have failed."""
        for item in batch:
            if isinstance(item, Transcript):
                self._fail(item)
        windows = [item for item in batch if isinstance(item, AudioWindow) and item.index not in self._failed]
        return windows, self._transcriber.compute([window.samples for window in windows])

    def collect(self, windows: Sequence[AudioWindow], log_probs: Sequence[torch.Tensor]) -> None:
        """Join and decode what was computed."""
        finite = torch.stack([torch.isfinite(frames).all() for frames in log_probs]).tolist() if log_probs else []
        segments: list[LogProbSegment] = []
        for window, frames, is_finite in zip(windows, log_probs, finite, strict=True):
            index = window.index
            if not is_finite:
                error = "model: its output is not finite; try compute_dtype=float32"
                self._fail(Transcript(index, self._audio[index], error=error))
            if index in self._failed:
                continue
            if (state := self._unfinished.get(index)) is None:
                language = self._transcriber.languages.choose(self._audio[index])
                state = self._unfinished[index] = _Unfinished(self._transcriber.make_joiner(index, language))
            segments += state.joiner.add(window, frames)
            state.warning = window.warning or state.warning
            if window.last:
                state.duration_s = (window.start + len(window.samples)) / self._transcriber.sample_rate_hz
        wanted = [segment for segment in segments if segment.index not in self._failed]
        for result in self._transcriber.decode_in_batches(wanted):
            self._unfinished[result.index].results.append(result)

    def finish(self) -> list[Transcript]:
        """Return the transcripts that became ready."""
        ready, self._ready = self._ready, []
        for index in [index for index, state in self._unfinished.items() if state.joiner.done]:
            state = self._unfinished.pop(index)
            text, words, fields = join_results(state.results)
            listed = words if self._transcriber.gives_words else None
            audio = self._audio[index]
            made = Transcript(index, audio, text, state.duration_s, None, listed, None, fields, state.warning)
            language = find_main_language(state.results, self._transcriber.languages.choose(audio))
            ready.append(replace(made, language=language))
        return ready

    def _fail(self, transcript: Transcript) -> None:
        if transcript.index not in self._failed:
            self._failed.add(transcript.index)
            self._ready.append(transcript)
            self._unfinished.pop(transcript.index, None)


def _length(item: AudioWindow | Transcript) -> int:
    return len(item.samples) if isinstance(item, AudioWindow) else 0

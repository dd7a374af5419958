"""Batch transcription: many recordings in, one text or one error for each out, whatever else is in the batch.

The loop is our own, rather than NeMo's `transcribe`, because there one unreadable file ends the whole job, and one long
file the machine's memory.

    inputs → windows of their audio (in threads) → log-probabilities (in batches) → joined for each input → decoded
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding
from nemo_models.decoding.strategy import decode_log_probs, decode_n_best
from nemo_models.inference.log_probs import compute_log_probs, device_of
from nemo_models.transcription.audio_reader import AudioError, stream_waveform
from nemo_models.transcription.audio_windows import OVERLAP_S, SHORTEST_WINDOW_S, WINDOW_S, Window, cut_windows
from nemo_models.transcription.batches import batch_by_length
from nemo_models.transcription.hypothesis_fields import Part, join_parts, make_part
from nemo_models.transcription.inputs import AudioInput, as_input, measure_durations
from nemo_models.transcription.log_prob_joiner import LogProbJoiner, Stretch
from nemo_models.transcription.read_ahead import read_ahead
from nemo_models.transcription.transcript_files import NEMO_FIELDS, Transcript

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

T = TypeVar("T")

SORTED_BATCHES = 4  # batches' worth of windows that are read before they are batched by length


@dataclass(frozen=True)
class _Piece:
    """The window `number` of input `index`."""

    index: int
    number: int
    window: Window


@dataclass
class _Unfinished:
    """An input of which some windows have been through the model."""

    joiner: LogProbJoiner
    parts: list[Part] = field(default_factory=list)
    duration_s: float = 0.0


def transcribe(
    model: "EncDecCTCModel",
    inputs: Sequence[AudioInput | Path | str] | AudioInput | Path | str,
    batch_size: int = 32,
    num_workers: int = 2,
    channel: int | str | None = "auto",
    autocast_dtype: torch.dtype | None = None,
    sort_by_duration: bool = True,
    timestamps: bool | None = None,
    nemo_fields: Collection[str] = (),
    window_s: float = WINDOW_S,
    on_audio: Callable[[float], object] | None = None,
) -> Iterator[Transcript]:
    """Transcribe audio with the model's present decoding strategy, yielding each transcript as it is ready.

    The text does not depend on `batch_size`, `num_workers` or order. A batch that does not fit into memory is halved.
    A recording of any length takes no more memory than one of a few minutes.

    Args:
        model: A CTC model; it stays on its device.
        inputs: Files or segments, or a single one.
        batch_size: Windows (short inputs are one each) that go through the model together.
        num_workers: Threads that read audio ahead; 0 reads in between.
        channel: Of a file with several; see `stream_waveform`.
        autocast_dtype: Compute in this type where that is safe (`torch.autocast`); `None`: as the weights are.
        sort_by_duration: Longest first, batched with others of like length; `False` keeps the order.
        timestamps: Give each word with its times and confidence; `None`: where the model's labels are characters.
        nemo_fields: What else of NeMo's is wanted, of `transcript_files.NEMO_FIELDS`.
        window_s: What is longer is cut into windows of at most so many seconds; see `cut_windows`.
        on_audio: Called with the seconds of audio that went through the model since the last call.

    Yields:
        One transcript for each input, the longest first; `index` is its position. Audio that cannot be read or is too
        short has an `error`.

    Raises:
        ValueError: `batch_size`, `num_workers`, `channel`, `nemo_fields` or `window_s` cannot be.
    """
    check_options(batch_size, num_workers, channel, window_s)
    wanted = _Wanted(model, timestamps, nemo_fields)
    audio = measure_durations(map(as_input, [inputs] if isinstance(inputs, AudioInput | Path | str) else inputs))
    order = list(range(len(audio)))
    if sort_by_duration:
        order.sort(key=lambda index: -audio[index].expected_s)
    model.eval()
    reader = _Reader(model, audio, channel, window_s)
    pieces = read_ahead(reader.read, order, num_workers, ahead=2 * batch_size)
    unfinished: dict[int, _Unfinished] = {}
    failed: set[int] = set()

    def compute(batch: list[_Piece | Transcript]) -> tuple[list[Transcript], list[_Piece], list[torch.Tensor]]:
        failures = [item for item in batch if isinstance(item, Transcript) and item.index not in failed]
        failed.update(failure.index for failure in failures)
        waiting = [item for item in batch if isinstance(item, _Piece) and item.index not in failed]
        return failures, waiting, compute_log_probs(model, [piece.window.samples for piece in waiting], autocast_dtype)

    computed = map(compute, batch_by_length(pieces, _length, batch_size, SORTED_BATCHES if sort_by_duration else 1))
    for failures, waiting, log_probs in _one_ahead(computed) if device_of(model).type == "cuda" else computed:
        yield from failures
        finite = torch.stack([torch.isfinite(frames).all() for frames in log_probs]).tolist() if log_probs else []
        stretches: list[tuple[int, Stretch]] = []
        for piece, frames, is_finite in zip(waiting, log_probs, finite, strict=True):
            if piece.index in failed:
                continue
            if not is_finite:
                failed.add(piece.index)
                error = "model: its output is not finite; try compute_dtype=float32"
                yield Transcript(piece.index, audio[piece.index], error=error)
                continue
            state = unfinished.setdefault(piece.index, _Unfinished(reader.make_joiner()))
            stretches += [(piece.index, stretch) for stretch in state.joiner.add(piece.number, piece.window, frames)]
            if piece.window.last:
                state.duration_s = (piece.window.start + len(piece.window.samples)) / reader.sample_rate_hz
        _decode(model, [item for item in stretches if item[0] not in failed], unfinished, batch_size, wanted)
        if on_audio:
            on_audio(sum(map(_length, waiting)) / reader.sample_rate_hz)
        for index in failed & unfinished.keys():
            del unfinished[index]
        for index in [index for index, state in unfinished.items() if state.joiner.done]:
            yield reader.finish(index, unfinished.pop(index), wanted)


class _Reader:
    """Reads inputs as windows, and makes transcripts of what became of them."""

    def __init__(
        self, model: "EncDecCTCModel", audio: Sequence[AudioInput], channel: int | str | None, window_s: float
    ) -> None:
        self._audio, self._channel, self._window_s = audio, channel, window_s
        self.sample_rate_hz = int(model.cfg.sample_rate)
        self._frame_step = round(_frame_seconds(model) * self.sample_rate_hz)
        self._shortest = model.encoder.receptive_field() if hasattr(model.encoder, "receptive_field") else 1
        self._vocabulary = list(model.decoder.vocabulary)

    def read(self, index: int) -> Iterator[_Piece | Transcript]:
        audio = self._audio[index]
        try:
            if audio.error:
                raise AudioError(audio.error)
            blocks = stream_waveform(audio.path, audio.offset_s, audio.duration_s, self._channel, self.sample_rate_hz)
            windows = cut_windows(blocks, self.sample_rate_hz, self._frame_step, self._window_s)
            for number, window in enumerate(windows):
                if len(window.samples) < self._shortest:
                    found, needed = (1000 * n / self.sample_rate_hz for n in (len(window.samples), self._shortest))
                    raise AudioError(f"too short: {audio.path}: {found:.1f} ms, the model needs {needed:.1f} ms")
                yield _Piece(index, number, window)
        except AudioError as error:
            place = f" ({audio.place})" if audio.place and audio.place not in str(error) else ""
            yield Transcript(index, audio, error=f"{error}{place}")

    def make_joiner(self) -> LogProbJoiner:
        return LogProbJoiner(self._vocabulary, self._frame_step)

    def finish(self, index: int, state: _Unfinished, wanted: "_Wanted") -> Transcript:
        text, words, fields = join_parts(state.parts)
        listed = words if wanted.words else None
        return Transcript(index, self._audio[index], text, state.duration_s, words=listed, nemo_fields=fields)


class _Wanted:
    """What of a hypothesis is asked for."""

    def __init__(self, model: "EncDecCTCModel", timestamps: bool | None, nemo_fields: Collection[str]) -> None:
        unknown = [name for name in nemo_fields if name not in NEMO_FIELDS]
        if unknown:
            raise ValueError(f"nemo_fields: {', '.join(unknown)} unknown, expected any of {', '.join(NEMO_FIELDS)}")
        self.nemo_fields = frozenset(nemo_fields)
        self._frame_s = _frame_seconds(model)
        over_characters = isinstance(model.decoding, CharacterCTCDecoding)
        self.words = over_characters if timestamps is None else timestamps
        self.times = self.words or bool(self.nemo_fields - {"beams"})

    def decode(self, model: "EncDecCTCModel", stretches: Sequence[Stretch]) -> list[Part]:
        log_probs = torch.nn.utils.rnn.pad_sequence([stretch.log_probs for stretch in stretches], batch_first=True)
        lengths = torch.tensor([len(stretch.log_probs) for stretch in stretches], device=log_probs.device)
        options = {"timestamps": self.times, "confidence": self.times}
        if "beams" in self.nemo_fields:
            found = decode_n_best(model, log_probs, lengths, **options)
        else:
            found = [[best] for best in decode_log_probs(model, log_probs, lengths, **options)]
        return [
            make_part(hypotheses, stretch.start_frame, self._frame_s, self.words, self.nemo_fields)
            for hypotheses, stretch in zip(found, stretches, strict=True)
        ]


def _decode(
    model: "EncDecCTCModel",
    stretches: Sequence[tuple[int, Stretch]],
    unfinished: dict[int, _Unfinished],
    batch_size: int,
    wanted: _Wanted,
) -> None:
    """Decode, in batches of like length, and put each part where it belongs."""
    by_length = sorted(stretches, key=lambda item: len(item[1].log_probs))
    for first in range(0, len(by_length), batch_size):
        batch = by_length[first : first + batch_size]
        parts = wanted.decode(model, [stretch for _, stretch in batch])
        for (index, _), part in zip(batch, parts, strict=True):
            unfinished[index].parts.append(part)


def _one_ahead(results: Iterator[T]) -> Iterator[T]:
    """Begin each result before the one before it is used: a GPU computes a batch while the last one is decoded."""
    for held in results:
        for result in results:
            yield held
            held = result
        yield held


def _frame_seconds(model: "EncDecCTCModel") -> float:
    return float(model.cfg.preprocessor.window_stride) * getattr(model.encoder, "subsampling_factor", 1)


def _length(item: _Piece | Transcript) -> int:
    return len(item.window.samples) if isinstance(item, _Piece) else 0


def check_options(batch_size: int, num_workers: int, channel: int | str | None, window_s: float) -> None:
    """Check options of `transcribe` before anything is read.

    Raises:
        ValueError: One cannot be.
    """
    for key, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{key} is {value}, expected a whole number, {least} or more")
    known = channel is None or channel in ("auto", "average")
    if not (known or (isinstance(channel, int) and not isinstance(channel, bool) and channel >= 0)):
        raise ValueError(f"channel is {channel}, expected auto, average, a number from 0, or none")
    least_s = OVERLAP_S + 2 * SHORTEST_WINDOW_S
    if isinstance(window_s, bool) or not isinstance(window_s, int | float) or not least_s <= window_s < float("inf"):
        raise ValueError(f"window_s is {window_s}, expected seconds, {least_s:g} or more")

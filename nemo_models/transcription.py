"""Batch transcription: many audio files in, one text or one error for each out, whatever else is in the batch.

The loop is our own, rather than NeMo's `transcribe`, because there one unreadable file ends the whole job.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch

from nemo_models.audio_reader import AudioError, load_waveform
from nemo_models.decoding import decode_log_probs
from nemo_models.transcript_files import AudioInput, Transcript, measure_durations

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Waveform:
    index: int
    samples: np.ndarray


def transcribe(model: "EncDecCTCModel", inputs: Sequence[AudioInput | Path | str], **options: Any) -> list[Transcript]:
    """Transcribe audio with the model's present decoding strategy.

    Args:
        model: A CTC model.
        inputs: Files or segments.
        **options: As in `iter_transcripts`.

    Returns:
        One transcript for each input, in their order.
    """
    return sorted(iter_transcripts(model, inputs, **options), key=lambda transcript: transcript.index)


def iter_transcripts(
    model: "EncDecCTCModel",
    inputs: Sequence[AudioInput | Path | str],
    batch_size: int = 32,
    num_workers: int = 2,
    channel: int | Literal["average"] | None = "average",
    autocast_dtype: torch.dtype | None = None,
    sort_by_duration: bool = True,
) -> Iterator[Transcript]:
    """Transcribe audio, yielding each transcript as it is ready; the longest come first.

    The text does not depend on `batch_size`, `num_workers` or order. A batch that does not fit into memory is halved.

    Args:
        model: A CTC model; it stays on its device.
        inputs: Files or segments.
        batch_size: Utterances that go through the model together.
        num_workers: Threads that read audio ahead; 0 reads in between.
        channel: Of a file with several; see `load_waveform`.
        autocast_dtype: Compute in this type where that is safe (`torch.autocast`); `None`: as the weights are.
        sort_by_duration: Batch utterances of like length; `False` keeps the order.

    Yields:
        One transcript for each input; audio that cannot be read or is too short has an `error`.

    Raises:
        ValueError: `batch_size`, `num_workers` or `channel` cannot be.
    """
    for key, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{key} is {value}, expected a whole number, {least} or more")
    if not (channel is None or channel == "average" or (isinstance(channel, int) and channel >= 0)):
        raise ValueError(f"channel is {channel}, expected average, a number from 0, or none")
    audio = measure_durations(map(_as_input, inputs))
    order = list(range(len(audio)))
    if sort_by_duration:
        order.sort(key=lambda index: -(audio[index].duration_s or 0.0))
    model.eval()
    sample_rate_hz = int(model.cfg.sample_rate)
    shortest = model.encoder.receptive_field() if hasattr(model.encoder, "receptive_field") else 1

    def load(index: int) -> _Waveform | Transcript:
        return _load(index, audio[index], channel, sample_rate_hz, shortest)

    for batch in _batches(_map_ahead(load, order, num_workers, ahead=2 * batch_size), batch_size):
        waveforms = [item for item in batch if isinstance(item, _Waveform)]
        yield from (item for item in batch if isinstance(item, Transcript))
        texts = _recognise(model, [waveform.samples for waveform in waveforms], autocast_dtype)
        for waveform, text in zip(waveforms, texts, strict=True):
            duration_s = len(waveform.samples) / sample_rate_hz
            error = "model: its output is not finite; try compute_dtype=float32" if text is None else None
            yield Transcript(waveform.index, audio[waveform.index], text or "", duration_s, error)


def _as_input(item: AudioInput | Path | str) -> AudioInput:
    return item if isinstance(item, AudioInput) else AudioInput(Path(item), fields={"audio_filepath": str(item)})


def _load(
    index: int, audio: AudioInput, channel: int | Literal["average"] | None, sample_rate_hz: int, shortest: int
) -> _Waveform | Transcript:
    try:
        if audio.error:
            raise AudioError(audio.error)
        samples = load_waveform(audio.path, audio.offset_s, audio.duration_s, channel, sample_rate_hz)
        if len(samples) < shortest:
            found, needed = 1000 * len(samples) / sample_rate_hz, 1000 * shortest / sample_rate_hz
            raise AudioError(f"too short: {audio.path}: {found:.1f} ms, the model needs {needed:.1f} ms")
    except AudioError as error:
        return Transcript(index, audio, error=str(error))
    return _Waveform(index, samples)


def _recognise(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], autocast_dtype: torch.dtype | None
) -> list[str | None]:
    """Recognise one batch; `None` for an utterance whose log-probabilities are not finite."""
    if not waveforms:
        return []
    try:
        return _recognise_at_once(model, waveforms, autocast_dtype)
    except RuntimeError as error:
        if len(waveforms) == 1 or not _is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    half = len(waveforms) // 2
    return _recognise(model, waveforms[:half], autocast_dtype) + _recognise(model, waveforms[half:], autocast_dtype)


def _recognise_at_once(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], autocast_dtype: torch.dtype | None
) -> list[str | None]:
    device = next(model.parameters()).device
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    signal = torch.zeros(len(waveforms), int(lengths.max()))
    for row, waveform in zip(signal, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    autocast = torch.autocast(device.type, dtype=autocast_dtype) if autocast_dtype else nullcontext()
    with torch.inference_mode():
        with autocast:
            log_probs, frames, _ = model(input_signal=signal.to(device), input_signal_length=lengths.to(device))
        finite = torch.isfinite(log_probs).flatten(1).all(dim=1).tolist()
        hypotheses = decode_log_probs(model, log_probs.nan_to_num(nan=0.0), frames)
    return [" ".join(hyp.text.split()) if good else None for hyp, good in zip(hypotheses, finite, strict=True)]


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _map_ahead(function: Callable[[T], R], items: Sequence[T], workers: int, ahead: int) -> Iterator[R]:
    """Map in order, with threads that stay at most `ahead` items in front, so that memory stays bounded."""
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(function, item) for item in items[:ahead]]
        for item in items[ahead:]:
            yield waiting.pop(0).result()
            waiting.append(pool.submit(function, item))
        for future in waiting:
            yield future.result()

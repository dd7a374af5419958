"""Reading audio as the waveform that the model takes: `data_prep.audio`, with the reason code in each message."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_prep.audio.errors import AudioError
from data_prep.audio.shared import SharedRecordings
from data_prep.audio.waveform import END_TOLERANCE_S, WaveformStream, probe_duration

__all__ = ["END_TOLERANCE_S", "AudioError", "load_waveform", "probe_duration", "stream_waveform"]


class _Stream(WaveformStream):
    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            yield from super().__iter__()
        except AudioError as error:
            raise type(error)(f"{error.reason}: {error}") from error


def stream_waveform(
    path: Path,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | str | None = "auto",
    sample_rate_hz: int = 16_000,
    recordings: SharedRecordings | None = None,
) -> WaveformStream:
    """Read one channel of a recording, or of a segment, at the wanted rate, block by block.

    Args:
        path: See `WaveformStream`, as the other arguments.
        offset_s: See there.
        duration_s: See there.
        channel: See there.
        sample_rate_hz: See there.
        recordings: See there.

    Returns:
        An iterable of (n,) float32 blocks. It raises an `AudioError` with the message `reason: path: details`; its
        `warning` names, at the end, what could not be read.
    """
    return _Stream(path, offset_s, duration_s, channel, sample_rate_hz, recordings)


def load_waveform(
    path: Path,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | str | None = "auto",
    sample_rate_hz: int = 16_000,
) -> np.ndarray:
    """Read it as one array, see `stream_waveform`: whole or not at all, for those who pair it with a text.

    Returns:
        (T,) float32 samples, full scale 1.0.

    Raises:
        AudioError: It cannot be read, or a part of it cannot.
    """
    stream = stream_waveform(path, offset_s, duration_s, channel, sample_rate_hz)
    blocks = list(stream)
    if stream.faults:
        error = stream.faults[0].make_error()
        raise type(error)(f"{error.reason}: {path}: {error}")
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

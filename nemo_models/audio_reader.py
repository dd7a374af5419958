"""Reading any audio file, or a segment of it, as the waveform that the model takes; what cannot be read says why."""

from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

AUDIO_TYPES = ("wav", "flac", "mp3", "ogg", "oga", "opus", "aiff", "aif", "au", "caf", "w64")  # what libsndfile decodes
END_TOLERANCE_S = 0.1  # durations in manifests are rounded, and compressed formats pad


class AudioError(ValueError):
    """Audio that cannot be transcribed. The message is `reason: details`."""


def load_waveform(
    path: Path,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | Literal["average"] | None = "average",
    sample_rate_hz: int = 16_000,
) -> np.ndarray:
    """Read one channel of an audio file, or of a segment, at the wanted rate.

    Args:
        path: WAV, FLAC, MP3, Ogg or whatever else libsndfile reads.
        offset_s: Where the segment begins, in seconds.
        duration_s: Its length in seconds; `None` reads to the end. A segment that ends within `END_TOLERANCE_S` of the
            file's end is read to the end.
        channel: Of a file with several: the number of one (from 0), or their average; `None` refuses such a file.
        sample_rate_hz: Wanted rate; another one is resampled (soxr, high quality).

    Returns:
        (T,) float32 samples, full scale 1.0.

    Raises:
        AudioError: The file is missing, unreadable, shorter than the segment, holds samples that are no numbers, or
            lacks the channel.
    """
    if not path.is_file():
        raise AudioError(f"missing: no such file {path}")
    try:
        with soundfile.SoundFile(str(path)) as audio:
            rate = audio.samplerate
            start, stop = _segment(offset_s, duration_s, audio.frames, rate)
            audio.seek(start)
            samples = audio.read(stop - start, dtype="float32", always_2d=True)
    except AudioError:
        raise
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError, MemoryError) as error:
        raise AudioError(f"unreadable: {path}: {str(error).splitlines()[0] if str(error) else error!r}") from error
    if stop - start - len(samples) > END_TOLERANCE_S * rate:
        raise AudioError(f"truncated: {path}: {len(samples) / rate:.2f} s decoded of {(stop - start) / rate:.2f} s")
    waveform = _select_channel(samples, channel, path)
    if not np.isfinite(waveform).all():
        raise AudioError(f"not finite: {path}: holds samples that are not numbers (NaN or infinite)")
    if rate != sample_rate_hz:
        waveform = soxr.resample(waveform, rate, sample_rate_hz)
    return np.ascontiguousarray(waveform, dtype=np.float32)


def probe_duration(path: Path) -> float | None:
    """Return the length of an audio file in seconds as its header says; `None` where it cannot be told."""
    try:
        return soundfile.info(str(path)).duration
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError):
        return None


def _segment(offset_s: float, duration_s: float | None, frames: int, rate: int) -> tuple[int, int]:
    start = round(offset_s * rate)
    stop = frames if duration_s is None else start + round(duration_s * rate)
    if start > frames or stop > frames + END_TOLERANCE_S * rate:
        raise AudioError(
            f"outside: the segment is {offset_s:g} … {stop / rate:.2f} s, the audio ends at {frames / rate:.2f} s"
        )
    return start, frames if abs(frames - stop) <= END_TOLERANCE_S * rate else stop


def _select_channel(samples: np.ndarray, channel: int | str | None, path: Path) -> np.ndarray:
    count = samples.shape[1]
    if count == 1:
        return samples[:, 0]
    if channel == "average":
        return samples.mean(axis=1)
    if isinstance(channel, int) and 0 <= channel < count:
        return samples[:, channel]
    wanted = "no channel was selected" if channel is None else f"channel {channel} was selected"
    raise AudioError(f"channels: {path} has {count} and {wanted}; choose 0 … {count - 1} or average")

"""Reading any audio file, or a segment of it, as the waveform that the model takes; what cannot be read says why.

Files are opened as data preparation opens them (libsndfile; sox, then ffmpeg, for what only they decode) and read block
by block, so that a recording of many hours takes no more memory than a short one.
"""

import errno
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr

from data_prep.audio.decoders import (
    DecoderMissingError,
    TruncatedAudioError,
    UnreadableAudioError,
    name_for_libsndfile,
    open_recording,
)

AUDIO_TYPES = (
    *("wav", "flac", "mp3", "ogg", "oga", "opus", "aiff", "aif", "aifc", "au", "snd", "caf", "w64", "rf64", "sph"),
    *("amr", "awb", "m4a", "mp4", "3gp", "aac", "webm", "wma"),  # with sox or ffmpeg
)
"""Extensions that a folder is searched for: what `data_prep.audio.decoders` opens."""
END_TOLERANCE_S = 0.1  # durations in manifests are rounded, and compressed formats pad
BLOCK_S = 10.0  # read at a time
STEREO = 2  # most channels that are averaged without being told to


class AudioError(ValueError):
    """Audio that cannot be transcribed. The message is `reason: details`."""


def load_waveform(
    path: Path,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | str | None = "auto",
    sample_rate_hz: int = 16_000,
) -> np.ndarray:
    """Read one channel of an audio file, or of a segment, at the wanted rate; see `stream_waveform`.

    Returns:
        (T,) float32 samples, full scale 1.0.
    """
    blocks = list(stream_waveform(path, offset_s, duration_s, channel, sample_rate_hz))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def stream_waveform(
    path: Path,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | str | None = "auto",
    sample_rate_hz: int = 16_000,
) -> Iterator[np.ndarray]:
    """Read one channel of an audio file, or of a segment, at the wanted rate, block by block.

    Args:
        path: Any format that `data_prep.audio.decoders` opens.
        offset_s: Where the segment begins, in seconds.
        duration_s: Its length in seconds; `None` reads to the end. A segment that ends within `END_TOLERANCE_S` of the
            file's end is read to the end.
        channel: Of a file with several: the number of one (from 0); `average`; `auto` averages two and refuses more,
            which may be microphones or speakers of their own; `None` refuses such a file.
        sample_rate_hz: Wanted rate; another one is resampled (soxr, high quality; the samples do not depend on the
            blocks).

    Yields:
        (n,) float32 samples, full scale 1.0, about `BLOCK_S` of them.

    Raises:
        AudioError: The file is missing, unreadable, shorter than the segment, holds samples that are no numbers, or
            lacks the channel.
    """
    _check_is_file(path)
    try:
        with TemporaryDirectory() as scratch, open_recording(path, Path(scratch) / "decoded.wav") as recording:
            start, stop = _segment(offset_s, duration_s, recording.frames, recording.samplerate)
            recording.seek(start)
            yield from _resample(_read_blocks(recording, stop - start, channel, path), recording, sample_rate_hz)
    except AudioError:
        raise
    except DecoderMissingError as error:
        raise AudioError(f"no decoder: {error}") from error
    except TruncatedAudioError as error:
        raise AudioError(f"truncated: {path}: {error}") from error
    except (UnreadableAudioError, soundfile.LibsndfileError, OSError, TypeError, ValueError, MemoryError) as error:
        raise AudioError(f"unreadable: {path}: {' '.join(str(error).split()) or repr(error)}") from error


def probe_duration(path: Path) -> float | None:
    """Return the length of an audio file in seconds as its header says; `None` where it cannot be told."""
    try:
        _check_is_file(path)  # a pipe would be waited for, and - is standard input
        return soundfile.info(name_for_libsndfile(path)).duration
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError):
        return None


def _check_is_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise AudioError(f"missing: no such file {path}") from error
        raise AudioError(f"unreadable: {path}: {error.strerror}") from error
    except ValueError as error:  # a character that no name holds
        raise AudioError(f"missing: no such file {path} ({error})") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"missing: no such file {path} (it is a folder)")
    if not stat.S_ISREG(mode):
        raise AudioError(f"unreadable: {path}: a pipe or device, expected a file")


def _segment(offset_s: float, duration_s: float | None, frames: int, rate: int) -> tuple[int, int]:
    start = round(offset_s * rate)
    stop = frames if duration_s is None else start + round(duration_s * rate)
    if start > frames or stop > frames + END_TOLERANCE_S * rate:
        raise AudioError(
            f"outside: the segment is {offset_s:g} … {stop / rate:.2f} s, the audio ends at {frames / rate:.2f} s"
        )
    return start, frames if abs(frames - stop) <= END_TOLERANCE_S * rate else stop


def _read_blocks(
    recording: soundfile.SoundFile, frames: int, channel: int | str | None, path: Path
) -> Iterator[np.ndarray]:
    rate, done = recording.samplerate, 0
    while done < frames:
        block = recording.read(min(frames - done, round(BLOCK_S * rate)), dtype="float32", always_2d=True)
        if not len(block):
            break
        done += len(block)
        waveform = _select_channel(block, channel, path)
        if not np.isfinite(waveform).all():
            raise AudioError(f"not finite: {path}: holds samples that are not numbers (NaN or infinite)")
        yield np.ascontiguousarray(waveform)
    if frames - done > END_TOLERANCE_S * rate:
        raise AudioError(f"truncated: {path}: {done / rate:.2f} s decoded of {frames / rate:.2f} s")


def _resample(
    blocks: Iterator[np.ndarray], recording: soundfile.SoundFile, sample_rate_hz: int
) -> Iterator[np.ndarray]:
    if recording.samplerate == sample_rate_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(recording.samplerate, sample_rate_hz, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _select_channel(samples: np.ndarray, channel: int | str | None, path: Path) -> np.ndarray:
    count = samples.shape[1]
    if count == 1 and (not isinstance(channel, int) or channel == 0):
        return samples[:, 0]
    if channel == "average" or (channel == "auto" and count <= STEREO):
        return samples.mean(axis=1)
    if isinstance(channel, int) and 0 <= channel < count:
        return samples[:, channel]
    wanted = f"channel {channel} was selected" if isinstance(channel, int) else "no channel was selected"
    raise AudioError(
        f"channels: {path} has {count} and {wanted}; choose {f'0 … {count - 1}' if count > 1 else 0} or average"
    )

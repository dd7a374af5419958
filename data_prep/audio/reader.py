"""Converts audio to 16 kHz mono 16-bit; a file that is already in this form is used where it is.

Everything except FFmpeg's and sox's formats is decoded in the worker's process (libsndfile, then soxr at its high
quality, the algorithm of sox's `rate`): starting one sox for each file costs several times the work itself. The rules
for every file:

- A recording is used completely or not at all. If it is shorter than its header says, or a part fails to decode, it is
  an error, because its text would not match its audio. A segment needs only its part of the recording to be intact.
- One channel is taken, or channels are averaged: see `data_prep.audio.channels`.
- Nothing clips: where resampling (or 24-bit and float samples) overshoots full scale, the whole utterance is turned
  down until its peak fits, and no further. All other audio keeps its level to the bit.
- No dither: 16 bits are far below any room's noise, and the same input must give the same file.
- Silence at the edges is trimmed on request only: 10 ms frames below both -40 dB of the loudest frame and -30 dBFS are
  silence, and 100 ms of it stay on each side.
- A segment is cut at the recording's sampling rate, before resampling, from a recording that is opened once for all of
  its segments. As in Kaldi, one that runs over the end by up to 0.5 s is cut at the end.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import soxr

from data_prep.audio.channels import AUTO, ChannelMixer, check_channel
from data_prep.audio.errors import (
    AudioError,
    MissingChannelError,
    SegmentError,
    TooLongError,
    TruncatedAudioError,
    UnreadableAudioError,
)
from data_prep.audio.measures import ChannelMeasures, measure_channels
from data_prep.audio.opening import open_recording
from data_prep.audio.parquet import AudioCells
from data_prep.audio.recording import Recording
from data_prep.audio.segments import check_segment, check_segment_end

__all__ = [
    "SAMPLE_RATE_HZ",
    "Audio",
    "AudioError",
    "AudioReader",
    "MissingChannelError",
    "SegmentError",
    "TooLongError",
    "TruncatedAudioError",
    "UnreadableAudioError",
    "write_wav",
]

SAMPLE_RATE_HZ = 16_000
READY_ENCODINGS = (("WAV", "PCM_16"), ("WAVEX", "PCM_16"), ("FLAC", "PCM_16"))
MAX_OVERSHOOT_S = 0.5  # of a segment over its recording's end; Kaldi's extract-segments --max-overshoot
_TRIM_FRAME = SAMPLE_RATE_HZ // 100
_TRIM_MARGIN_FRAMES = 10
_TRIM_BELOW_LOUDEST_DB, _TRIM_BELOW_FULL_SCALE_DB = 40.0, 30.0


@dataclass(frozen=True)
class Audio:
    """One utterance, decoded.

    Attributes:
        samples: int16 (samples,), 16 kHz mono.
        ready: Whether the file itself is just that, so that it can be referenced instead of copied.
        source: float32 (frames, channels), as decoded, before mixing and resampling; `None` if `ready`, and for
            lossy formats, which keep neither the flat tops of clipping nor NaN.
        gain: Factor that kept the samples from clipping, 0 to 1; 1 is untouched.
        channels: How alike the channels are; `None` if there is one only.
        note: What the file's header does not say, such as its length; `None` if nothing is missing.
    """

    samples: np.ndarray
    ready: bool
    source: np.ndarray | None
    gain: float = 1.0
    channels: ChannelMeasures | None = None
    note: str | None = None


class AudioReader:
    """Reads utterances one after another and keeps the last recording open, so that each further segment is a seek."""

    def __init__(
        self,
        scratch_dir: Path,
        channel: int | str | None = AUTO,
        trim_silence: bool = False,
        audio_column: str | None = None,
    ) -> None:
        """Set up a reader.

        Args:
            scratch_dir: Existing folder for decoded audio; no two readers at a time share one.
            channel: Which channel is used, see `data_prep.audio.channels.check_channel`.
            trim_silence: Whether silence at both ends is cut off.
            audio_column: Column of audio in Parquet files; `None` for the first one.

        Raises:
            ValueError: `channel` is out of range.
        """
        self._channel = check_channel(channel)
        self._trim = trim_silence
        self._scratch_dir = scratch_dir
        self._opened: tuple[str, int | None] | None = None
        self._recording: Recording | None = None
        self._cells = AudioCells(audio_column)

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the recording and remove what was decoded for it."""
        if self._recording is not None:
            self._recording.close()
        self._recording = self._opened = None

    def read(
        self,
        audio: str,
        offset: float | None = None,
        duration: float | None = None,
        row: int | None = None,
        max_duration: float | None = None,
        channel: int | str | None = None,
    ) -> Audio:
        """Read one utterance.

        Args:
            audio: The audio file, or the Parquet file that holds it.
            offset: Where the utterance begins in it, in seconds; `None` is its beginning.
            duration: How long it is, in seconds; `None` is up to the end.
            row: Row of the Parquet file.
            max_duration: Longest audio that is decoded, in seconds, before trimming; `None` is any.
            channel: The row's own choice of channel; `None` is the reader's.

        Raises:
            AudioError: The audio cannot be used; `reason` says why.
            OSError: The disk is full, or a decoder was killed.
        """
        if (audio, row) != self._opened:
            self.close()
            self._recording = self._open(audio, row)
            self._opened = (audio, row)
        recording = self._recording
        assert recording is not None
        mixer = ChannelMixer(recording.channels, self._channel if channel is None else check_channel(channel))
        whole = offset is None and duration is None
        ready = whole and row is None and _is_ready(recording)
        limit = None if max_duration is None else math.floor(max_duration * recording.rate)
        if whole:
            samples = _read_whole(recording, limit, "int16" if ready else "float32")
        else:
            samples = _read_segment(recording, offset or 0.0, duration, limit)
        if samples.shape[1] > 1:
            samples = np.asfortranarray(samples)  # one channel after another: all that follows takes channels
        channels = measure_channels(samples, recording.rate) if samples.shape[1] > 1 else None
        source, gain = (None if ready or recording.lossy else samples), 1.0
        samples = mixer.mix(samples)
        mixer.check()
        if not ready:
            samples, gain = _quantize(self._resample(samples, recording.rate))
        if self._trim:
            trimmed = trim_silence(samples)
            ready = ready and len(trimmed) == len(samples)
            samples = trimmed
        return Audio(samples, ready, source, gain, channels, recording.note)

    def _open(self, audio: str, row: int | None) -> Recording:
        content = None if row is None else self._cells.read(audio, row)
        return open_recording(Path(audio), self._scratch_dir, content)

    @staticmethod
    def _resample(samples: np.ndarray, rate: int) -> np.ndarray:
        return samples if rate == SAMPLE_RATE_HZ or not len(samples) else soxr.resample(samples, rate, SAMPLE_RATE_HZ)


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write int16 samples (n,) as 16 kHz mono 16-bit WAV."""
    content = np.ascontiguousarray(samples, "<i2")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 36 + content.nbytes, b"WAVE") + form
    with path.open("wb", buffering=0) as file:  # two writes: soundfile and wave write and seek several times
        file.write(head + struct.pack("<4sI", b"data", content.nbytes))
        view = content.data.cast("B") if len(content) else memoryview(b"")
        while view:
            view = view[file.write(view) :]


def trim_silence(samples: np.ndarray) -> np.ndarray:
    """Cut silence off both ends of 16 kHz int16 samples (n,), see the module; all of it stays if all is silence."""
    frames = samples[: len(samples) - len(samples) % _TRIM_FRAME].reshape(-1, _TRIM_FRAME).astype("float32")
    levels = np.sqrt(np.square(frames).mean(axis=1))
    if not len(levels) or not levels.max():
        return samples
    floor = min(levels.max() * 10 ** (-_TRIM_BELOW_LOUDEST_DB / 20), 32768 * 10 ** (-_TRIM_BELOW_FULL_SCALE_DB / 20))
    loud = np.flatnonzero(levels > floor)
    first, last = max(loud[0] - _TRIM_MARGIN_FRAMES, 0), loud[-1] + 1 + _TRIM_MARGIN_FRAMES
    return samples[first * _TRIM_FRAME :] if last >= len(levels) else samples[first * _TRIM_FRAME : last * _TRIM_FRAME]


def _is_ready(recording: Recording) -> bool:
    return (recording.rate, recording.channels) == (SAMPLE_RATE_HZ, 1) and recording.encoding in READY_ENCODINGS


def _read_whole(recording: Recording, limit: int | None, dtype: str) -> np.ndarray:
    """Read all samples (frames, channels), or refuse what is longer than the limit or not whole."""
    _refuse_faults(recording)
    if limit is not None and recording.length is not None and recording.length > limit:
        raise TooLongError(f"{recording.length / recording.rate:.3f} s, max_duration is {limit / recording.rate:g} s")
    samples = recording.read(0, None if limit is None else limit + 1, dtype, keep=False)
    _refuse_faults(recording)
    if limit is not None and len(samples) > limit:
        raise TooLongError(f"more than {limit / recording.rate:g} s, which is max_duration")
    return samples


def _read_segment(recording: Recording, offset: float, duration: float | None, limit: int | None) -> np.ndarray:
    """Read the samples (frames, channels) of a segment, or refuse one that is too long, outside or not sound."""
    start, frames = check_segment(recording, offset, duration, MAX_OVERSHOOT_S)
    if limit is not None and frames is not None and frames > limit:
        raise TooLongError(f"{frames / recording.rate:.3f} s, max_duration is {limit / recording.rate:g} s")
    samples = recording.read(start, limit + 1 if frames is None and limit is not None else frames)
    if limit is not None and len(samples) > limit:
        raise TooLongError(f"more than {limit / recording.rate:g} s, which is max_duration")
    check_segment_end(recording, offset, duration, len(samples), MAX_OVERSHOOT_S)
    _refuse_faults(recording, offset, offset + len(samples) / recording.rate)
    return samples


def _refuse_faults(recording: Recording, start_s: float = -math.inf, end_s: float = math.inf) -> None:
    for fault in sorted(recording.faults, key=lambda fault: not fault.truncated):
        is_here = not fault.somewhere if fault.at_s is None else start_s <= fault.at_s <= end_s
        if math.isinf(end_s) or (not fault.truncated and is_here):
            raise fault.make_error()


def _quantize(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Round float32 samples, full scale 1, to int16; return them and the gain that kept them from clipping."""
    if not len(samples):
        return np.zeros(0, "int16"), 1.0
    scaled = samples * np.float32(32768)
    high, low = float(scaled.max()), float(scaled.min())
    if not (math.isfinite(high) and math.isfinite(low)):
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=32767.0, neginf=-32768.0).clip(-32768, 32767)
        high = low = 0.0
    gain = min(1.0, 32767 / high if high > 32767.49 else 1.0, -32768 / low if low < -32768.49 else 1.0)
    if gain < 1:
        scaled *= np.float32(gain)
    return np.rint(scaled, out=scaled).astype("int16"), gain

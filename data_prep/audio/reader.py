"""Audio in, 16 kHz mono 16-bit out: what is already right stays where it is, the rest is decoded and resampled here.

Everything happens in the worker's own process (libsndfile, then soxr at its high quality, the algorithm of sox's
`rate`): starting one sox a file costs several times the work itself. The choices, the same for every file:

- One channel is taken, or channels are averaged: see `data_prep.audio.channels`.
- Nothing clips: where resampling (or 24-bit and float samples) overshoots full scale, the whole utterance is turned
  down until its peak fits, and by no more. Everything else keeps its level to the bit.
- No dither: 16 bits are far below any room's noise, and the same input must give the same file.
- Silence at the edges is trimmed on request only: 10 ms frames below both -40 dB of the loudest frame and -30 dBFS are
  silence, and 100 ms of it stay on each side.
- A segment is cut at the recording's own rate, before resampling, from a recording that is opened once for all of its
  segments. As in Kaldi, one that runs over the end by up to 0.5 s is cut at the end.
"""

import io
import math
import wave
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy
import soundfile
import soxr

from data_prep.audio.channels import AUTO, ChannelMixer, check_channel
from data_prep.audio.decoders import DecoderMissingError, open_recording
from data_prep.audio.errors import (
    AudioError,
    MissingChannelError,
    SegmentError,
    TooLongError,
    TruncatedAudioError,
    UnreadableAudioError,
)
from data_prep.audio.measures import ChannelMeasures, measure_channels
from data_prep.audio.parquet import AudioCells

__all__ = [
    "SAMPLE_RATE_HZ",
    "Audio",
    "AudioError",
    "AudioReader",
    "DecoderMissingError",
    "MissingChannelError",
    "SegmentError",
    "TooLongError",
    "TruncatedAudioError",
    "UnreadableAudioError",
    "check_channel",
    "write_wav",
]

SAMPLE_RATE_HZ = 16_000
READY_CONTAINERS = ("WAV", "WAVEX", "FLAC")
MAX_OVERSHOOT_S = 0.5  # of a segment over its recording's end; Kaldi's extract-segments --max-overshoot
_EXACT_CONTAINERS = ("WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "CAF", "NIST", "FLAC")  # the header counts samples
_LOSSY_CONTAINERS = ("MP3", "OGG")
_TRIM_FRAME = SAMPLE_RATE_HZ // 100
_TRIM_MARGIN_FRAMES = 10
_TRIM_BELOW_LOUDEST_DB, _TRIM_BELOW_FULL_SCALE_DB = 40.0, 30.0


@dataclass(frozen=True)
class Audio:
    """One utterance, decoded.

    Attributes:
        samples: int16 (samples,), 16 kHz mono.
        ready: Whether the file itself is just that, so that it can be referenced instead of copied.
        source: float32 (frames, channels), as decoded, before mixing and resampling; `None` where `ready`, and for
            lossy formats, which keep neither the flat tops of clipping nor NaN.
        gain: Factor that kept the samples from clipping, 0 to 1; 1 is untouched.
        channels: How alike the channels are; `None` where there is one only.
    """

    samples: numpy.ndarray
    ready: bool
    source: numpy.ndarray | None
    gain: float = 1.0
    channels: ChannelMeasures | None = None


class AudioReader:
    """Reads utterances one after another and keeps the last recording open, so that each further segment is a seek."""

    def __init__(self, scratch_dir: Path, channel: int | str | None = AUTO, trim_silence: bool = False) -> None:
        """Set up a reader.

        Args:
            scratch_dir: Existing folder for audio that sox or ffmpeg decoded; no two readers at a time share one.
            channel: Which channel is used, see `data_prep.audio.channels.check_channel`.
            trim_silence: Whether silence at both ends is cut off.

        Raises:
            ValueError: `channel` is out of range.
        """
        self._channel = check_channel(channel)
        self._trim = trim_silence
        self._scratch = scratch_dir / "decoded.wav"
        self._opened: tuple[str, int | None] | None = None
        self._file: soundfile.SoundFile | None = None
        self._cells = AudioCells()

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the recording and remove what was decoded for it."""
        if self._file is not None:
            self._file.close()
        self._file = self._opened = None
        self._scratch.unlink(missing_ok=True)

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
            DecoderMissingError: A program is not installed.
            OSError: The disk is full, or a program was killed.
        """
        if (audio, row) != self._opened:
            self.close()
            self._file = self._open(audio, row)
            self._opened = (audio, row)
        assert self._file is not None
        mixer = ChannelMixer(self._file.channels, self._channel if channel is None else check_channel(channel))
        whole = offset is None and duration is None
        start, frames = (0, self._file.frames) if whole else _find_segment(self._file, offset or 0.0, duration)
        seconds = frames / self._file.samplerate
        if max_duration is not None and seconds > max_duration:
            raise TooLongError(f"{seconds:.3f} s, max_duration is {max_duration:g} s")
        ready = whole and row is None and _is_ready(self._file) and self._file.name == audio
        samples = _decode_frames(self._file, start, frames, "int16" if ready else "float32")
        source, gain = (None if ready or self._file.format in _LOSSY_CONTAINERS else samples), 1.0
        channels = measure_channels(samples, self._file.samplerate) if samples.shape[1] > 1 else None
        samples = mixer.mix(samples)
        mixer.check()
        if not ready:
            samples, gain = _quantize(self._resample(samples, self._file.samplerate))
        if self._trim:
            trimmed = trim_silence(samples)
            ready = ready and len(trimmed) == len(samples)
            samples = trimmed
        return Audio(samples, ready, source, gain, channels)

    def _open(self, audio: str, row: int | None) -> soundfile.SoundFile:
        if row is None:
            return open_recording(Path(audio), self._scratch)
        content = self._cells.read(audio, row)
        try:
            return soundfile.SoundFile(io.BytesIO(content))
        except soundfile.LibsndfileError:
            packed = self._scratch.with_name("packed")
            try:
                packed.write_bytes(content)
                return open_recording(packed, self._scratch)
            finally:
                packed.unlink(missing_ok=True)

    @staticmethod
    def _resample(samples: numpy.ndarray, rate: int) -> numpy.ndarray:
        return samples if rate == SAMPLE_RATE_HZ or not len(samples) else soxr.resample(samples, rate, SAMPLE_RATE_HZ)


def write_wav(path: Path, samples: numpy.ndarray) -> None:
    """Write int16 samples (n,) as 16 kHz mono 16-bit WAV."""
    with wave.open(str(path), "wb") as file:  # soundfile's writer waits for the disk after each file
        file.setparams((1, 2, SAMPLE_RATE_HZ, len(samples), "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2", copy=False).tobytes())


def trim_silence(samples: numpy.ndarray) -> numpy.ndarray:
    """Cut silence off both ends of 16 kHz int16 samples (n,), see the module; all of it stays if all is silence."""
    frames = samples[: len(samples) - len(samples) % _TRIM_FRAME].reshape(-1, _TRIM_FRAME).astype("float32")
    levels = numpy.sqrt(numpy.square(frames).mean(axis=1))
    if not len(levels) or not levels.max():
        return samples
    floor = min(levels.max() * 10 ** (-_TRIM_BELOW_LOUDEST_DB / 20), 32768 * 10 ** (-_TRIM_BELOW_FULL_SCALE_DB / 20))
    loud = numpy.flatnonzero(levels > floor)
    first, last = max(loud[0] - _TRIM_MARGIN_FRAMES, 0), loud[-1] + 1 + _TRIM_MARGIN_FRAMES
    return samples[first * _TRIM_FRAME :] if last >= len(levels) else samples[first * _TRIM_FRAME : last * _TRIM_FRAME]


def _is_ready(file: soundfile.SoundFile) -> bool:
    found = (file.samplerate, file.channels, file.subtype)
    return found == (SAMPLE_RATE_HZ, 1, "PCM_16") and file.format in READY_CONTAINERS


def _find_segment(file: soundfile.SoundFile, offset: float, duration: float | None) -> tuple[int, int]:
    """Return first frame and number of frames."""
    length, start = file.frames, round(offset * file.samplerate)
    frames = length - start if duration is None else round(duration * file.samplerate)
    end = "the end" if duration is None else f"{offset + duration:.3f} s"
    if start < 0 or frames <= 0 or start >= length or start + frames > length + MAX_OVERSHOOT_S * file.samplerate:
        seconds = length / file.samplerate
        raise SegmentError(f"segment {offset:.3f} s to {end} of a recording of {seconds:.3f} s")
    return start, min(frames, length - start)


def _decode_frames(file: soundfile.SoundFile, start: int, frames: int, dtype: str) -> numpy.ndarray:
    """Return samples (frames, channels); a header may promise what is not there."""
    try:
        if file.tell() != start:
            file.seek(start)
        samples = file.read(frames, dtype=dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        kind = TruncatedAudioError if file.format in _EXACT_CONTAINERS else UnreadableAudioError
        raise kind(f"decoding stops: {error} ({file.format.lower()})") from error
    if len(samples) < frames and file.format in _EXACT_CONTAINERS:
        raise TruncatedAudioError(f"{len(samples)} of {frames} samples are there")
    return samples


def _quantize(samples: numpy.ndarray) -> tuple[numpy.ndarray, float]:
    """Round float32 samples, full scale 1, to int16; return them and the gain that kept them from clipping."""
    if not len(samples):
        return numpy.zeros(0, "int16"), 1.0
    scaled = samples * numpy.float32(32768)
    high, low = float(scaled.max()), float(scaled.min())
    if not (math.isfinite(high) and math.isfinite(low)):
        scaled = numpy.nan_to_num(scaled, nan=0.0, posinf=32767.0, neginf=-32768.0).clip(-32768, 32767)
        high = low = 0.0
    gain = min(1.0, 32767 / high if high > 32767.49 else 1.0, -32768 / low if low < -32768.49 else 1.0)
    if gain < 1:
        scaled *= numpy.float32(gain)
    return numpy.rint(scaled, out=scaled).astype("int16"), gain

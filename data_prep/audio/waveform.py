"""Reads a recording, or a segment of it, as one channel of samples at a given rate, block by block, for transcription.

Damaged parts are left out and named in a warning, so that the rest of the recording still has its text. Memory does not
grow with the length of the recording.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from data_prep.audio.channels import AUTO, ChannelMixer
from data_prep.audio.errors import AudioError, Fault, MissingAudioError, NotFiniteError, UnreadableAudioError
from data_prep.audio.recording import Recording
from data_prep.audio.segments import check_segment, check_segment_end
from data_prep.audio.shared import SharedRecordings

END_TOLERANCE_S = 0.1  # durations in manifests are rounded, and compressed formats pad
BLOCK_S = 10.0  # read at a time
UNCLEAR_HEADER = "unclear_header"  # reason of a warning where all was read, but the header says something else
MOST_NOTES = 3  # of one recording in its warning


class WaveformStream:
    """Reads one channel of a recording, or of a segment, at the wanted rate.

    Attributes:
        warning: What could not be read, or what the header does not say, as `reason: details`, once all blocks were
            taken; `None` if there is nothing to say.
        faults: What could not be read, once all blocks were taken.
    """

    def __init__(
        self,
        path: Path,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        channel: int | str | None = AUTO,
        sample_rate_hz: int = 16_000,
        recordings: SharedRecordings | None = None,
    ) -> None:
        """Describe what is to be read; nothing is opened before the first block is asked for.

        Args:
            path: The recording, of any format that `data_prep.audio.opening` knows.
            offset_s: Where the segment begins, in seconds.
            duration_s: Its length in seconds; `None` reads to the end. A segment that ends within `END_TOLERANCE_S` of
                the recording's end is read to the end.
            channel: See `data_prep.audio.channels.check_channel`.
            sample_rate_hz: Wanted rate; another one is resampled (soxr, high quality; the samples do not depend on the
                blocks).
            recordings: The recordings of which other segments are read as well; `None` opens the file for this one.
        """
        self._recordings = recordings or SharedRecordings({})
        self._path, self._offset_s, self._duration_s = path, offset_s, duration_s
        self._channel, self._rate = channel, sample_rate_hz
        self.warning: str | None = None
        self.faults: list[Fault] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield blocks of (n,) float32 samples, full scale 1.0, about `BLOCK_S` of them.

        Raises:
            AudioError: The file is missing or unreadable, nothing of it decodes, the segment is outside, samples are
                not finite, or the channel is not there; `reason` is the code, the message begins with the path.
        """
        try:
            _check_is_file(self._path)
            with self._recordings.use(self._path) as recording:
                yield from _resample(self._read(recording), recording.rate, self._rate)
        except AudioError as error:
            if str(error).startswith(str(self._path)):
                raise
            raise type(error)(f"{self._path}: {error}") from error
        except (soundfile.LibsndfileError, OSError, TypeError, ValueError, MemoryError) as error:
            raise UnreadableAudioError(f"{self._path}: {' '.join(str(error).split()) or repr(error)}") from error

    def _read(self, recording: Recording) -> Iterator[np.ndarray]:
        rate = recording.rate
        whole = not self._offset_s and self._duration_s is None
        start, frames = (0, None) if whole else self._find_segment(recording)
        mixer, done = ChannelMixer(recording.channels, self._channel), 0
        for block in recording.iterate(start, frames, round(BLOCK_S * rate)):
            waveform = mixer.mix(block)
            if not np.isfinite(waveform).all():
                raise NotFiniteError("found samples that are NaN or infinite; repair or leave out the file")
            done += len(block)
            yield np.ascontiguousarray(waveform)
        if not whole:
            self._check_end(recording, done)
        mixer.check()
        self._judge(recording, done, whole)

    def _find_segment(self, recording: Recording) -> tuple[int, int | None]:
        rate = recording.rate
        if not self._duration_s and self._duration_s is not None:
            return round(self._offset_s * rate), 0
        start, frames = check_segment(recording, self._offset_s, self._duration_s, END_TOLERANCE_S, is_cut_allowed=True)
        near_end = recording.length is not None and frames is not None
        if near_end and abs(recording.length - start - frames) <= END_TOLERANCE_S * rate:  # type: ignore[operator]
            return start, None
        return start, frames

    def _check_end(self, recording: Recording, done: int) -> None:
        is_cut = any(fault.truncated for fault in recording.faults)
        if not (is_cut and done) and self._duration_s != 0:
            check_segment_end(recording, self._offset_s, self._duration_s, done, END_TOLERANCE_S)

    def _judge(self, recording: Recording, done: int, whole: bool) -> None:
        """Set the warning, or raise the first fault where nothing at all was decoded."""
        start_s = 0.0 if whole else self._offset_s
        end_s = start_s + done / recording.rate
        wanted_s = float("inf") if self._duration_s is None else start_s + self._duration_s - END_TOLERANCE_S
        faults = [
            fault
            for fault in sorted(recording.faults, key=lambda fault: not fault.truncated)
            if (fault.truncated and end_s < wanted_s)
            or (not fault.truncated and _is_within(fault, start_s, end_s, whole))
        ]
        if faults and not done:
            raise faults[0].make_error()
        self.faults = faults
        notes = [f"{fault.make_error().reason}: {fault.detail}" for fault in faults]
        notes += [f"{UNCLEAR_HEADER}: {recording.note}"] if recording.note else []
        if notes:
            more = f" (and {len(notes) - MOST_NOTES} more)" if len(notes) > MOST_NOTES else ""
            self.warning = f"{'; '.join(dict.fromkeys(notes[:MOST_NOTES]))}{more}"


def _is_within(fault: Fault, start_s: float, end_s: float, whole: bool) -> bool:
    if fault.at_s is None:
        return whole or not fault.somewhere
    return start_s <= fault.at_s <= end_s


def probe_duration(path: Path) -> float | None:
    """Return the length that a file's header gives, in seconds, for orders and progress bars; `None` without one.

    What is read never depends on it: headers are wrong in both directions.
    """
    try:
        _check_is_file(path)  # a pipe would be waited for
        with soundfile.SoundFile(os.open(path, os.O_RDONLY)) as file:
            return file.frames / file.samplerate
    except (AudioError, soundfile.LibsndfileError, OSError, TypeError, ValueError):
        return None


def _check_is_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise MissingAudioError(f"{path}: no such file") from error
        raise UnreadableAudioError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a character that no name holds
        raise MissingAudioError(f"{path}: no such file ({error})") from error
    if stat.S_ISDIR(mode):
        raise MissingAudioError(f"{path}: found a folder, expected a file")
    if not stat.S_ISREG(mode):
        raise UnreadableAudioError(f"{path}: found a pipe or device, expected a file")


def _resample(blocks: Iterator[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    if rate == wanted:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)

"""Recordings with an exact number of samples: those that libsndfile reads, and 16-bit WAV, which needs no decoder."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from data_prep.audio.av_decoder import AvStream
from data_prep.audio.errors import Fault
from data_prep.audio.recording import SKIP_BLOCK, Recording
from data_prep.audio.riff import SampleLayout


class SoundFileRecording(Recording):
    """A recording that libsndfile reads exactly."""

    def __init__(
        self,
        file: soundfile.SoundFile,
        faults: list[Fault],
        note: str | None = None,
        plain: bool = True,
        fallback: Callable[[], AvStream] | None = None,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        """Take over an open file.

        Args:
            file: The file.
            faults: What is known to be wrong.
            note: What its header does not say.
            plain: Whether it was opened as it is on disk.
            fallback: Opens it with another decoder, which goes on where this one fails.
            on_close: Called when the recording is closed.
        """
        super().__init__(faults, note)
        self._file, self._fallback, self._on_close = file, fallback, on_close
        self.rate, self.channels, self.length = file.samplerate, file.channels, file.frames
        self.lossy = file.format in ("MP3", "OGG")
        self.encoding = (file.format, file.subtype) if plain else None

    def read(self, start: int, frames: int | None, dtype: str = "float32", keep: bool = True) -> np.ndarray:
        assert self.length is not None
        wanted = max(0, min(self.length - start, self.length if frames is None else frames))
        try:
            if self._file.tell() != start:
                self._file.seek(start)
            samples = self._file.read(wanted, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            self._add_fault(start, f"decoding stops: {error} ({self._file.format.lower()})")
            return np.zeros((0, self.channels), dtype)
        if len(samples) < wanted:
            self._add_fault(start + len(samples), f"{start + len(samples)} of {self.length} samples are there")
        return samples

    def iterate(self, start: int, frames: int | None, block: int) -> Iterator[np.ndarray]:
        assert self.length is not None
        done, end = start, self.length if frames is None else min(self.length, start + frames)
        known = len(self.faults)
        while done < end and len(self.faults) == known:
            samples = self.read(done, min(block, end - done))
            done += len(samples)
            if len(samples):
                yield samples
        if done < end and self._fallback is not None:
            for samples in _iterate_stream(self._fallback(), done, end - done, block):
                done += len(samples)
                yield samples

    def close(self) -> None:
        self._file.close()
        if self._on_close:
            self._on_close()

    def _add_fault(self, position: int, detail: str) -> None:
        if not any(fault.truncated for fault in self.faults):
            self.faults.append(Fault(detail, truncated=not self.lossy, at_s=position / self.rate))


class PcmRecording(Recording):
    """16-bit samples that a file holds as they are: read without a decoder, which takes four times as long."""

    def __init__(self, file: BinaryIO, layout: SampleLayout, faults: list[Fault], plain: bool) -> None:
        """Take over an open file.

        Args:
            file: The file.
            layout: Where its samples are.
            faults: What is known to be wrong.
            plain: Whether the file is on disk.
        """
        super().__init__(faults, layout.note)
        self._file, self._start = file, layout.parts[0][0]
        self.rate, self.channels, self.lossy = layout.rate, layout.channels, False
        self.length = (layout.parts[0][1] - self._start) // (2 * layout.channels)
        self.encoding = ("WAV", "PCM_16") if layout.plain and plain else None

    def read(self, start: int, frames: int | None, dtype: str = "float32", keep: bool = True) -> np.ndarray:
        assert self.length is not None
        wanted = max(0, min(self.length - start, self.length if frames is None else frames))
        self._file.seek(self._start + 2 * self.channels * start)
        samples = np.frombuffer(self._file.read(2 * self.channels * wanted), "<i2").reshape(-1, self.channels)
        if dtype == "int16":
            return samples
        # One channel after another in memory: all that follows takes channels, and 16 bits are moved at half the cost.
        scaled = np.ascontiguousarray(samples.T).astype(np.float32)
        scaled *= np.float32(1 / 32768)
        return scaled.T

    def iterate(self, start: int, frames: int | None, block: int) -> Iterator[np.ndarray]:
        assert self.length is not None
        end = self.length if frames is None else min(self.length, start + frames)
        for first in range(start, end, block):
            yield self.read(first, min(block, end - first))

    def close(self) -> None:
        self._file.close()


def _iterate_stream(stream: AvStream, start: int, frames: int, block: int) -> Iterator[np.ndarray]:
    """Yield samples from a position on; nothing where decoding fails there too."""
    try:
        done = 0
        while done < start + frames:
            wanted = min(SKIP_BLOCK, start - done) if done < start else min(block, start + frames - done)
            samples = stream.read(wanted)
            done += len(samples)
            if len(samples) and done > start:
                yield samples
            if len(samples) < wanted:
                return
    finally:
        stream.close()

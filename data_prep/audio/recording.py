"""An open recording, with any decoder: samples by position or block by block, and the faults of the file.

No header is trusted. `length` is known if the decoder counts samples exactly; otherwise the recording is decoded to its
end. `faults` grows during reading and is complete only after the last sample.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from data_prep.audio.av_decoder import AvSource, AvStream
from data_prep.audio.errors import Fault

LENGTH_TOLERANCE_S = 0.25  # encoders pad and trim by up to two frames; HE-AAC's last 93 ms each
LOSSLESS_CODECS = ("flac", "alac", "wavpack", "tta", "ape", "tak", "shorten", "mlp", "truehd", "wmalossless")
_SPOOL_BLOCK_S = 1.0
SKIP_BLOCK = 1 << 18  # samples


class Recording(ABC):
    """A recording that is open for reading.

    Attributes:
        rate: Sampling rate in hertz.
        channels: Number of channels.
        faults: What is wrong with it, as far as it was read.
        note: What its header does not say, if so.
        lossy: Whether it keeps neither the flat tops of clipping nor NaN.
        length: Number of samples of each channel; `None` until it is known.
        encoding: libsndfile's (container, subtype) where libsndfile reads the file itself, unchanged.
    """

    rate: int
    channels: int
    lossy: bool
    length: int | None
    encoding: tuple[str, str] | None = None

    def __init__(self, faults: list[Fault], note: str | None) -> None:
        self.faults, self.note = list(faults), note

    @abstractmethod
    def read(self, start: int, frames: int | None, dtype: str = "float32", keep: bool = True) -> np.ndarray:
        """Read samples.

        Args:
            start: The first, from 0.
            frames: How many; `None` is up to the end.
            dtype: `float32`, or `int16` where `encoding` is of 16 bits.
            keep: Whether other positions may be asked for later, so that decoded samples are kept.

        Returns:
            (n, channels); n is less than `frames` where the recording ends.
        """

    @abstractmethod
    def iterate(self, start: int, frames: int | None, block: int) -> Iterator[np.ndarray]:
        """Yield samples (n, channels) float32 from a position on, at most `block` at a time."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class DecodedRecording(Recording):
    """A recording that FFmpeg decodes, in one pass; what positions need is kept on disk until it is closed."""

    def __init__(
        self,
        source: AvSource,
        faults: list[Fault],
        note: str | None,
        stated: Callable[[AvStream], float | None],
        spool: Callable[[], IO[bytes]],
        on_close: Callable[[], object],
    ) -> None:
        """Open a recording.

        Args:
            source: The file.
            faults: What is known to be wrong.
            note: What its header does not say.
            stated: Gives the length that the file says it has, in seconds, if it does.
            spool: Makes the file that decoded samples are kept in.
            on_close: Called when the recording is closed.

        Raises:
            UnreadableAudioError: FFmpeg cannot read it.
        """
        super().__init__(faults, note)
        self._source, self._make_spool, self._on_close = source, spool, on_close
        self._stream: AvStream | None = AvStream(source)
        self.rate, self.channels = self._stream.rate, self._stream.channels
        codec = self._stream.codec
        self.lossy = not (codec.startswith("pcm_") or codec in LOSSLESS_CODECS)
        self.length = None
        self.stated_s = stated(self._stream)
        if self._stream.tracks > 1 and note is None:
            self.note = f"{self._stream.tracks} audio tracks: one is read"
        self._fresh = True
        self._spool: IO[bytes] | None = None
        self._spooled = 0
        self._seen: set[int] = set()

    def read(self, start: int, frames: int | None, dtype: str = "float32", keep: bool = True) -> np.ndarray:
        if not keep:
            blocks = list(self.iterate(start, frames, SKIP_BLOCK))
            return np.concatenate(blocks) if blocks else np.zeros((0, self.channels), np.float32)
        spool = self._spool_to(None if frames is None else start + frames)
        end = self._spooled if frames is None else min(start + frames, self._spooled)
        spool.seek(4 * self.channels * start)
        content = spool.read(max(0, 4 * self.channels * (end - start)))
        return np.frombuffer(content, np.float32).reshape(-1, self.channels)

    def iterate(self, start: int, frames: int | None, block: int) -> Iterator[np.ndarray]:
        if not self._fresh or self._stream is None:
            self._restart()
        assert self._stream is not None
        self._fresh, stream, done = False, self._stream, 0
        end = None if frames is None else start + frames
        while end is None or done < end:
            wanted = min(SKIP_BLOCK, start - done) if done < start else block
            wanted = wanted if end is None else min(wanted, end - done)
            samples = self._read_stream(stream, done, wanted)
            done += len(samples)
            if len(samples) and done > start:
                yield samples
            if len(samples) < wanted:
                break

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._on_close()

    def _restart(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._spooled, self._fresh = AvStream(self._source), 0, True

    def _spool_to(self, end: int | None) -> IO[bytes]:
        """Decode up to a position."""
        if self._spool is None or self._stream is None:
            if not self._fresh or self._stream is None:
                self._restart()
            self._spool = self._make_spool()
            self._spooled = 0
        self._fresh, stream, block = False, self._stream, round(_SPOOL_BLOCK_S * self.rate)
        assert stream is not None
        while self._spooled != self.length and (end is None or self._spooled < end):
            samples = self._read_stream(stream, self._spooled, block)
            self._spool.seek(0, os.SEEK_END)
            self._spool.write(samples.tobytes())
            self._spooled += len(samples)
        return self._spool

    def _read_stream(self, stream: AvStream, done: int, wanted: int) -> np.ndarray:
        samples = stream.read(wanted)
        for position in stream.damage:
            if position not in self._seen and not any(fault.truncated for fault in self.faults):
                reason = f"a part could not be decoded (FFmpeg: {stream.stopped})"
                self.faults.append(Fault(reason, truncated=False, at_s=position / self.rate))
            self._seen.add(position)
        if len(samples) < wanted:
            known, self.length = self.length, done + len(samples)
            if known is not None:
                return samples
            found_s = self.length / self.rate
            is_short = self.stated_s is not None and found_s < self.stated_s - LENGTH_TOLERANCE_S
            if is_short and not any(fault.truncated for fault in self.faults):
                self.faults.append(Fault(f"{found_s:.2f} of {self.stated_s:.2f} s are there", at_s=found_s))
        return samples


def open_spool(folder: Path) -> IO[bytes]:
    """Make a temporary file that is gone when it is closed."""
    path = folder / "decoded"
    file = path.open("w+b")
    path.unlink()
    return file

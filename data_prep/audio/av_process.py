"""Decodes recordings with FFmpeg (PyAV) in a process that may crash, hang or run out of memory without harm to others.

Started by `data_prep.audio.av_decoder`, it answers one request after another on its standard streams. A request is a
line of JSON: `{"open": …}` begins a file, `{"read": n}` asks for its next n samples of each channel. An answer is a
line of JSON, followed by the samples: 32-bit floats, one channel after another.
"""

import contextlib
import json
import os
import resource
import sys
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

MEMORY_BYTES = 4 << 30  # address space; a decoder takes 300 MB of it
_MOST_SECONDS_A_BYTE = 1.0  # of audio: FLAC's silence, the shortest of all, takes more than one byte a second
_FREE_SECONDS = 3600.0
# FFmpeg's AMR decoders refuse the frames of silence (DTX) that telephones send.
_BETTER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}


class _Range:
    """The bytes of one part of a file as a file: what FFmpeg may read."""

    def __init__(self, path: str, start: int, end: int) -> None:
        self._file = open(path, "rb")  # noqa: PTH123, SIM115  (closed with the recording)
        self._start, self._end, self._at = start, end, start

    def read(self, count: int) -> bytes:
        self._file.seek(self._at)
        block = self._file.read(max(0, min(count, self._end - self._at)))
        self._at += len(block)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (self._start, self._at, self._end)[whence]
        self._at = max(self._start, base + offset)
        return self.tell()

    def tell(self) -> int:
        return self._at - self._start

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


class FileDecoder:
    """An open file: its parts are decoded one after another, at the first one's rate and channels.

    Attributes:
        damage: Where decoding failed, in samples from the beginning.
        stopped: Why the rest of a part could not be decoded, if so.
        head: What the first part is.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        import av

        self._av, self._request = av, request
        self.damage: list[int] = []
        self.stopped = ""
        self.head: dict[str, Any] = {}
        self._done = 0
        self._frames = self._decode_parts()
        self._held: list[bytearray] = []
        first = next(self._frames, None)
        if first is None and not self.head:
            raise ValueError(self.stopped or "found no audio")
        self._held = [bytearray(plane) for plane in first or [b""] * self.head["channels"]]

    def read(self, count: int) -> tuple[int, list[bytes]]:
        """Return up to `count` samples of each channel; fewer only at the end."""
        while len(self._held[0]) < 4 * count and (planes := next(self._frames, None)) is not None:
            for held, plane in zip(self._held, planes, strict=True):
                held += plane
        found = [bytes(memoryview(held)[: 4 * count]) for held in self._held]
        for held in self._held:
            del held[: 4 * count]
        return len(found[0]) // 4, found

    def close(self) -> None:
        self._frames.close()

    def _decode_parts(self) -> Generator[list[bytes], None, None]:
        most = None
        for start, end in self._request["parts"]:
            file = _Range(self._request["path"], start, end)
            try:
                options = self._request["options"]
                with self._av.open(file, format=self._request["demuxer"], options=options) as container:
                    for planes in self._decode(container):
                        yield planes
                        self._done += len(planes[0]) // 4
                        most = most or self.head["rate"] * (_FREE_SECONDS + _MOST_SECONDS_A_BYTE * end)
                        if self._done > most:
                            raise ValueError("it decodes to more audio than its size can hold")
            except (self._av.error.FFmpegError, ValueError, OSError) as error:
                self.stopped = self.stopped or describe_error(error)
                self.damage.append(self._done)
            finally:
                file.close()

    def _decode(self, container: Any) -> Iterator[list[bytes]]:
        streams = container.streams.audio
        if not streams:
            raise ValueError("found no audio track")
        stream = container.streams.best("audio") or streams[0]
        stream.codec_context.thread_count = 1
        resampler = shape = None
        for frame in self._decode_packets(container, stream):
            if not self.head:
                self._describe(container, stream, frame)
            if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
                if resampler is not None:
                    yield from map(_planes, resampler.resample(None))
                shape = (frame.format.name, frame.layout.name, frame.sample_rate)
                as_wanted = shape == ("fltp", self.head["layout"], self.head["rate"])
                resampler = None if as_wanted else self._make_resampler()
            if resampler is None:
                yield _planes(frame)
            else:
                frame.pts = None  # else the resampler fills gaps by its own rules
                yield from map(_planes, resampler.resample(frame))
        if resampler is not None:
            yield from map(_planes, resampler.resample(None))

    def _decode_packets(self, container: Any, stream: Any) -> Iterator[Any]:
        decoder = stream.codec_context
        if decoder.name in _BETTER_DECODERS:
            better: Any = self._av.CodecContext.create(_BETTER_DECODERS[decoder.name], "r")
            better.sample_rate, better.layout = decoder.sample_rate, "mono"
            decoder = better
        for packet in container.demux(stream):
            try:
                frames = decoder.decode(packet if packet.size else None)
            except self._av.error.FFmpegError as error:
                if packet.size:  # not the one that flushes the decoder
                    self.damage.append(self._done)
                    self.stopped = self.stopped or describe_error(error)
                continue
            yield from (frame for frame in frames if frame.samples)

    def _make_resampler(self) -> Any:
        return self._av.AudioResampler(format="fltp", layout=self.head["layout"], rate=self.head["rate"])

    def _describe(self, container: Any, stream: Any, frame: Any) -> None:
        seconds = None
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration and len(container.streams) == 1:
            seconds = container.duration / self._av.time_base
        self.head = {
            "rate": frame.sample_rate,
            "channels": frame.layout.nb_channels,
            "layout": frame.layout.name,
            "codec": stream.codec_context.name,
            "seconds": seconds,
            "tracks": len(container.streams.audio),
            "alone": len(container.streams) == 1,
        }


def _planes(frame: Any) -> list[bytes]:
    return [bytes(memoryview(plane)[: 4 * frame.samples]) for plane in frame.planes]


def describe_error(error: Exception) -> str:
    """Make one line of what FFmpeg says."""
    text = getattr(error, "strerror", None) or str(error)
    log = getattr(error, "log", None)
    if log and log[2]:
        text = f"{text} ({log[2].strip()})"
    return " ".join(text.split()) or type(error).__name__


def main() -> None:
    """Answer requests until the standard input ends."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # nothing is written
    ):
        with contextlib.suppress(ValueError, OSError):  # a system may not know a limit, or have a lower one
            resource.setrlimit(limit, (value, value))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that text that a library prints is not taken for an answer
    recording: FileDecoder | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if "open" in request:
                if recording is not None:
                    recording.close()
                recording = None
                recording = FileDecoder(request["open"])
                _answer(answers, recording.head)
            else:
                assert recording is not None, "read before open"
                count, planes = recording.read(request["read"])
                _answer(answers, {"frames": count, "damage": recording.damage, "stopped": recording.stopped}, planes)
        except (OSError, ValueError, MemoryError, ArithmeticError, LookupError, RuntimeError, AttributeError) as error:
            _answer(answers, {"error": describe_error(error)})


def _answer(answers: BinaryIO, head: dict[str, Any], planes: list[bytes] | None = None) -> None:
    answers.write(json.dumps(head).encode() + b"\n")
    for plane in planes or ():
        answers.write(plane)
    answers.flush()


if __name__ == "__main__":
    main()

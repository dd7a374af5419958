"""Reads recordings through FFmpeg in a child process: a file that crashes or hangs the decoder harms no other file.

There is one child for each recording that is open at a time. Children are reused, and end with this process.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.audio.errors import UnreadableAudioError

ANSWER_S = 60.0  # longest wait for the next bytes of an answer; a block takes milliseconds
BLOCK_S = 4.0  # of audio in an answer
_MODULE = "data_prep.audio.av_process"
# Signals that end a process and say nothing about the file that it was reading.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
_PIPE_BYTES = 1 << 20


@dataclass(frozen=True)
class AvSource:
    """The input of FFmpeg.

    Attributes:
        path: The file.
        demuxer: FFmpeg's name of its format.
        parts: First byte and end of each stream in it.
        options: FFmpeg's options for the format.
        name: The file's name in messages.
    """

    path: Path
    demuxer: str
    parts: Sequence[tuple[int, int]]
    options: tuple[tuple[str, str], ...] = ()
    name: str = ""


class AvStream:
    """One pass through a recording, from its beginning.

    Attributes:
        rate: Sampling rate in hertz.
        channels: Number of channels.
        codec: FFmpeg's name of the codec.
        seconds: The length that the container gives, in seconds, or `None`.
        tracks: Number of audio tracks; FFmpeg's choice among them is read.
        alone: Whether there is no other track, of pictures for instance.
        damage: Where decoding failed so far, in samples.
        stopped: Why decoding failed first, or nothing.
    """

    def __init__(self, source: AvSource) -> None:
        """Open a recording.

        Raises:
            UnreadableAudioError: FFmpeg cannot read it.
            OSError: The child process was killed from outside.
        """
        self._name = source.name or source.path.name
        self._child: _Child | None = _take_child()
        request = {
            "path": str(source.path.absolute()),
            "demuxer": source.demuxer,
            "parts": list(source.parts),
            "options": {"protocol_whitelist": "file", **dict(source.options)},
        }
        head, _ = self._ask({"open": request})
        self.rate, self.channels, self.codec = int(head["rate"]), int(head["channels"]), str(head["codec"])
        self.seconds: float | None = head["seconds"]
        self.tracks, self.alone = int(head["tracks"]), bool(head["alone"])
        self.damage: list[int] = []
        self.stopped = ""

    def read(self, frames: int) -> np.ndarray:
        """Read the next samples.

        Args:
            frames: How many of each channel, at most.

        Returns:
            (n, channels) float32; n is less than `frames` at the end only.
        """
        blocks, missing = [], frames
        while missing > 0:
            wanted = min(missing, max(1, round(BLOCK_S * self.rate)))
            answer, content = self._ask({"read": wanted})
            self.damage, self.stopped = answer["damage"], answer["stopped"]
            samples = np.frombuffer(content, "float32").reshape(self.channels, -1).T
            blocks.append(samples)
            missing -= len(samples)
            if len(samples) < wanted:
                break
        return np.concatenate(blocks) if len(blocks) != 1 else np.ascontiguousarray(blocks[0])

    def close(self) -> None:
        """Give the child process back."""
        child, self._child = self._child, None
        if child is not None:
            _give_back(child)

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        assert self._child is not None
        try:
            answer, content = self._child.ask(request)
        except _ChildDiedError as error:
            self._child = None
            raise self._explain(error) from None
        if "error" in answer:
            self.close()
            raise UnreadableAudioError(f"FFmpeg: {answer['error']}")
        return answer, content

    def _explain(self, error: "_ChildDiedError") -> Exception:
        if error.status in _KILLED:
            return OSError(f"the decoder was killed while it read {self._name}; finished work is kept, run again")
        return UnreadableAudioError(f"FFmpeg: {error}")


class _ChildDiedError(Exception):
    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class _Child:
    """A process that decodes."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        # In a new session, so that Ctrl-C is the parent's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stdin is not None
        self._answers, self._requests = self._process.stdout, self._process.stdin
        _widen(self._answers.fileno())
        self._held = bytearray()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            line = self._read_line()
            answer: dict[str, Any] = json.loads(line)
            if "frames" not in answer:
                self._channels = int(answer.get("channels", 0))
                return answer, b""
            return answer, self._read_exactly(4 * answer["frames"] * self._channels)
        except (BrokenPipeError, EOFError):
            status = self._process.wait()
            self.close()
            raise _ChildDiedError(f"the decoder crashed ({_name_status(status)})", status) from None
        except TimeoutError:
            self.close()
            raise _ChildDiedError(f"the decoder gave nothing for {ANSWER_S:g} s", None) from None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Close this process's ends of the pipes."""
        self._requests.close()
        self._answers.close()

    def _read_line(self) -> bytes:
        while (end := self._held.find(b"\n")) < 0:
            self._fill()
        line = bytes(self._held[: end + 1])
        del self._held[: end + 1]
        return line

    def _read_exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            self._fill()
        content = bytes(memoryview(self._held)[:count])
        del self._held[:count]
        return content

    def _fill(self) -> None:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        deadline = time.monotonic() + ANSWER_S
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        block = os.read(self._answers.fileno(), _PIPE_BYTES)
        if not block:
            raise EOFError
        self._held += block


def _widen(pipe: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # Linux: fewer changes between the two processes
    except (ImportError, AttributeError, OSError):
        pass


def _name_status(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


_idle: list[_Child] = []
_lock = threading.Lock()


def _take_child() -> _Child:
    with _lock:
        if _idle:
            return _idle.pop()
    return _Child()


def _give_back(child: _Child) -> None:
    with _lock:
        _idle.append(child)


def _forget_children() -> None:
    """In a forked process: the parent's children are not this one's to use."""
    global _lock
    _lock = threading.Lock()
    for child in _idle:
        child.forget()
    _idle.clear()


os.register_at_fork(after_in_child=_forget_children)

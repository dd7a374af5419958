"""The processes that decode uploads (see `decoding_worker`), with the interface of a local recording."""

import contextlib
import fcntl
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.arguments import require_number
from nemo_models.serving.decoding_worker import DECODER_LIMIT, END, HEAD
from nemo_models.transcription.audio_reader import AudioError

GIVEN_UP_S = 5.0  # until a worker whose request was given up has to be ready again
WAIT_FACTOR = 3.0  # a worker that gives nothing for so much more than its processor time hangs
LEAST_WAIT_S = 60.0
PIPE_BYTES = 1 << 20  # Linux' most for its users: a block of samples passes at once, not in pieces of 64 KiB
_MODULE = "nemo_models.serving.decoding_worker"


@dataclass(frozen=True)
class DecodingLimits:
    """What a worker may take.

    Attributes:
        memory_mb: Most memory (address space), MB, from 256.
        cpu_s: Most seconds of processor time for a recording.
        max_audio_s: Longest recording, seconds.

    Raises:
        ValueError: A limit is out of range.
    """

    memory_mb: int = 1024
    cpu_s: float = 120.0
    max_audio_s: float = 7200.0

    def __post_init__(self) -> None:
        require_number("decoder_memory_mb", self.memory_mb, 256)
        require_number("decoder_cpu_s", self.cpu_s, above=0)
        require_number("max_audio_s", self.max_audio_s, above=0)


class DecodingPool:
    """A few workers, started when they are first needed; a killed one is replaced."""

    def __init__(self, size: int, limits: DecodingLimits | None = None, folder: Path | None = None) -> None:
        """Set up.

        Args:
            size: Most workers; a stream that finds all of them at work waits.
            limits: `None`: the defaults.
            folder: Existing folder for what decoders write; `None`: the system's temporary one.
        """
        self.limits, self._folder = limits or DecodingLimits(), folder
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._started: set[_Worker] = set()
        self._lock, self._is_closed = threading.Lock(), False
        for _ in range(size):
            self._idle.put(None)

    def open(
        self,
        path: Path,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        channel: int | str | None = "auto",
        sample_rate_hz: int = 16_000,
        recordings: object = None,
    ) -> "DecodedStream":
        """Read a recording, with the arguments and the result of `audio_reader.stream_waveform`.

        An upload is read once, so `recordings` has no part in it.
        """
        request = {"path": str(path), "offset_s": offset_s, "duration_s": duration_s, "channel": channel}
        return DecodedStream(self, {**request, "rate": sample_rate_hz, "most_s": self.limits.max_audio_s})

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._is_closed = True
            started = list(self._started)
        for worker in started:
            worker.kill()

    def take(self) -> "_Worker":
        """Return a worker that nobody else uses, started if necessary."""
        worker = self._idle.get()
        if worker is not None:
            return worker
        with self._lock:
            if self._is_closed:
                self._idle.put(None)
                raise AudioError("stopped: the server was stopped before this recording was done")
            worker = _Worker(self.limits, self._folder)
            self._started.add(worker)
        return worker

    def give_back(self, worker: "_Worker", is_ready: bool) -> None:
        """Take a worker back; one that is not ready for a request is ended."""
        if not is_ready:
            worker.kill()
            with self._lock:
                self._started.discard(worker)
        self._idle.put(worker if is_ready else None)


class DecodedStream:
    """The blocks of one recording.

    Attributes:
        warning: See `WaveformStream`.
    """

    def __init__(self, pool: DecodingPool, request: dict[str, Any]) -> None:
        """Set up; the worker is taken when the first block is asked for.

        Args:
            pool: The workers.
            request: What one of them is asked.
        """
        self._pool, self._request = pool, request
        self.warning: str | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield blocks of (n,) float32 samples.

        Raises:
            AudioError: As in `stream_waveform`; or `decoder_limit`, where decoding takes too much memory or time.
        """
        worker, is_ready = self._pool.take(), False
        try:
            worker.ask(self._request)
            while (block := worker.read()) is not None:
                yield block
            is_ready, self.warning = True, worker.end.get("warning")
            if worker.end.get("error"):
                raise AudioError(worker.end["error"])
        except _WorkerLost as lost:
            raise AudioError(f"{DECODER_LIMIT}: {self._request['path']}: {lost}; convert it to 16 kHz WAV") from None
        except GeneratorExit:
            is_ready = worker.give_up()
            raise
        finally:
            self._pool.give_back(worker, is_ready)


class _WorkerLost(Exception):
    """A worker that ended, or gives nothing any more."""


class _Worker:
    """A process that decodes."""

    def __init__(self, limits: DecodingLimits, folder: Path | None) -> None:
        self._limits = limits
        self._scratch = Path(tempfile.mkdtemp(prefix="decode_", dir=folder))
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(limits.memory_mb << 20), str(limits.cpu_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, **single, "PYTHONPATH": path, "TMPDIR": str(self._scratch)},
            start_new_session=True,  # Ctrl-C is the server's to handle
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        with contextlib.suppress(OSError, AttributeError):  # the system grants less, or is not Linux
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.end: dict[str, Any] = {}

    def ask(self, request: dict[str, Any]) -> None:
        """Begin a recording."""
        self.end = {}
        self._send(json.dumps(request).encode() + b"\n")

    def read(self) -> np.ndarray | None:
        """Return the next block; `None` at the end, which is in `end` then."""
        wait_s = max(LEAST_WAIT_S, WAIT_FACTOR * self._limits.cpu_s)
        kind, size = HEAD.unpack(self._receive(HEAD.size, wait_s))
        content = self._receive(size, wait_s)
        if kind == END:
            self.end = json.loads(bytes(content))
            return None
        return np.frombuffer(content, "<f4").astype(np.float32, copy=False)

    def give_up(self) -> bool:
        """Let the rest of a recording be; return whether the worker is ready for another one."""
        end = time.monotonic() + GIVEN_UP_S
        try:
            self._send(b"\n")
            while time.monotonic() < end:
                kind, size = HEAD.unpack(self._receive(HEAD.size, GIVEN_UP_S))
                self._receive(size, GIVEN_UP_S)
                if kind == END:
                    return True
        except _WorkerLost:
            pass
        return False

    def kill(self) -> None:
        """End the process and the programs that it started, and remove what they wrote."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._requests.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _send(self, content: bytes) -> None:
        try:
            self._requests.write(content)
        except (OSError, ValueError):  # it has ended, or was killed here
            raise _WorkerLost(self._explain()) from None

    def _receive(self, size: int, wait_s: float) -> bytearray:
        content = bytearray()
        while len(content) < size:
            if not select.select([self._answers], [], [], wait_s)[0]:
                raise _WorkerLost(f"the decoder gave nothing for {wait_s:g} s")
            piece = os.read(self._answers.fileno(), size - len(content))
            if not piece:
                raise _WorkerLost(self._explain())
            content += piece
        return content

    def _explain(self) -> str:
        try:
            status = self._process.wait(GIVEN_UP_S)
        except subprocess.TimeoutExpired:
            status = None
        if status in (-signal.SIGPROF, -signal.SIGXCPU):
            return f"decoding takes more than {self._limits.cpu_s:g} s of processor time"
        return "the decoder ended before the recording did"

"""Decodes uploads in a separate process, with limits, so that a hostile or broken file harms only its own request.

`decoding_pool` starts it. It answers one request after another: a line of JSON comes in, blocks of float32 samples go
out, then a JSON object with `error` and `warning`. An empty line while it answers means that nobody wants the rest. It
ends with its standard input, so a server that is killed leaves no process behind.
"""

import json
import os
import resource
import select
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nemo_models.transcription.audio_reader import AudioError, probe_duration, stream_waveform

HEAD = struct.Struct("<cI")  # kind of what follows, and its bytes
BLOCK, END = b"B", b"E"
SCRATCH_BYTES = 2 << 30  # of one temporary file
DECODER_LIMIT = "decoder_limit"


def run(memory_bytes: int, cpu_s: float, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more.

    Args:
        memory_bytes: Address space that this process may have.
        cpu_s: Seconds of processor time for a request; a process that takes more is killed by the system.
        requests: Where requests come from, unbuffered.
        answers: Where answers go.
    """
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_FSIZE, SCRATCH_BYTES)
    while line := requests.readline():
        if not line.strip():
            continue  # the last request was done before it was given up
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime + cpu_s) + 1)  # for the programs it starts
        signal.setitimer(signal.ITIMER_PROF, cpu_s)  # for this process: its end is a signal that nobody catches
        _answer(json.loads(line), requests, answers, memory_bytes)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit(kind: int, value: int) -> None:
    """Set the soft limit; the hard one stays, because the decoders that this process starts set other limits."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _answer(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO, memory_bytes: int) -> None:
    path, rate, most_s = Path(request["path"]), request["rate"], request["most_s"]
    error = warning = None
    try:
        if (probe_duration(path) or 0.0) > most_s and _count(request) > most_s * rate:
            error = f"too_long: {path}: expected {most_s:g} s of audio or less; cut the recording"
        else:
            stream = _open(request)
            for block in stream:
                if select.select([requests], [], [], 0)[0]:
                    break
                content = np.ascontiguousarray(block, "<f4").tobytes()
                answers.write(HEAD.pack(BLOCK, len(content)) + content)
                answers.flush()
            warning = stream.warning
    except AudioError as found:
        error = str(found)
        causes = (found.__cause__, found.__cause__ and found.__cause__.__cause__)
        if any(isinstance(cause, MemoryError) for cause in causes):
            limit = f"decoding takes more than {memory_bytes >> 20} MB of memory; convert it to 16 kHz WAV"
            error = f"{DECODER_LIMIT}: {path}: {limit}"
    end = json.dumps({"error": error, "warning": warning}).encode()
    answers.write(HEAD.pack(END, len(end)) + end)
    answers.flush()


def _open(request: dict[str, Any]) -> Any:
    place = request["offset_s"], request["duration_s"]
    return stream_waveform(Path(request["path"]), *place, request["channel"], request["rate"])


def _count(request: dict[str, Any]) -> int:
    """Count the samples, for headers are wrong; no further than to the limit."""
    count = 0
    for block in _open(request):
        count += len(block)
        if count > request["most_s"] * request["rate"]:
            break
    return count


def main() -> None:
    """Run as `python -m nemo_models.serving.decoding_worker MEMORY_BYTES CPU_S`."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that text that a library prints is not taken for an answer
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    try:
        run(int(sys.argv[1]), float(sys.argv[2]), requests, answers)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody is there any more


if __name__ == "__main__":
    main()

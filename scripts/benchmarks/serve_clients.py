"""Clients of a server under test, in a process beside it: live streams that keep a clock, or uploads.

    python scripts/benchmarks/serve_clients.py streams|uploads PLAN.json

The result is one line of JSON, for `serve.py`.
"""

import asyncio
import http.client
import json
import mimetypes
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from serve_figures import find_room
from websockets.asyncio.client import ClientConnection, connect

ONSET_DB = 30.0  # speech begins where it is at most so far below the loudest 20 ms
FRAME_S = 0.02
WARM_UP_ROUNDS = 2  # uploads of each client before those that count
PAUSE_S = (0.8, 2.0)  # between utterances of a long stream


@dataclass
class SpokenUtterance:
    """A recording within a stream, and what the server said about it.

    Attributes:
        path: The recording.
        first: Its first sample in the stream.
        length: Number of its samples.
        onset: Samples before its speech begins.
        shown: Texts in order, one list for each utterance that the server made of it; the last one is the final.
        stable: The stable parts of the texts of partial results, as `shown`.
        first_partial_s: Seconds from the begin of its speech to the first text that covers some of that.
        final_s: Seconds from its end to its final; `None` if the server ended it before.
        parts: Number of finals.
    """

    path: str
    first: int
    length: int
    onset: int
    shown: list[list[str]] = field(default_factory=lambda: [[]])
    stable: list[list[str]] = field(default_factory=lambda: [[]])
    first_partial_s: float | None = None
    final_s: float | None = None
    parts: int = 0


class StreamClient:
    """One stream that is spoken by a clock, which does not wait for the server."""

    def __init__(self, plan: Mapping[str, Any], number: int) -> None:
        """Draw the recordings of a stream.

        Args:
            plan: See `main`.
            number: Number of the stream.
        """
        self.plan, self.number = plan, number
        self.random = random.Random(f"{plan['seed']} {number}")
        self.rate: int = soundfile.info(plan["paths"][0]).samplerate
        self.utterances: list[SpokenUtterance] = []
        self.lags: list[tuple[float, float]] = []
        self.delays: list[tuple[float, float]] = []
        self.sent = self.covered = 0
        self.received: int | None = None
        self.begun = 0.0
        self.errors: list[str] = []

    def clock(self, sample: int) -> float:
        """Return when a sample is spoken."""
        return self.begun + sample / self.rate / self.plan["speed"]

    async def run(self, start: asyncio.Event, ready: list[int]) -> None:
        """Connect, wait for the others, speak and listen."""
        async with connect(f"ws://{self.plan['host']}/v1/stream", max_size=None, compression=None) as socket:
            control = {"type": "start", "sample_rate": self.rate, "encoding": "pcm16"}
            await socket.send(json.dumps(control))
            first = json.loads(await socket.recv())
            if first["type"] != "ready":
                raise RuntimeError(f"stream {self.number}: found {first}, expected ready")
            ready.append(self.number)
            if len(ready) == self.plan["streams"]:
                start.set()
            await start.wait()
            self.begun = time.monotonic() + self.number / self.plan["streams"]  # not all at the same moment
            await asyncio.gather(self.speak(socket), self.listen(socket))

    async def speak(self, socket: ClientConnection) -> None:
        """Send the samples when their time has come."""
        for samples, ends in self.recordings():
            size = round(self.plan["chunk_s"] * self.rate)
            for first in range(0, len(samples), size):
                part = samples[first : first + size]
                self.sent += len(part)
                await asyncio.sleep(max(0.0, self.clock(self.sent) - time.monotonic()))
                await socket.send(part.tobytes())
            if ends:
                await socket.send('{"type": "finalize"}')
        await socket.send('{"type": "end"}')

    def recordings(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield samples, and whether an utterance is ended behind them by hand."""
        while True:
            for path in self.random.sample(self.plan["paths"], len(self.plan["paths"])):
                if self.sent >= self.plan["seconds"] * self.rate:
                    return
                samples, _ = soundfile.read(path, dtype="int16")
                self.utterances.append(SpokenUtterance(path, self.sent, len(samples), find_onset(samples, self.rate)))
                yield samples, not self.plan["pauses"]
                if self.plan["pauses"]:
                    pause = round(self.random.uniform(*PAUSE_S) * self.rate)
                    yield np.resize(find_room(samples, self.rate), pause), False

    async def listen(self, socket: ClientConnection) -> None:
        """Note what the server says, and when."""
        async for message in socket:
            row, now = json.loads(message), time.monotonic()
            if row["type"] == "closed":
                self.received = row["received_samples"]
                return
            if row["type"] == "error" and "start_sample" not in row:
                self.errors.append(row["error"]["message"])
                continue
            self.hear(row, now)

    def hear(self, row: Mapping[str, Any], now: float) -> None:
        """Take one result."""
        end = row["end_sample"]
        late_s = now - self.clock(end)
        spoken = next(one for one in reversed(self.utterances) if one.first <= row["start_sample"])
        if row["type"] == "partial":
            self.lags.append((end / self.rate, late_s))
            spoken.shown[-1].append(row["text"])
            spoken.stable[-1].append(row["stable_text"])
            onset = spoken.first + spoken.onset
            if row["text"] and end > onset and spoken.first_partial_s is None:
                spoken.first_partial_s = now - self.clock(onset)
            return
        self.covered += end - row["start_sample"] if row["start_sample"] == self.covered else 0
        if row["type"] == "error":
            self.errors.append(row["error"]["message"])
        if row["type"] == "final":
            self.delays.append((end / self.rate, late_s))
            spoken.parts += 1
            spoken.shown[-1].append(row["text"])
            if end == spoken.first + spoken.length:
                spoken.final_s = late_s
        spoken.shown.append([])
        spoken.stable.append([])

    def report(self) -> dict[str, Any]:
        """Return everything for the figures."""
        keys = ("lags", "delays", "sent", "covered", "received", "errors")
        return {"utterances": [asdict(one) for one in self.utterances], **{key: getattr(self, key) for key in keys}}


def find_onset(samples: np.ndarray, rate: int) -> int:
    """Return the number of samples before speech begins, by loudness."""
    size = round(FRAME_S * rate)
    frames = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    if not len(frames):
        return 0
    power = np.square(frames).mean(axis=1)
    return int(np.argmax(power >= power.max() * 10 ** (-ONSET_DB / 10))) * size


async def stream(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run the streams of a plan."""
    start, ready = asyncio.Event(), []
    streams = [StreamClient(plan, number) for number in range(plan["streams"])]
    await asyncio.gather(*(one.run(start, ready) for one in streams))
    return [one.report() for one in streams]


def upload(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Send every file once, by several clients that each wait for an answer before the next file."""
    bodies = {path: make_body(Path(path), plan["model"]) for path in set(plan["paths"])}
    upload_once(plan, bodies, plan["paths"][: WARM_UP_ROUNDS * plan["clients"]])  # all processes of a server have begun
    return upload_once(plan, bodies, plan["paths"])


def upload_once(
    plan: Mapping[str, Any], bodies: Mapping[str, tuple[bytes, str]], paths: Sequence[str]
) -> dict[str, Any]:
    """Send files; return the seconds, those of this process' processor time, and status, text and seconds of each."""
    waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for item in enumerate(paths):
        waiting.put(item)
    answers: dict[int, tuple[int, str, float]] = {}
    began, cpu_began_s = time.perf_counter(), time.process_time()
    threads = [threading.Thread(target=work, args=(plan, bodies, waiting, answers)) for _ in range(plan["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    cpu_s = time.process_time() - cpu_began_s
    return {"seconds": seconds, "client_cpu_s": cpu_s, "answers": [answers.get(number) for number in range(len(paths))]}


def work(
    plan: Mapping[str, Any],
    bodies: Mapping[str, tuple[bytes, str]],
    waiting: "queue.SimpleQueue[tuple[int, str]]",
    answers: dict[int, tuple[int, str, float]],
) -> None:
    """Be one client."""
    connection = http.client.HTTPConnection(plan["host"], timeout=600)
    while True:
        try:
            number, path = waiting.get_nowait()
        except queue.Empty:
            return connection.close()
        began = time.perf_counter()
        status, text = ask(connection, plan["url"], *bodies[path])
        answers[number] = status, text, time.perf_counter() - began


def ask(connection: http.client.HTTPConnection, url: str, body: bytes, kind: str) -> tuple[int, str]:
    """Send one file; return the status and the text, or the error."""
    connection.request("POST", url, body, {"Content-Type": kind})
    answer = connection.getresponse()
    content = answer.read()
    text = content.decode(errors="replace") if answer.status != 200 else json.loads(content)["text"]
    return answer.status, text


def make_body(path: Path, model: str) -> tuple[bytes, str]:
    """Return the body of a request, `multipart/form-data`, and its content type."""
    boundary, name = uuid.uuid4().hex, f"recording{path.suffix}"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += f"Content-Type: {mimetypes.guess_type(name)[0] or 'application/octet-stream'}\r\n\r\n"
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def main(arguments: Sequence[str]) -> None:
    """Run a plan: JSON with the host, the paths of recordings, and how they are sent."""
    kind, path = arguments
    plan = json.loads(Path(path).read_text(encoding="utf-8"))
    print(json.dumps(asyncio.run(stream(plan)) if kind == "streams" else upload(plan)))


if __name__ == "__main__":
    main(sys.argv[1:])

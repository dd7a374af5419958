"""Clients of a server that do what they should not: wrong messages, broken uploads, connections that are left.

Each draws what it sends from a seed. `serve_soak.py` and a test use them.
"""

import asyncio
import base64
import http.client
import json
import queue
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

UPLOADS, SIMPLE, REALTIME = "/v1/audio/transcriptions", "/v1/stream", "/v1/realtime?intent=transcription"
ANSWERS = (200, 400, 413)  # to a broken file
WAIT_S = 120.0
MESSAGES = {SIMPLE: 6, REALTIME: 30}  # most of one websocket; the simple dialect ends it with the first wrong one
LEAVING = 0.2  # share of clients that go away without a goodbye
_APPEND = "input_audio_buffer.append"
_TURNS = {"type": "server_vad", "silence_duration_ms": 500, "threshold": 0.5, "prefix_padding_ms": 300}
_INPUT = {
    "format": {"type": "audio/pcm", "rate": 24_000},
    "transcription": {"model": "whisper-1", "language": "hi", "prompt": "नमस्ते"},
    "turn_detection": _TURNS,
    "noise_reduction": None,
}
_SETTINGS = {"type": "transcription", "audio": {"input": _INPUT}, "include": []}
_CONTROLS: dict[str, list[dict[str, Any]]] = {
    SIMPLE: [
        {"type": "start", "sample_rate": 16_000, "encoding": "pcm16"},
        {"type": "finalize"},
        {"type": "keepalive"},
        {"type": "end"},
    ],
    REALTIME: [
        {"type": "session.update", "event_id": "one", "session": _SETTINGS},
        {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16", "turn_detection": _TURNS}},
        {"type": _APPEND, "audio": "AAAA" * 400},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
    ],
}
_LAST_ID = "the-last-one"
_LAST = {SIMPLE: '{"type": "end"}', REALTIME: json.dumps({"type": "none", "event_id": _LAST_ID})}
_ODD = [None, True, -1, 0, 1e308, float("nan"), 10**30, "", "é" * 500, "\ud800", "\0", [], {}, [{}], {"type": []}]
_LEFT = (
    "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_HALF_BODY = (
    f"POST {UPLOADS} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nContent-Type: multipart/form-data; boundary=b"
    '\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
)


def draw_message(path: str, generator: random.Random) -> str | bytes:
    """Draw a message of a dialect, by its path: right, nearly right or wrong."""
    kind = generator.random()
    if kind < 0.3:
        return _draw_samples(path, generator)
    control = json.loads(json.dumps(generator.choice(_CONTROLS[path])))
    if kind < 0.45:
        return json.dumps(control)
    if kind < 0.8:
        spoil(control, generator)
        return json.dumps(control)
    text = json.dumps(control)
    if kind < 0.9:
        return text[: generator.randrange(len(text))]
    depth = generator.choice([10, 900, 980, 1000, 100_000])
    odd = ["", "null", "[" * depth, '{"type":' * depth, f'{{"type": {"[" * depth}{"]" * depth}}}', "1" * 5000]
    return generator.choice([*odd, generator.randbytes(300).decode("utf-16-le", "ignore"), generator.randbytes(300)])


def _draw_samples(path: str, generator: random.Random) -> str | bytes:
    content = generator.randbytes(generator.choice([0, 1, 320, 3200, 9999, 100_000]))
    return content if path == SIMPLE else json.dumps({"type": _APPEND, "audio": base64.b64encode(content).decode()})


def spoil(control: dict[str, Any], generator: random.Random) -> None:
    """Change one value of a control message, leave one out, or add one."""
    place = control
    while (inner := [value for value in place.values() if isinstance(value, dict)]) and generator.random() < 0.8:
        place = generator.choice(inner)
    key = generator.choice(list(place) or ["type"])
    if generator.random() < 0.2:
        place.pop(key, None)
    elif generator.random() < 0.2:
        place[generator.choice(["x", "\ud800", "é" * 100])] = 1
    else:
        place[key] = generator.choice(_ODD)


async def fuzz(host: str, path: str, count: int, seed: str, clients: int = 8) -> Counter[str]:
    """Send wrong messages over websockets; a new one begins where the server ends one.

    Args:
        host: Host and port.
        path: `SIMPLE` or `REALTIME`.
        count: Number of messages.
        seed: What to draw from.
        clients: Websockets at a time.

    Returns:
        How many websockets ended how: with the server's code, `left` by the client, or `silent`, where the server did
        not answer the last message.
    """
    ends: Counter[str] = Counter()
    sent = 0

    async def work(number: int) -> None:
        nonlocal sent
        generator = random.Random(f"{seed} {path} {number}")
        while sent < count:
            async with connect(f"ws://{host}{path}", max_size=None, compression=None, open_timeout=WAIT_S) as one:
                reader = asyncio.create_task(_read_to_end(one))
                with suppress(WebSocketException):
                    if path == SIMPLE and generator.random() < 0.9:
                        await one.send('{"type": "start"}')
                    for _ in range(generator.randint(1, MESSAGES[path])):
                        await one.send(draw_message(path, generator))
                        sent += 1
                    if generator.random() < LEAVING:
                        one.transport.abort()  # without a goodbye
                        ends["left"] += 1
                        continue
                    await one.send(_LAST[path])
                is_silent = not (await asyncio.wait([reader], timeout=WAIT_S))[0]
                ends["silent" if is_silent else str(one.close_code or "answered")] += 1
                reader.cancel()

    await asyncio.gather(*(work(number) for number in range(clients)))
    return ends


async def _read_to_end(socket: ClientConnection) -> None:
    """Read until the server ends the websocket, or answers the last message of a dialect that goes on."""
    with suppress(WebSocketException):
        async for message in socket:
            if _LAST_ID in message:
                return


def make_form(name: str, content: bytes, **fields: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an upload."""
    rows = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = "".join([*rows, head]).encode() + content + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def upload(host: str, name: str, content: bytes, **fields: str) -> tuple[int, str]:
    """Upload a file; return the status and the answer's body. Status 0: no answer, the body says why."""
    connection = http.client.HTTPConnection(host, timeout=10 * WAIT_S)
    try:
        connection.request("POST", UPLOADS, *make_form(name, content, **{"model": "whisper-1", **fields}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


@dataclass
class UploadCounts:
    """What became of broken files.

    Attributes:
        statuses: Number of answers by status.
        wrong: Names of the files whose status is none of `ANSWERS`, and the answers.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


def upload_broken(
    host: str, files: Iterator[tuple[str, bytes]], clients: int = 4, keep: Path | None = None
) -> UploadCounts:
    """Upload broken files, some at a time; those with a wrong answer are written to `keep`."""
    waiting: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
    for item in [*files, *[None] * clients]:
        waiting.put(item)
    found = UploadCounts()

    def work() -> None:
        while (item := waiting.get()) is not None:
            status, text = upload(host, *item)
            found.statuses[status] += 1
            if status not in ANSWERS:
                found.wrong[item[0]] = text[:200]
                if keep:
                    (keep / item[0]).write_bytes(item[1])

    run_together([work] * clients)
    return found


def run_together(works: Sequence[Callable[[], object]]) -> None:
    """Run functions in threads until all have ended."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def leave_connections(host: str, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that ask for nothing, or for half of something, and leave them until the block ends."""
    beginnings = [
        b"",
        b"GET /health/live HTTP/1.1\r\nHost:",
        _HALF_BODY.encode(),
        _LEFT.format(path=SIMPLE).encode(),
        _LEFT.format(path=REALTIME).encode() + b"\x81\xfe\xff\xff\0\0",  # half a frame
    ]
    name, _, port = host.rpartition(":")
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            opened.append(socket.create_connection((name, int(port)), WAIT_S))
            opened[-1].sendall(beginnings[number % len(beginnings)])
        yield opened
    finally:
        for one in opened:
            one.close()


def count_ended(connections: Sequence[socket.socket], timeout_s: float) -> int:
    """Return how many connections the server has ended, or ends within the time."""
    ended = 0
    for one in connections:
        one.settimeout(timeout_s)
        with suppress(TimeoutError):
            try:
                while one.recv(65_536):
                    pass
            except ConnectionError:
                pass
            ended += 1
    return ended


def go_away(host: str, name: str, content: bytes, count: int, seed: str) -> None:
    """Upload parts of a file, or all of it, and close without waiting for the answer."""
    generator, (address, _, port) = random.Random(seed), host.rpartition(":")
    for _ in range(count):
        body, headers = make_form(name, content, model="whisper-1", stream=generator.choice(["true", "false"]))
        head = f"POST {UPLOADS} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {headers['Content-Type']}\r\n\r\n"
        with suppress(ConnectionError), socket.create_connection((address, int(port)), WAIT_S) as one:
            one.sendall(head.encode() + body[: generator.choice([len(body), generator.randrange(len(body))])])

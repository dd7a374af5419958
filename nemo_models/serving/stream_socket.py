"""The simple websocket dialect at `/v1/stream`: JSON for control, binary messages for audio."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nemo_models.serving.api_errors import ApiError, unavailable
from nemo_models.serving.request_guard import STREAM_PROTOCOL
from nemo_models.serving.rest_api import ServedModel
from nemo_models.serving.stream_audio import ENCODINGS, LEAST_RATE_HZ, MOST_RATE_HZ, Encoding
from nemo_models.serving.stream_session import StreamSession

PATH = "/v1/stream"
MESSAGE_BYTES = 1 << 20  # the largest message
WAITING_MESSAGES = 16  # that were received and not looked at; then the client waits
NORMAL, WRONG, TRY_AGAIN = 1000, 1008, 1013  # codes of closing
TYPES = ("finalize", "keepalive", "end")


def make_stream_router(served: ServedModel) -> APIRouter:
    """Return the route of live streams."""
    router = APIRouter()
    router.add_api_websocket_route(PATH, partial(_serve, served))
    return router


async def _serve(served: ServedModel, websocket: WebSocket) -> None:
    offered = websocket.scope.get("subprotocols", ())
    await websocket.accept(STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None)
    stream = _Stream(served, websocket)
    served.open_streams += 1
    served.metrics.streams.set(served.open_streams)
    try:
        await stream.run()
    except (WebSocketDisconnect, asyncio.TimeoutError, RuntimeError):  # the client has gone, or does not read
        if websocket.application_state != WebSocketState.DISCONNECTED:
            with suppress(RuntimeError):
                await websocket.close(WRONG)
    finally:
        served.open_streams -= 1
        served.metrics.streams.set(served.open_streams)


class _Stream:
    """One connection."""

    def __init__(self, served: ServedModel, websocket: WebSocket) -> None:
        self._served, self._websocket = served, websocket
        self._session: StreamSession | None = None
        self._encoding, self._rate = Encoding(1, np.frombuffer), 1
        self._rest = b""  # of a sample that is not complete

    async def run(self) -> None:
        """Take messages until the end, a fault, or a long silence."""
        code, reason = NORMAL, "end"
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING_MESSAGES)
        reader = asyncio.create_task(self._read(inbox))
        try:
            if self._served.open_streams > self._served.max_streams or not self._served.engine.ready:
                code = TRY_AGAIN
                raise unavailable("server: found too many streams or no warm model; try again later", "busy")
            async for message in self._messages(inbox):
                if not await self._handle(message):
                    break
        except ApiError as error:
            code, reason = (code if code != NORMAL else WRONG), error.code
            self._served.metrics.count_refusal(error.code)
            await self._send({"type": "error", **error.body()})
        finally:
            reader.cancel()
        if self._session:
            await self._session.finish_utterance()
        received = self._session.received if self._session else 0
        await self._send({"type": "closed", "reason": reason, "received_samples": received})
        await self._websocket.close(code)

    async def _read(self, inbox: "asyncio.Queue[dict[str, Any]]") -> None:
        while True:
            message = await self._websocket.receive()
            await inbox.put(dict(message))
            if message["type"] == "websocket.disconnect":
                return

    async def _messages(self, inbox: "asyncio.Queue[dict[str, Any]]") -> AsyncIterator[dict[str, Any]]:
        """Yield messages; binary ones that wait already are joined, so that a late stream catches up."""
        held: dict[str, Any] | None = None
        while True:
            message = held if held is not None else await self._take(inbox)
            held, parts = None, [message["bytes"]] if message.get("bytes") is not None else []
            while parts and held is None and not inbox.empty():
                following = inbox.get_nowait()
                if following.get("bytes") is None:
                    held = following
                else:
                    parts.append(following["bytes"])
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            yield {**message, "bytes": b"".join(parts)} if parts else message

    async def _take(self, inbox: "asyncio.Queue[dict[str, Any]]") -> dict[str, Any]:
        idle_s = self._served.upload_limits.idle_s
        try:
            return await asyncio.wait_for(inbox.get(), idle_s)
        except asyncio.TimeoutError:
            text = f"stream: found no message for {idle_s:g} s, expected audio or keepalive; connect again"
            raise ApiError(408, text, "idle") from None

    async def _handle(self, message: dict[str, Any]) -> bool:
        """Do what a message says; return whether more may follow."""
        if message.get("bytes") is not None:
            await self._hear(message["bytes"])
            return True
        control = read_control(message.get("text") or "")
        if control["type"] == "start":
            await self._start(control)
        elif self._session is None:
            raise ApiError(400, f"type={control['type']}: expected start first; send it", "not_started")
        elif control["type"] == "finalize":
            await self._session.finish_utterance()
        return control["type"] != "end"

    async def _start(self, control: dict[str, Any]) -> None:
        if self._session is not None:
            raise ApiError(400, "type=start: expected one in a stream; open another connection", "started_already")
        rate, name = control.get("sample_rate", 16_000), control.get("encoding", "pcm16")
        if isinstance(rate, bool) or not isinstance(rate, int) or not LEAST_RATE_HZ <= rate <= MOST_RATE_HZ:
            message = f"sample_rate={rate!r:.40}: expected a whole number from {LEAST_RATE_HZ} to {MOST_RATE_HZ}"
            raise ApiError(400, message, "invalid_value", "sample_rate")
        if not isinstance(name, str) or name not in ENCODINGS:
            message = f"encoding={name!r:.40}: expected one of {', '.join(ENCODINGS)}"
            raise ApiError(400, message, "invalid_value", "encoding")
        served = self._served
        self._encoding, self._rate = ENCODINGS[name], rate
        self._session = StreamSession(served.engine, rate, self._send, served.stream_options, served.write_numbers)
        await self._send({"type": "ready", "sample_rate": rate, "encoding": name, "model": served.names[0]})

    async def _hear(self, content: bytes) -> None:
        if self._session is None:
            raise ApiError(400, "audio: found it before start, expected start first; send it", "not_started")
        content = self._rest + content
        whole = len(content) // self._encoding.width * self._encoding.width
        self._rest = content[whole:]
        samples = self._encoding.decode(content[:whole])
        if not np.isfinite(samples).all():
            raise ApiError(400, "audio: found samples that are NaN or infinite, expected numbers", "not_finite_audio")
        limit_s = self._served.engine.limits.max_audio_s
        room = int(limit_s * self._rate) - self._session.received
        await self._session.add(samples[:room])
        if len(samples) > room:
            message = f"stream: expected {limit_s:g} s of audio or less; connect again"
            raise ApiError(413, message, "too_long")

    async def _send(self, row: dict[str, Any]) -> None:
        text = json.dumps(row, ensure_ascii=False)
        await asyncio.wait_for(self._websocket.send_text(text), self._served.upload_limits.idle_s)


def read_control(text: str) -> dict[str, Any]:
    """Read a control message.

    Raises:
        ApiError: It is not an object with a known `type`.
    """
    try:
        control = json.loads(text)
    except (ValueError, RecursionError):
        control = None
    kind = control.get("type") if isinstance(control, dict) else None
    if kind != "start" and kind not in TYPES:
        expected = f"an object with a type of start, {', '.join(TYPES)}"
        raise ApiError(400, f"message={text[:40]!r}: expected {expected}", "invalid_message")
    return control

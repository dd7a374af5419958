"""The websocket of a live stream, for both protocols: messages in order, limits, and one session of audio."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nemo_models.serving.api_errors import ApiError, unavailable
from nemo_models.serving.json_text import encode_json
from nemo_models.serving.request_guard import ID_HEADER, STREAM_PROTOCOL
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.stream_audio import ENCODINGS, Encoding, StreamOptions
from nemo_models.serving.stream_session import Send, StreamSession
from nemo_models.serving.tasks import NO_REPLICA

WAITING_MESSAGES = 16  # that were received and not looked at; then the client waits
WAITING_BYTES = 4 << 20  # of them
NORMAL, WRONG, RESTART, TRY_AGAIN = 1000, 1008, 1012, 1013  # codes of closing
_log = logging.getLogger("nemo_models.serving.requests")


@dataclass
class ClientMessage:
    """What a client sent.

    Attributes:
        audio: Bytes of samples, or `None`.
        control: A control message, or `None`.
        error: What is wrong with the message, or `None`.
    """

    audio: bytes | None = None
    control: dict[str, Any] | None = None
    error: ApiError | None = None


class StreamConnection:
    """One connection; a dialect overrides `parse` and `talk`.

    Attributes:
        served: What is served.
        session: The session, once it has begun.
        has_begun: Whether the stream counts among the `max_streams`; a connection that says nothing does not.
        opened: When it was accepted, `time.monotonic()`.
    """

    def __init__(self, served: ServedModel, websocket: WebSocket) -> None:
        """Set up for a websocket that was not accepted yet.

        Args:
            served: What is served.
            websocket: The websocket.
        """
        self.served, self.websocket = served, websocket
        self.session: StreamSession | None = None
        self.encoding: Encoding = ENCODINGS["pcm16"]
        self.rate = 16_000
        self._rest = b""  # of a sample that is not complete
        self._inbox: asyncio.Queue[ClientMessage | None] = asyncio.Queue()
        self._room = asyncio.Condition()
        self._waiting_bytes = 0
        self.has_begun, self.opened = False, time.monotonic()
        self._ends: ApiError | None = None
        self._ended_at: float | None = None

    def parse(self, message: dict[str, Any]) -> ClientMessage:
        """Read what the client sent, `text` or `bytes`; a mistake is in the result's `error`."""
        raise NotImplementedError

    async def talk(self) -> int:
        """Answer messages until the end; return the code of closing."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the stream, for the server stops: `messages` raises an `ApiError` with the code `stopped`."""
        self._end(unavailable("server: it is stopping; connect again", "stopped"))

    def _end(self, error: ApiError) -> None:
        self._ends = self._ends or error
        self._inbox.put_nowait(ClientMessage(control={}))  # wakes who waits

    async def serve(self) -> None:
        """Accept the websocket and talk; log one line at the end."""
        websocket, begun, code = self.websocket, time.monotonic(), 1006
        offered, request_id = websocket.scope.get("subprotocols", ()), websocket.scope.get("request_id", "")
        headers = [(ID_HEADER.encode(), request_id.encode())] if request_id else []
        await websocket.accept(STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None, headers)
        self.opened = time.monotonic()
        self.served.streams.add(self)
        self.served.metrics.streams.set(len(self.served.streams))
        reader = asyncio.create_task(self._read())
        try:
            code = await self.talk()
            await websocket.close(code)
        except (WebSocketDisconnect, asyncio.TimeoutError, RuntimeError):  # the client has gone, or does not read
            if websocket.application_state != WebSocketState.DISCONNECTED:
                with suppress(RuntimeError, WebSocketDisconnect, asyncio.TimeoutError):
                    await asyncio.wait_for(websocket.close(WRONG), self.served.upload_limits.idle_s)
        finally:
            reader.cancel()
            self.served.streams.discard(self)
            self.served.metrics.streams.set(len(self.served.streams))
            received_s = self.session.received / self.rate if self.session else 0.0
            row = {"id": request_id, "method": "WEBSOCKET", "path": websocket.scope["path"], "status": code}
            seconds = {"seconds": round(time.monotonic() - begun, 4), "audio_s": round(received_s, 2)}
            _log.info(json.dumps({**row, **seconds}))

    def require_room(self) -> None:
        """Check that the server takes this connection; the oldest ones of too many that have not begun are ended.

        Raises:
            ApiError: It does not, for as many streams as may have begun.
        """
        served = self.served
        if sum(one.has_begun for one in served.streams) >= served.max_streams or not served.ready:
            raise unavailable("server: found too many streams or no warm model; try again later", "busy")
        silent = [one for one in served.streams if isinstance(one, StreamConnection) and one._is_silent]
        for one in sorted(silent, key=lambda one: one.opened)[: max(0, len(silent) - served.max_streams)]:
            one._end(unavailable("server: found too many connections that do not start; start at once", "busy"))

    def claim_room(self) -> None:
        """Count the stream as one that has begun.

        Raises:
            ApiError: There is no room for it any more.
        """
        if not self.has_begun:
            self.require_room()
            self.has_begun = True

    @property
    def _is_silent(self) -> bool:
        return not self.has_begun and self._ends is None

    async def messages(self) -> AsyncIterator[ClientMessage]:
        """Yield messages; audio that waits already is joined, so that a late stream catches up.

        Raises:
            ApiError: Nothing came for too long, or the server stops.
            WebSocketDisconnect: The client has gone.
        """
        held: ClientMessage | None = None
        while True:
            message = held or await self._take()
            held = None
            while message.audio is not None and held is None and not self._inbox.empty():
                try:
                    following = await self._take()
                except ApiError:
                    yield message
                    raise
                if following.audio is None:
                    held = following
                else:
                    message = ClientMessage(message.audio + following.audio)
            yield message

    def begin(
        self,
        encoding: str,
        rate: int,
        translate: Send,
        options: StreamOptions | None = None,
        phrases: Sequence[str] = (),
        threshold: float | None = None,
        language: str | None = None,
    ) -> StreamSession:
        """Return a new session for samples of this encoding and rate.

        Args:
            encoding: One of `ENCODINGS`.
            rate: Rate of the samples.
            translate: What sends a result of the session.
            options: `None`: the server's.
            phrases: Phrases to prefer in finals.
            threshold: Probability from which on sound is speech, for a voice-activity model; `None`: the usual one.
            language: Code of the language, for a model that has several.

        Raises:
            ApiError: There is no room for another stream.
        """
        self.claim_room()

        async def send_and_count(row: dict[str, Any]) -> None:
            if row["type"] == "utterance_end":
                self._ended_at = time.monotonic()
            elif row["type"] in ("final", "error") and self._ended_at is not None:
                self.served.metrics.count_final(time.monotonic() - self._ended_at)
                self._ended_at = None
            await translate(row)
            if row["type"] == "error" and row["error"]["code"] == NO_REPLICA.partition(":")[0]:
                self.stop()

        self.encoding, self.rate, served = ENCODINGS[encoding], rate, self.served
        judge = served.open_voice_activity
        return StreamSession(
            served.engine,
            rate,
            send_and_count,
            options or served.stream_options,
            served.write_numbers,
            phrases,
            judge(threshold) if judge else None,
            language,
            served.spell,
        )

    async def hear(self, content: bytes) -> None:
        """Add the bytes of samples to the session; a message may end within a sample.

        Raises:
            ApiError: Samples are not finite, or the stream is too long; what was before is added.
        """
        assert self.session is not None
        content = self._rest + content
        whole = len(content) // self.encoding.width * self.encoding.width
        self._rest = content[whole:]
        samples = self.encoding.decode(content[:whole])
        if not np.isfinite(samples).all():
            raise ApiError(400, "audio: found samples that are NaN or infinite, expected numbers", "not_finite_audio")
        limit_s = self.served.engine.limits.max_audio_s
        room = int(limit_s * self.rate) - self.session.received
        await self.session.add(samples[:room])
        if len(samples) > room:
            message = f"stream: expected {limit_s:g} s of audio or less; connect again"
            raise ApiError(413, message, "too_long")

    async def send(self, row: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            TimeoutError: The client does not read.
        """
        await asyncio.wait_for(self.websocket.send_text(encode_json(row)), self.served.upload_limits.idle_s)

    async def _read(self) -> None:
        """Put what the client sends into the inbox, as long as there is room."""
        while True:
            message = dict(await self.websocket.receive())
            if message["type"] == "websocket.disconnect":
                self._inbox.put_nowait(None)
                return
            parsed = self.parse(message)
            async with self._room:
                await self._room.wait_for(
                    lambda: self._inbox.qsize() < WAITING_MESSAGES and self._waiting_bytes < WAITING_BYTES
                )
                self._waiting_bytes += len(parsed.audio or b"")
                self._inbox.put_nowait(parsed)

    async def _take(self) -> ClientMessage:
        idle_s, start_s = self.served.upload_limits.idle_s, self.served.start_timeout_s
        rest_s = idle_s if self.has_begun else min(idle_s, self.opened + start_s - time.monotonic())
        try:
            message = None if self._ends else await asyncio.wait_for(self._inbox.get(), max(0.0, rest_s))
        except asyncio.TimeoutError:
            text = f"stream: found no message for {idle_s:g} s, expected audio or keepalive; connect again"
            if not self.has_begun:
                text = f"stream: found no start within {min(idle_s, start_s):g} s, expected it at once; connect again"
            raise ApiError(408, text, "idle") from None
        if self._ends:
            raise self._ends
        if message is None:
            raise WebSocketDisconnect(1006)
        async with self._room:
            self._waiting_bytes -= len(message.audio or b"")
            self._room.notify_all()
        return message

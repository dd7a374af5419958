"""The simple websocket protocol at `/v1/stream`: JSON for control, binary messages for audio."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket

from data_prep.arguments import is_int
from nemo_models.serving.api_errors import ApiError, bad_field
from nemo_models.serving.client_languages import read_language
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.stream_audio import ENCODINGS, LEAST_RATE_HZ, MOST_RATE_HZ
from nemo_models.serving.stream_connection import NORMAL, RESTART, TRY_AGAIN, WRONG, ClientMessage, StreamConnection

PATH = "/v1/stream"
TYPES = ("finalize", "keepalive", "end")
SENT_TYPES = ("partial", "final", "silence", "error")
_CODES = {"busy": TRY_AGAIN, "stopped": RESTART}


def make_stream_router(served: ServedModel) -> APIRouter:
    """Return the route of live streams."""
    router = APIRouter()
    router.add_api_websocket_route(PATH, partial(_serve, served))
    return router


async def _serve(served: ServedModel, websocket: WebSocket) -> None:
    await SimpleStream(served, websocket).serve()


class SimpleStream(StreamConnection):
    """One connection in the simple dialect."""

    def parse(self, message: dict[str, Any]) -> ClientMessage:
        """Read a message, see `StreamConnection.parse`."""
        if message.get("bytes") is not None:
            return ClientMessage(message["bytes"])
        try:
            return ClientMessage(control=read_control(message.get("text") or ""))
        except ApiError as error:
            return ClientMessage(error=error)

    async def talk(self) -> int:
        """Take messages until the end, a fault, or a long silence."""
        code, reason = NORMAL, "end"
        try:
            self.require_room()
            async for message in self.messages():
                if not await self._handle(message):
                    break
        except ApiError as error:
            code, reason = _CODES.get(error.code, WRONG), error.code
            self.served.metrics.count_refusal(error.code)
            await self.send({"type": "error", **error.body()})
        if self.session:
            await self.session.finish_utterance()
        received = self.session.received if self.session else 0
        await self.send({"type": "closed", "reason": reason, "received_samples": received})
        return code

    async def _handle(self, message: ClientMessage) -> bool:
        """Do what a message says; return whether more may follow."""
        if message.error:
            raise message.error
        if message.audio is not None:
            if self.session is None:
                raise ApiError(400, "audio: expected the message start first; send it", "not_started")
            await self.hear(message.audio)
            return True
        control = message.control or {}
        if control["type"] == "start":
            await self._start(control)
        elif self.session is None:
            raise ApiError(400, f"type={control['type']}: expected the message start first; send it", "not_started")
        elif control["type"] == "finalize":
            await self.session.finish_utterance()
        return control["type"] != "end"

    async def _start(self, control: dict[str, Any]) -> None:
        if self.session is not None:
            raise ApiError(400, "type=start: expected it once in a stream; open another connection", "started_already")
        rate, name = control.get("sample_rate", 16_000), control.get("encoding", "pcm16")
        if not is_int(rate) or not LEAST_RATE_HZ <= rate <= MOST_RATE_HZ:
            raise bad_field("sample_rate", repr(rate), f"a whole number from {LEAST_RATE_HZ} to {MOST_RATE_HZ}")
        if not isinstance(name, str) or name not in ENCODINGS:
            raise bad_field("encoding", repr(name), f"one of {', '.join(ENCODINGS)}")
        asked = control.get("language")
        if not isinstance(asked, str | None):
            raise bad_field("language", repr(asked), "a text")
        language = read_language("language", asked, self.served.languages, self.served.needs_language)
        self.session = self.begin(name, rate, self._send_result, language=language)
        await self.send({"type": "ready", "sample_rate": rate, "encoding": name, "model": self.served.names[0]})

    async def _send_result(self, row: dict[str, Any]) -> None:
        if row["type"] in SENT_TYPES:
            await self.send(row)


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

"""OpenAI's realtime transcription events at `/v1/realtime?intent=transcription`, over the session of every live stream.

The server has no conversation: an item of the events is an utterance. Deltas contain the part of the text that will not
change; `completed` has the final text, computed from the whole utterance.

Source: openai 3.57.0, `types/realtime`; `transcription_session.update` is the beta's name of `session.update`.
"""

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket

from nemo_models.serving.api_errors import ApiError, bad_field
from nemo_models.serving.realtime_settings import RealtimeSettings, update_settings
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.stream_audio import StreamOptions
from nemo_models.serving.stream_connection import NORMAL, RESTART, TRY_AGAIN, WRONG, ClientMessage, StreamConnection
from nemo_models.serving.stream_session import CLEARED, StreamSession

PATH = "/v1/realtime"
COMMIT_S = 300.0  # longest utterance, seconds, where the client ends utterances
_NEVER_S = 86_400.0
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_UPDATES = {"session.update": "session.updated", "transcription_session.update": "transcription_session.updated"}
_FATAL = {"busy": TRY_AGAIN, "stopped": RESTART, "idle": NORMAL, "too_long": WRONG}  # errors that end the connection


def make_realtime_router(served: ServedModel) -> APIRouter:
    """Return the route of realtime sessions."""
    router = APIRouter()
    router.add_api_websocket_route(PATH, partial(_serve, served))
    return router


async def _serve(served: ServedModel, websocket: WebSocket) -> None:
    await RealtimeStream(served, websocket).serve()


@dataclass
class _Item:
    """An utterance as its client knows it.

    Attributes:
        id: Its id.
        told: What its deltas hold.
        has_started: Whether the client knows that somebody speaks.
        is_committed: Whether the client knows that it has ended.
    """

    id: str = field(default_factory=lambda: _new_id("item"))
    told: str = ""
    has_started: bool = False
    is_committed: bool = False


class RealtimeStream(StreamConnection):
    """One realtime session."""

    def __init__(self, served: ServedModel, websocket: WebSocket) -> None:
        """Set up, see `StreamConnection`."""
        super().__init__(served, websocket)
        asked = websocket.query_params.get("model", "")
        name = asked if asked in served.names else served.names[0]
        own = served.languages[0].code if len(served.languages) == 1 else None
        self._settings = RealtimeSettings(
            name, language=own, languages=served.languages, needs_language=served.needs_language
        )
        self._id = _new_id("sess")
        self._is_beta = websocket.headers.get("openai-beta") == "realtime=v1"
        self._item, self._is_committing = _Item(), False
        self._previous: str | None = None

    def parse(self, message: dict[str, Any]) -> ClientMessage:
        """Read an event, see `StreamConnection.parse`."""
        try:
            event = json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            shown = (message.get("text") or "binary")[:40]
            error = ApiError(400, f"message={shown!r}: expected a JSON object with a type", "invalid_message")
            return ClientMessage(error=error)
        if event["type"] != "input_audio_buffer.append":
            return ClientMessage(control=event)
        try:
            return ClientMessage(base64.b64decode(event["audio"], validate=True))
        except (binascii.Error, KeyError, TypeError, ValueError):
            return ClientMessage(control=event, error=bad_field("audio", "…", "samples in base64"))

    async def talk(self) -> int:
        """Answer events until the session ends; a wrong event gets an error and ends nothing."""
        event: dict[str, Any] = {}
        try:
            self.require_room()
            self._check_address()
            prefix = "transcription_session" if self._is_beta else "session"
            await self._tell(f"{prefix}.created", session=self._describe())
            async for message in self.messages():
                event = message.control or {}
                try:
                    await self._handle(message)
                except ApiError as error:
                    if error.code in _FATAL:
                        raise
                    await self._tell_error(error, event)
        except ApiError as error:
            await self._tell_error(error, {})
            if self.session:
                await self._commit_rest()
            return _FATAL.get(error.code, WRONG)
        return NORMAL

    def _check_address(self) -> None:
        intent, model = (self.websocket.query_params.get(key) for key in ("intent", "model"))
        if intent != "transcription":
            raise bad_field("intent", intent, "transcription; add it to the address")
        if model is not None and model not in self.served.names:
            raise bad_field("model", model, f"one of {', '.join(self.served.names)}")

    async def _handle(self, message: ClientMessage) -> None:
        if message.error:
            raise message.error
        if message.audio is not None:
            self.session = self.session or self._begin_session()
            await self.hear(message.audio)
            return
        event = message.control or {}
        kind = event["type"]
        if kind in _UPDATES:
            await self._update(event)
        elif kind == "input_audio_buffer.commit":
            await self._commit()
        elif kind == "input_audio_buffer.clear":
            if self.session:
                await self.session.discard()
            await self._tell("input_audio_buffer.cleared")
        else:
            known = ", ".join([*_UPDATES, *(f"input_audio_buffer.{name}" for name in ("append", "commit", "clear"))])
            raise bad_field("type", kind, f"one of {known}")

    async def _update(self, event: dict[str, Any]) -> None:
        old = self._settings
        new = update_settings(old, event.get("session"), self.served.names)
        self.claim_room()
        if self.session is not None:
            if (new.format, new.rate, new.threshold) != (old.format, old.rate, old.threshold):
                message = "session: found audio before a change of format or threshold, expected none; connect again"
                raise ApiError(400, message, "session_has_audio", "session")
            self.session.change(self._stream_options(new), self._phrases(new), new.code)
        self._settings = new
        await self._tell(_UPDATES[event["type"]], session=self._describe())

    def _begin_session(self) -> StreamSession:
        settings = self._settings
        return self.begin(
            settings.encoding,
            settings.rate,
            self._translate,
            self._stream_options(settings),
            self._phrases(settings),
            settings.threshold,
            settings.code,
        )

    def _stream_options(self, settings: RealtimeSettings) -> StreamOptions:
        usual = self.served.stream_options or StreamOptions()
        if not settings.detects_turns:
            return replace(usual, endpoint_s=_NEVER_S, silence_s=_NEVER_S, utterance_s=COMMIT_S)
        return usual if settings.silence_ms is None else replace(usual, endpoint_s=settings.silence_ms / 1000)

    def _phrases(self, settings: RealtimeSettings) -> list[str]:
        read = self.served.read_prompt
        return read(settings.prompt)[0] if read and settings.prompt else []

    def _describe(self) -> dict[str, Any]:
        usual = self.served.stream_options or StreamOptions()
        return self._settings.to_json(self._id, round(usual.endpoint_s * 1000))

    async def _commit(self) -> None:
        if self.session is None or not self.session.pending:
            message = "input_audio_buffer: found no audio, expected some before a commit; append it"
            raise ApiError(400, message, "input_audio_buffer_commit_empty")
        await self._commit_rest()

    async def _commit_rest(self) -> None:
        assert self.session is not None
        self._is_committing = True
        try:
            await self.session.finish_utterance()
        finally:
            self._is_committing = False

    async def _translate(self, row: dict[str, Any]) -> None:
        """Send a result of the session as events."""
        kind, item = row["type"], self._item
        if kind == "partial":
            await self._tell_delta(row)
        elif kind == "utterance_end":
            await self._tell_end(row)
        elif row.get("reason") == CLEARED:
            self._item = _Item()
        elif kind == "error":
            await self._tell_end(row)
            fields = {"item_id": item.id, "content_index": 0, "error": row["error"]}
            await self._tell(f"{_TRANSCRIPTION}.failed", **fields)
            self._item = _Item()
        elif kind == "final" or item.has_started or item.is_committed:
            await self._tell_end(row)
            usage = {"type": "duration", "seconds": round(row["end"] - row["start"], 3)}
            fields = {"item_id": item.id, "content_index": 0, "transcript": row.get("text", ""), "usage": usage}
            await self._tell(f"{_TRANSCRIPTION}.completed", **fields, words=row.get("words", []))
            self._item = _Item()

    async def _tell_start(self, row: dict[str, Any]) -> None:
        if self._settings.detects_turns and not self._item.has_started:
            fields = {"item_id": self._item.id, "audio_start_ms": _milliseconds(row["start"])}
            await self._tell("input_audio_buffer.speech_started", **fields)
        self._item.has_started = True

    async def _tell_delta(self, row: dict[str, Any]) -> None:
        await self._tell_start(row)
        item, text = self._item, row["stable_text"]
        if len(text) > len(item.told) and text.startswith(item.told):
            delta, item.told = text[len(item.told) :], text
            await self._tell(f"{_TRANSCRIPTION}.delta", item_id=item.id, content_index=0, delta=delta)

    async def _tell_end(self, row: dict[str, Any]) -> None:
        """Tell that the utterance has ended, and that it is an item now; once."""
        item = self._item
        if item.is_committed:
            return
        if self._settings.detects_turns and not self._is_committing:
            await self._tell_start(row)
            fields = {"item_id": item.id, "audio_end_ms": _milliseconds(row["end"])}
            await self._tell("input_audio_buffer.speech_stopped", **fields)
        item.is_committed = True
        previous, self._previous = self._previous, item.id
        await self._tell("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        message = {"id": item.id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        name = "conversation.item.created" if self._is_beta else "conversation.item.added"
        await self._tell(name, previous_item_id=previous, item={**message, "content": content})

    async def _tell_error(self, error: ApiError, event: dict[str, Any]) -> None:
        self.served.metrics.count_refusal(error.code)
        event_id = event.get("event_id")
        body = {**error.body()["error"], "event_id": event_id if isinstance(event_id, str) else None}
        await self._tell("error", error=body)

    async def _tell(self, kind: str, **fields: Any) -> None:
        await self.send({"type": kind, "event_id": _new_id("event"), **fields})


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)

"""Wraps every request: checks the key and the number of open requests, gives an id, logs one line, and counts."""

import base64
import json
import logging
import re
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_models.serving.api_errors import ApiError, unavailable
from nemo_models.serving.metrics import ServerMetrics
from nemo_models.serving.web_page import list_page_paths

KEY_VARIABLE = "HINDI_ASR_API_KEY"
ID_HEADER = "x-request-id"
_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
STREAM_PROTOCOL, KEY_PROTOCOL = "hindi-asr", "key."
_OPEN_PATHS = frozenset(("/health/live", "/health/ready", *list_page_paths()))
_log = logging.getLogger("nemo_models.serving.requests")


def read_keys(path: Path | None, environment: MutableMapping[str, str]) -> list[str]:
    """Read the keys that clients may use, from a file and the environment.

    Args:
        path: A file with one key a line; `None`: none.
        environment: Environment variables; `KEY_VARIABLE` holds one key.

    Returns:
        The keys; none: everybody may ask.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file has no key, or a key has other characters than visible ASCII.
    """
    keys = [environment[KEY_VARIABLE].strip()] if environment.get(KEY_VARIABLE, "").strip() else []
    if path is not None:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise ValueError(f"api_key_file={path}: found no key, expected one a line; add one")
        keys += found
    for number, key in enumerate(keys, 1):
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError(f"API key {number}: found other characters, expected visible ASCII; choose another key")
    return keys


class RequestGuard:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], max_connections: int, metrics: ServerMetrics) -> None:
        """Guard an application.

        Args:
            app: The application.
            keys: Keys that clients may use; none: everybody may ask.
            max_connections: Most requests that are answered at a time, uploads included.
            metrics: Counters.
        """
        self._app, self._metrics = app, metrics
        self._keys, self._most = [key.encode() for key in keys], max_connections
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let a stream in."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get(ID_HEADER, "")
        request_id = asked if _ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}"
        if scope["type"] == "websocket":
            await self._admit_stream({**scope, "request_id": request_id}, headers, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (ID_HEADER.encode(), request_id.encode())]
            await send(message)

        self._open += 1
        self._metrics.connections.set(self._open)
        try:
            await self._admit(scope, headers, receive, send_with_id)
        finally:
            self._open -= 1
            self._metrics.connections.set(self._open)
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - started
            self._metrics.count_request(route, status, seconds)
            row = {"id": request_id, "method": scope["method"], "path": route, "status": status}
            _log.info(json.dumps({**row, "seconds": round(seconds, 4)}))

    async def _admit_stream(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Refuse streams without a key, and those that pages of other sites open in somebody's browser."""
        origin = headers.get("origin")
        is_own_page = origin is None or read_host(origin) == headers.get("host")
        authorization = headers.get("authorization") or read_protocol_key(scope.get("subprotocols", ()))
        if is_own_page and (not self._keys or is_allowed(authorization, self._keys)):
            await self._app(scope, receive, send)
            return
        self._metrics.count_refusal("invalid_api_key" if is_own_page else "other_origin")
        row = {"id": scope["request_id"], "method": "WEBSOCKET", "path": "other", "status": 403}
        _log.info(json.dumps({**row, "seconds": 0.0}))
        await receive()  # the request to connect; closing before it is accepted answers 403
        await send({"type": "websocket.close", "code": 1008})

    async def _admit(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        error = None
        if scope["path"] not in _OPEN_PATHS:
            if self._keys and not is_allowed(headers.get("authorization", ""), self._keys):
                message = "Authorization: found no valid API key, expected Bearer and a key of this server; add it"
                error = ApiError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
            elif self._open > self._most:
                error = unavailable(
                    "server: found too many connections, expected fewer; try again", "too_many_connections"
                )
        if error is None:
            await self._app(scope, receive, send)
            return
        self._metrics.count_refusal(error.code)
        error.headers["Connection"] = "close"  # what is left of an upload is not read
        await error.response()(scope, receive, send)


def is_allowed(authorization: str, keys: Sequence[bytes]) -> bool:
    """Whether a header holds one of the keys; the time of the comparison does not say which part is right."""
    kind, _, key = authorization.partition(" ")
    given = key.strip().encode()
    return kind.lower() == "bearer" and sum(secrets.compare_digest(given, known) for known in keys) > 0


def read_host(origin: str) -> str | None:
    """Return the host and port of a header `Origin`; `None` if it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def read_protocol_key(protocols: Sequence[str]) -> str:
    """Return the key that a page sends as a subprotocol, for browsers send no header with a websocket.

    Args:
        protocols: What the client offers; `key.` and the key in URL-safe base64, without `=`, is among them.

    Returns:
        As in a header, `Bearer` and the key; nothing without one.
    """
    for protocol in protocols:
        if protocol.startswith(KEY_PROTOCOL):
            encoded = protocol.removeprefix(KEY_PROTOCOL)
            with suppress(ValueError):
                return f"Bearer {base64.urlsafe_b64decode(encoded + '=' * (-len(encoded) % 4)).decode()}"
    return ""

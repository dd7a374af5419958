"""Errors in the JSON shape of OpenAI's API, which its clients turn into their exceptions."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nemo_models.serving.json_text import encode_json
from nemo_models.serving.tasks import FAILED, NO_REPLICA, STOPPED, TOO_LONG

_TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}
_TYPES |= {504: "server_error"}
RETRY_LATER_S = 5


class ApiError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        message: What is wrong and what to do, one line.
        code: A word for programs.
        param: The form field that is wrong, or `None`.
        headers: Further headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the error; see the attributes."""
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        kind = _TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """Return the answer."""
        return Response(encode_json(self.body()), self.status, self.headers, "application/json")


def bad_field(key: str, value: Any, expected: str) -> ApiError:
    """Make the error for a form field with a wrong value."""
    shown = str(value) if len(str(value)) <= 60 else f"{str(value)[:60]}…"
    return ApiError(400, f"{key}={shown}: expected {expected}", "invalid_value", key)


def busy(retry_after_s: int) -> ApiError:
    """Make the error for a queue that is full."""
    message = f"server: found too many requests waiting, expected fewer; try again in {retry_after_s} s"
    return ApiError(429, message, "too_many_requests", headers={"Retry-After": str(retry_after_s)})


def unavailable(message: str, code: str = "unavailable") -> ApiError:
    """Make the error for a server that starts, stops, or has no more connections."""
    return ApiError(503, message, code, headers={"Retry-After": str(RETRY_LATER_S)})


def audio_error(error: str) -> ApiError:
    """Make the error for a transcript's `error` (`reason: details`)."""
    reason = error.partition(":")[0].replace(" ", "_")
    if error in (STOPPED, NO_REPLICA):
        return unavailable(error, reason)
    if error == FAILED or reason == "model":
        return ApiError(500, error, reason)
    return ApiError(413 if reason == TOO_LONG else 400, error, reason, "file")

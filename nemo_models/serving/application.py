"""The web application: routes, guard, and errors in one shape."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nemo_models.serving.api_errors import ApiError
from nemo_models.serving.realtime_socket import make_realtime_router
from nemo_models.serving.request_guard import RequestGuard
from nemo_models.serving.rest_api import make_router
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.stream_socket import make_stream_router
from nemo_models.serving.web_page import make_page_router

_log = logging.getLogger(__name__)


def make_application(
    served: ServedModel, keys: Sequence[str] = (), max_connections: int = 256, shutdown_s: float = 30.0
) -> FastAPI:
    """Make the application; its engine starts and stops with it.

    Args:
        served: What is served.
        keys: Keys that clients may use; none: everybody may ask.
        max_connections: Most requests that are answered at a time.
        shutdown_s: Seconds that recordings get to be finished when the server stops.
    """

    @asynccontextmanager
    async def run(_: FastAPI) -> AsyncIterator[None]:
        served.engine.start()
        yield
        await run_in_threadpool(served.engine.close, shutdown_s)
        if served.decoders:
            served.decoders.close()
        served.uploads.close()

    # no pages of documentation: they load scripts from another host
    application = FastAPI(lifespan=run, docs_url=None, redoc_url=None, openapi_url=None)
    served.metrics.watch(served.engine)
    application.include_router(make_router(served))
    application.include_router(make_stream_router(served))
    application.include_router(make_realtime_router(served))
    languages = served.languages, served.needs_language
    application.include_router(make_page_router(served.subtitles, served.upload_limits.idle_s, *languages))

    async def answer_error(_: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
            message = f"request: found {error.detail.lower()}, expected a path of this API; see GET /v1/models"
            error = ApiError(error.status_code, message, code, headers=error.headers)
        elif not isinstance(error, ApiError):
            _log.error("a request failed", exc_info=error)
            error = ApiError(500, "server: an unexpected error; the server's log has the details", "server")
        served.metrics.count_refusal(error.code)
        return error.response()

    for kind in (ApiError, HTTPException, Exception):
        application.add_exception_handler(kind, answer_error)
    application.add_middleware(RequestGuard, keys=keys, max_connections=max_connections, metrics=served.metrics)
    return application

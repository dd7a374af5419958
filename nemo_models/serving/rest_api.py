"""OpenAI's REST API over the engine: transcriptions, the list of models, health and metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response, StreamingResponse

from nemo_models.serving.api_errors import ApiError, audio_error, busy, unavailable
from nemo_models.serving.client_languages import name_language
from nemo_models.serving.json_text import encode_json
from nemo_models.serving.response_formats import format_body, verbose
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.tasks import QueueFullError, RecognitionTask
from nemo_models.serving.transcription_request import TranscriptionRequest, read_request
from nemo_models.serving.uploads import read_form
from nemo_models.transcription.inputs import AudioInput, in_language
from nemo_models.transcription.transcripts import Transcript

T = TypeVar("T")
SMALL_BYTES = 512_000  # of an upload that is handled at once: to pass it to another thread takes longer than the work
LOOK_S = 0.5  # between two looks whether the client is still there
OWNER = "hindi-xlsr-nemo"
LEFT_OUT_HEADER = "x-prompt-left-out"  # number of parts of the prompt that could not be preferred
PATH = "/v1/audio/transcriptions"


def make_router(served: ServedModel) -> APIRouter:
    """Return the routes of the API."""
    router = APIRouter()
    router.add_api_route(PATH, partial(_transcribe, served), methods=["POST"])
    router.add_api_route("/v1/models", partial(_list_models, served))
    router.add_api_route("/v1/models/{name:path}", partial(_show_model, served))
    router.add_api_route("/health/live", _live)
    router.add_api_route("/health/ready", partial(_ready, served))
    router.add_api_route("/metrics", partial(_metrics, served))
    return router


async def _live() -> Response:
    return JSONResponse({"status": "live"})


async def _ready(served: ServedModel) -> Response:
    if not served.ready:
        raise unavailable("server: the model is not ready yet; try again", "not_ready")
    return JSONResponse({"status": "ready"})


async def _metrics(served: ServedModel) -> Response:
    return Response(served.metrics.write(), media_type="text/plain; version=0.0.4")


def _model_row(served: ServedModel, name: str) -> dict[str, Any]:
    row = {"id": name, "object": "model", "created": served.created, "owned_by": OWNER}
    return {**row, "word_times": served.gives_words, "languages": [language.code for language in served.languages]}


async def _list_models(served: ServedModel) -> Response:
    return JSONResponse({"object": "list", "data": [_model_row(served, name) for name in served.names]})


async def _show_model(served: ServedModel, name: str) -> Response:
    if name not in served.names:
        message = f"model={name[:60]}: expected one of {', '.join(served.names)}"
        raise ApiError(404, message, "model_not_found", "model")
    return JSONResponse(_model_row(served, name))


async def _transcribe(served: ServedModel, request: Request) -> Response:
    if not served.ready:
        raise unavailable("server: the model is not ready yet; try again", "not_ready")
    form = await read_form(request, served.upload_limits)
    held = ExitStack()
    try:
        answer = await _answer(served, request, form, held)
    except BaseException:
        held.close()
        raise
    finally:
        await form.close()
    return answer


async def _answer(served: ServedModel, request: Request, form: FormData, held: ExitStack) -> Response:
    """Answer a form. `held` keeps the file until the answer is complete."""
    languages = served.languages, served.needs_language
    wanted = read_request(form, served.names, served.gives_words, served.read_prompt, *languages)
    size, most = wanted.upload.size or 0, served.upload_limits.max_bytes
    if size > most:
        message = f"file: found {size / 1e6:.1f} MB, expected {most / 1e6:g} MB or less; cut or compress the recording"
        raise ApiError(413, message, "file_too_large", "file")
    if not size:
        raise ApiError(400, "file: found no bytes, expected a recording; send one", "empty_file", "file")
    path = await _run(size, held.enter_context, served.uploads.keep(wanted.upload))
    headers = {LEFT_OUT_HEADER: str(len(wanted.left_out))} if wanted.left_out else {}
    if wanted.stream:
        return await _stream(served, request, wanted, path, held, headers)
    transcript = await _wait(served, request, _submit(served, wanted, path, None))
    body, media_type = await _run(size, _format, served, wanted, transcript, path, held)
    return Response(body, media_type=media_type, headers=headers)


async def _run(size: int, work: Callable[..., T], *arguments: Any) -> T:
    """Do work on an upload of some bytes; what may take long is done in another thread."""
    return work(*arguments) if size <= SMALL_BYTES else await asyncio.to_thread(work, *arguments)


def _format(
    served: ServedModel, wanted: TranscriptionRequest, transcript: Transcript, path: Path, held: ExitStack
) -> tuple[str, str]:
    """Return the body of an answer and its media type, once the file is removed."""
    held.close()
    transcript = _finish(served, transcript, path, wanted)
    language = name_language(transcript.language, served.languages)
    return format_body(transcript, wanted.response_format, wanted.granularities, served.subtitles, language)


def _submit(
    served: ServedModel, wanted: TranscriptionRequest, path: Path, on_text: Callable[[str], object] | None
) -> RecognitionTask:
    try:
        return served.engine.submit(in_language(AudioInput(path), wanted.language), wanted.phrases, on_text)
    except QueueFullError as error:
        raise busy(error.retry_after_s) from error


async def _wait(served: ServedModel, request: Request, task: RecognitionTask) -> Transcript:
    """Wait for a transcript; give the recording up if its client goes away or the time is over."""
    future = asyncio.wrap_future(task.transcript)
    end = asyncio.get_running_loop().time() + served.timeout_s
    try:
        while not future.done():
            rest_s = end - asyncio.get_running_loop().time()
            if rest_s <= 0:
                message = f"server: found no result after {served.timeout_s:g} s; cut the recording, or try again"
                raise ApiError(504, message, "timeout")
            await asyncio.wait([future], timeout=min(rest_s, LOOK_S))
            if not future.done() and await request.is_disconnected():
                raise ApiError(499, "client: found its connection closed", "disconnected")
        return future.result()
    finally:
        task.cancel()


def _finish(served: ServedModel, transcript: Transcript, path: Path, wanted: TranscriptionRequest) -> Transcript:
    """Complete a transcript as `transcribe_speech.py` does; one with an error is raised as an `ApiError`."""
    name = wanted.upload.filename or "file"
    if transcript.error:
        raise audio_error(transcript.error.replace(str(path), name))
    if transcript.warning:
        transcript = replace(transcript, warning=transcript.warning.replace(str(path), name))
    if served.write_numbers:
        transcript = replace(transcript, text=served.write_numbers(transcript.text), spoken_text=transcript.text)
    return transcript


async def _stream(
    served: ServedModel,
    request: Request,
    wanted: TranscriptionRequest,
    path: Path,
    held: ExitStack,
    headers: dict[str, str],
) -> Response:
    """Send the text as server-sent events while it is recognised; an error before the first piece has its status."""
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def pass_on(piece: str | None) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, piece)

    def end(_: object) -> None:
        held.close()  # also where the client has gone before the first event
        with suppress(RuntimeError):  # the loop has ended
            pass_on(None)

    task = _submit(served, wanted, path, None if served.write_numbers else pass_on)
    task.transcript.add_done_callback(end)
    waiting = asyncio.ensure_future(_wait(served, request, task))
    waiting.add_done_callback(lambda _: pieces.put_nowait(None))
    first = await pieces.get()
    if first is None:
        _finish(served, await waiting, path, wanted)

    async def send_events() -> AsyncIterator[str]:
        try:
            piece = first
            while piece is not None:
                yield _event({"type": "transcript.text.delta", "delta": piece})
                piece = await pieces.get()
            transcript = _finish(served, await waiting, path, wanted)
            if served.write_numbers and transcript.text:
                yield _event({"type": "transcript.text.delta", "delta": transcript.text})
            fields = _done_fields(transcript, wanted, name_language(transcript.language, served.languages))
            yield _event({**fields, "type": "transcript.text.done", "text": transcript.text})
            yield "data: [DONE]\n\n"
        except ApiError as error:
            served.metrics.count_refusal(error.code)
            yield _event(error.body())
        finally:
            waiting.cancel()

    return StreamingResponse(send_events(), media_type="text/event-stream", headers=headers)


def _done_fields(transcript: Transcript, wanted: TranscriptionRequest, language: str) -> dict[str, Any]:
    """Return the fields of `verbose_json` for the last event, where `usage` would count tokens and is left out."""
    if wanted.response_format != "verbose_json":
        return {}
    row = verbose(transcript, wanted.granularities, language)
    return {key: value for key, value in row.items() if key != "usage"}


def _event(row: dict[str, Any]) -> str:
    return f"data: {encode_json(row)}\n\n"

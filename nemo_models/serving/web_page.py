"""The page for browsers, which loads nothing from another host, and the subtitles of its words."""

import asyncio
import html
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from data_prep.arguments import is_number
from data_prep.languages.language import DEFAULT_LANGUAGE, WITH_ENGLISH, Language
from nemo_models.serving.api_errors import ApiError, bad_field
from nemo_models.serving.response_formats import MEDIA_TYPES as SUBTITLE_TYPES
from nemo_models.serving.uploads import UploadLimits, read_body
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.output_formats import format_transcript
from nemo_models.transcription.subtitles import SubtitleSettings
from nemo_models.transcription.transcripts import Transcript, Word

FOLDER = Path(__file__).with_name("page")
MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
SUBTITLE_FORMATS = ("srt", "vtt")
WORD_BYTES = 8_000_000  # of the words that subtitles are made for: some twenty hours
MOST_S = 1e6  # of a word's time
_SURROGATES = re.compile("[\ud800-\udfff]")  # alone, for JSON's pairs are read as one character
MOST_SHOWN = 60  # characters of a wrong word in an error
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; media-src blob:; "
        "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def list_page_paths() -> dict[str, Path]:
    """Return the page's files by their paths on the server."""
    files = {f"/page/{path.name}": path for path in FOLDER.iterdir() if path.suffix in (".js", ".css")}
    return {"/": FOLDER / "index.html", **files}


def make_page_router(
    subtitles: SubtitleSettings | None, idle_s: float, languages: Sequence[Language], needs_language: bool = False
) -> APIRouter:
    """Return the routes of the page's files, and of the subtitles for words that the page has.

    Args:
        subtitles: Form of the subtitles; `None`: the defaults.
        idle_s: Most seconds between two pieces of a request.
        languages: The languages of the texts; that of the page's own words is the reader's choice.
        needs_language: Whether the model cannot identify the language itself.
    """
    router = APIRouter()
    for route, path in list_page_paths().items():
        content = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            content = fill_page(content, languages, needs_language)
        router.add_api_route(route, partial(_send, content.encode(), MEDIA_TYPES[path.suffix]))
    send_subtitles = partial(_send_subtitles, subtitles, UploadLimits(WORD_BYTES, idle_s))
    router.add_api_route("/page/subtitles/{name}", send_subtitles, methods=["POST"])
    return router


def fill_page(page: str, languages: Sequence[Language], needs_language: bool = False) -> str:
    """Return the page's HTML for texts in one language, or in one of several, which the reader may choose.

    Args:
        page: The HTML of the page's file.
        languages: The model's languages.
        needs_language: Whether the model cannot identify the language itself.
    """
    first = languages[0]
    title = "hindi_title" if len(languages) == 1 and _code_in_html(first) == DEFAULT_LANGUAGE else "title"
    options = [] if needs_language else ['<option value="" data-text="any_language"></option>']
    values = {
        "{language}": _code_in_html(first),
        "{direction}": first.direction,
        "{title}": title,
        "{hidden}": "" if len(languages) > 1 else " hidden",
        "{options}": "".join([*options, *map(_write_option, languages)] if len(languages) > 1 else ()),
    }
    for name, value in values.items():
        page = page.replace(name, value)
    return page


def _code_in_html(language: Language) -> str:
    return language.code.removesuffix(WITH_ENGLISH)


def _write_option(language: Language) -> str:
    """Return the choice of a language; the page's script shows its name in the page's language."""
    values = {"value": language.code, "data-name": language.name}
    values |= {"data-lang": _code_in_html(language), "data-dir": language.direction}
    written = " ".join(f'{key}="{html.escape(value)}"' for key, value in values.items())
    return f"<option {written}>{html.escape(language.name)}</option>"


async def _send(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers=HEADERS)


async def _send_subtitles(
    subtitles: SubtitleSettings | None, limits: UploadLimits, request: Request, name: str
) -> Response:
    if name not in SUBTITLE_FORMATS:
        raise bad_field("format", name, f"one of {', '.join(SUBTITLE_FORMATS)}")
    content = await read_body(request, limits)
    text = await asyncio.to_thread(_write_subtitles, content, name, subtitles)
    return Response(text, media_type=SUBTITLE_TYPES[name])


def _write_subtitles(content: bytes, name: str, subtitles: SubtitleSettings | None) -> str:
    words = read_words(content)
    return format_transcript(Transcript(0, AudioInput(Path("page")), words=words), name, subtitles)


def read_words(content: bytes) -> tuple[Word, ...]:
    """Read words with their times, as `verbose_json` and the finals of a stream have them.

    Args:
        content: JSON, a list of objects with `word`, `start` and `end` (seconds); further keys are ignored.

    Returns:
        The words in their order; one that starts before the last one has ended starts at that end.

    Raises:
        ApiError: The content is not such a list.
    """
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        message = "words: found no JSON list, expected the words of a transcript; send those of verbose_json"
        raise ApiError(400, message, "invalid_words", "words")
    words: list[Word] = []
    for number, row in enumerate(rows):
        word = _read_word(row, words[-1].end_s if words else 0.0)
        if word is None:
            found = json.dumps(row, ensure_ascii=False)
            shown = found if len(found) <= MOST_SHOWN else f"{found[:MOST_SHOWN]}…"
            message = (
                f"words[{number}]: found {shown}, expected word, start and end (seconds, 0 to {MOST_S:g}); "
                "send the words of verbose_json"
            )
            raise ApiError(400, message, "invalid_words", "words")
        words.append(word)
    return tuple(word for word in words if word.word)


def _read_word(row: Any, earliest_s: float) -> Word | None:
    """Return a word that starts at a time or later; `None` for other content."""
    if not isinstance(row, dict) or not isinstance(row.get("word"), str) or _SURROGATES.search(row["word"]):
        return None
    if not all(_is_time(row.get(key)) for key in ("start", "end")):
        return None
    start_s = max(float(row["start"]), earliest_s)
    return Word(" ".join(row["word"].split()), start_s, max(start_s, float(row["end"])))


def _is_time(value: Any) -> bool:
    return is_number(value) and 0 <= value < MOST_S

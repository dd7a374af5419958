"""The form fields of `POST /v1/audio/transcriptions`, checked as OpenAI's API checks them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile

from data_prep.languages.language import Language
from nemo_models.serving.api_errors import ApiError, bad_field
from nemo_models.serving.client_languages import load_languages, read_language
from nemo_models.serving.response_formats import FORMATS, GRANULARITIES

_TRUE, _FALSE = ("true", "1"), ("", "false", "0")
_GRANULARITIES = ("timestamp_granularities[]", "timestamp_granularities")
_INCLUDE = ("include[]", "include")
_KNOWN = {"file", "model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy"}
_KNOWN |= {*_GRANULARITIES, *_INCLUDE}
ReadPrompt = Callable[[str], tuple[list[str], list[str]]]
"""Function that splits a prompt into phrases to prefer and parts to leave out, see `phrases.read_prompt`."""


@dataclass(frozen=True)
class TranscriptionRequest:
    """What a client asks for.

    Attributes:
        upload: The file.
        response_format: One of `response_formats.FORMATS`.
        granularities: Any of `response_formats.GRANULARITIES`.
        stream: Whether the text is sent piece by piece.
        phrases: Phrases to prefer.
        left_out: Parts of the prompt that cannot be preferred.
        language: Code of the language to recognise in, for a model that has several; `None`: it is identified.
    """

    upload: UploadFile
    response_format: str = "json"
    granularities: tuple[str, ...] = ()
    stream: bool = False
    phrases: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    language: str | None = None


def read_request(
    form: FormData,
    models: Collection[str],
    gives_words: bool,
    read_prompt: ReadPrompt | None,
    languages: Sequence[Language] | None = None,
    needs_language: bool = False,
) -> TranscriptionRequest:
    """Check the fields of a form.

    Args:
        form: The form.
        models: Names of the model.
        gives_words: Whether transcripts have words with times.
        read_prompt: What splits a prompt; `None`: the decoder prefers no phrases.
        languages: The model's languages; `None`: Hindi.
        needs_language: Whether the model cannot identify the language itself.

    Raises:
        ApiError: A field is wrong; it is named.
    """
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise ApiError(400, "file: found none, expected a recording; send it as a file", "missing_file", "file")
    unknown = sorted(set(form) - _KNOWN)
    if unknown:
        raise bad_field(unknown[0], form[unknown[0]], f"one of the fields {', '.join(sorted(_KNOWN))}; remove it")
    _check_model(_text(form, "model"), models)
    language = read_language("language", _text(form, "language"), languages or load_languages(), needs_language)
    name = _text(form, "response_format") or "json"
    if name not in FORMATS:
        raise bad_field("response_format", name, f"one of {', '.join(FORMATS)}")
    granularities = _list(form, _GRANULARITIES)
    _check_granularities(granularities, name)
    timed = name in ("srt", "vtt") or "word" in granularities
    if timed and not gives_words:
        raise bad_field("response_format", name, "json or text, for this model gives no times of words")
    if any(_list(form, _INCLUDE)):
        raise bad_field("include[]", ", ".join(_list(form, _INCLUDE)), "nothing; confidence is in verbose_json's words")
    _check_temperature(_text(form, "temperature"))
    stream = _text(form, "stream").lower()
    if stream not in (*_TRUE, *_FALSE):
        raise bad_field("stream", stream, "true or false")
    if stream in _TRUE and name in ("srt", "vtt"):
        raise bad_field("stream", stream, f"false with response_format={name}; choose json, or do not stream")
    prompt = _text(form, "prompt")
    phrases, left_out = read_prompt(prompt) if read_prompt else ([], [prompt] if prompt else [])
    granted = tuple(phrases), tuple(left_out), language
    return TranscriptionRequest(upload, name, tuple(granularities), stream in _TRUE, *granted)


def _text(form: FormData, key: str) -> str:
    value = form.get(key, "")
    if not isinstance(value, str):
        raise bad_field(key, "a file", "a text")
    return value.strip()


def _list(form: FormData, keys: Sequence[str]) -> list[str]:
    values = [value for key in keys for value in form.getlist(key)]
    return list(dict.fromkeys(value.strip() if isinstance(value, str) else "a file" for value in values))


def _check_model(name: str, models: Collection[str]) -> None:
    if not name:
        raise ApiError(400, f"model: found none, expected one of {', '.join(models)}", "missing_model", "model")
    if name not in models:
        raise ApiError(404, bad_field("model", name, f"one of {', '.join(models)}").message, "model_not_found", "model")


def _check_granularities(granularities: Collection[str], response_format: str) -> None:
    for value in granularities:
        if value not in GRANULARITIES:
            raise bad_field("timestamp_granularities[]", value, f"any of {', '.join(GRANULARITIES)}")
    if granularities and response_format != "verbose_json":
        raise bad_field("response_format", response_format, "verbose_json with timestamp_granularities[]")


def _check_temperature(value: str) -> None:
    """Check a temperature, which changes nothing: the search is not random."""
    try:
        is_valid = not value or 0 <= float(value) <= 1
    except ValueError:
        is_valid = False
    if not is_valid:
        raise bad_field("temperature", value, "a number from 0 to 1")

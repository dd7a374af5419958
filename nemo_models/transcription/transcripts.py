"""The result of a transcription: one transcript, and one row of JSON, for each input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_prep.languages.union import LANGUAGE_KEY
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.options import NEMO_FIELDS

TIME_DIGITS, CONFIDENCE_DIGITS = 3, 4  # after the point: a millisecond; more than a confidence means


@dataclass(frozen=True)
class Word:
    """One recognised word.

    Attributes:
        word: Its text.
        start_s: Time at which it begins, seconds from the beginning of the input.
        end_s: Time at which it ends.
        confidence: 0 … 1, or `None` if the decoder gives none.
    """

    word: str
    start_s: float
    end_s: float
    confidence: float | None = None


@dataclass(frozen=True)
class Transcript:
    """The result for one input.

    Attributes:
        index: The input's position.
        audio: The input.
        text: What was recognised; empty if nothing was, or after an error.
        duration_s: Audio that was read, seconds.
        error: Why there is no text (`reason: details`), or `None`.
        words: The text's words with their times; `None` if they were not asked for.
        spoken_text: The text before numbers were written in digits; `None` if that was not asked for.
        nemo_fields: What NeMo's script writes beside the text, if it was asked for.
        language: Code of the text's language, for a model that has several.
        warning: What is wrong with the audio although there is a text (`reason: details`), or `None`.
    """

    index: int
    audio: AudioInput
    text: str = ""
    duration_s: float = 0.0
    error: str | None = None
    words: tuple[Word, ...] | None = None
    spoken_text: str | None = None
    nemo_fields: Mapping[str, Any] = field(default_factory=dict)
    warning: str | None = None
    language: str | None = None


def transcript_row(transcript: Transcript, text_key: str = "pred_text") -> dict[str, Any]:
    """Return a transcript as a row of output.

    The row has the input's fields, `duration` if they have none, the text, `lang` if the model has several languages,
    `words` (word, start and end in seconds, confidence) and the spoken text if they were asked for, `channel` if the
    transcript is of one among several, and `warning` or `error` if there is one. What an earlier run wrote of these, or
    of NeMo's fields, is not kept: it belongs to another text.
    """
    of_an_earlier_run = {"error", "warning", f"{text_key}_spoken"}
    of_an_earlier_run |= {key for key in ("words", *NEMO_FIELDS) if isinstance(transcript.audio.fields.get(key), list)}
    row = {key: value for key, value in transcript.audio.fields.items() if key not in of_an_earlier_run}
    if not transcript.error and row.get("duration") is None:
        row["duration"] = round(transcript.duration_s, 4)
    row[text_key] = transcript.text
    if transcript.language is not None:
        row[LANGUAGE_KEY] = transcript.language
    if transcript.spoken_text is not None:
        row[f"{text_key}_spoken"] = transcript.spoken_text
    if transcript.words is not None:
        row["words"] = [_word_row(word) for word in transcript.words]
    row.update(transcript.nemo_fields)
    if transcript.audio.label is not None:
        row["channel"] = transcript.audio.channel
    if transcript.warning:
        row["warning"] = transcript.warning
    return row | {"error": transcript.error} if transcript.error else row


def _word_row(word: Word) -> dict[str, Any]:
    row: dict[str, Any] = {
        "word": word.word,
        "start": round(word.start_s, TIME_DIGITS),
        "end": round(word.end_s, TIME_DIGITS),
    }
    return row if word.confidence is None else row | {"confidence": round(word.confidence, CONFIDENCE_DIGITS)}

"""A transcript in the response formats of OpenAI's API."""

import math
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from nemo_models.serving.json_text import encode_json
from nemo_models.transcription.output_formats import format_transcript
from nemo_models.transcription.subtitles import SubtitleSettings
from nemo_models.transcription.transcripts import CONFIDENCE_DIGITS, TIME_DIGITS, Transcript, Word

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("word", "segment")
LANGUAGE = "hindi"  # as OpenAI names it in verbose_json
SEGMENT_PAUSE_S = 0.6  # a silence that ends a segment
SEGMENT_S = 30.0  # the longest segment
_LEAST = 1e-4  # confidence whose logarithm still says something
MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


def format_body(
    transcript: Transcript,
    name: str,
    granularities: Collection[str] = (),
    subtitles: SubtitleSettings | None = None,
    language: str = LANGUAGE,
) -> tuple[str, str]:
    """Return the body of an answer and its media type.

    Args:
        transcript: The transcript, with words for `srt` and `vtt`.
        name: One of `FORMATS`.
        granularities: For `verbose_json`: any of `GRANULARITIES`; none: segments.
        subtitles: Form of the subtitles; `None`: the defaults.
        language: English name of the model's language, in lower case, for `verbose_json`.
    """
    if name in ("srt", "vtt"):
        return format_transcript(transcript, name, subtitles), MEDIA_TYPES[name]
    if name == "text":
        return f"{transcript.text}\n", MEDIA_TYPES[name]
    row = verbose(transcript, granularities, language) if name == "verbose_json" else brief(transcript)
    return encode_json(row), "application/json"


def brief(transcript: Transcript) -> dict[str, Any]:
    """Return the object of the format `json`."""
    row = {"text": transcript.text, "usage": usage(transcript)}
    return row if transcript.warning is None else {**row, "warning": transcript.warning}


def usage(transcript: Transcript) -> dict[str, Any]:
    """Return how much audio was transcribed, in whole seconds."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}


def verbose(transcript: Transcript, granularities: Collection[str] = (), language: str = LANGUAGE) -> dict[str, Any]:
    """Return the object of the format `verbose_json`."""
    row: dict[str, Any] = {
        "task": "transcribe",
        "language": language,
        "duration": round(transcript.duration_s, 4),
        **brief(transcript),
    }
    if transcript.spoken_text is not None:
        row["text_spoken"] = transcript.spoken_text
    if "word" in granularities:
        row["words"] = [word_row(word) for word in transcript.words or ()]
    if "segment" in granularities or not granularities:
        row["segments"] = [_segment_row(number, *part) for number, part in enumerate(_segments(transcript))]
    return row


def word_row(word: Word) -> dict[str, Any]:
    """Return a word with its times (seconds) and, if known, its confidence."""
    row: dict[str, Any] = {
        "word": word.word,
        "start": round(word.start_s, TIME_DIGITS),
        "end": round(word.end_s, TIME_DIGITS),
    }
    return row if word.confidence is None else {**row, "confidence": round(word.confidence, CONFIDENCE_DIGITS)}


def _segments(transcript: Transcript) -> Iterator[tuple[float, float, str, Sequence[Word]]]:
    """Cut a transcript at its pauses; one without words is one segment."""
    if transcript.words is None:
        if transcript.text:
            yield 0.0, transcript.duration_s, transcript.text, ()
        return
    part: list[Word] = []
    for word in (*transcript.words, None):
        is_end = word is None or (
            part and (word.start_s - part[-1].end_s >= SEGMENT_PAUSE_S or word.end_s - part[0].start_s > SEGMENT_S)
        )
        if is_end and part:
            yield part[0].start_s, part[-1].end_s, " ".join(held.word for held in part), part
            part = []
        if word is not None:
            part.append(word)


def _segment_row(number: int, start_s: float, end_s: float, text: str, words: Sequence[Word]) -> dict[str, Any]:
    """Return a segment with Whisper's fields: those that a CTC model does not have are neutral.

    `avg_logprob` is the mean logarithm of the words' confidence; `tokens` is empty, `no_speech_prob` 0.
    """
    known = [word.confidence for word in words if word.confidence is not None]
    mean = sum(math.log(max(value, _LEAST)) for value in known) / len(known) if known else 0.0
    encoded = text.encode()
    row: dict[str, Any] = {
        "id": number,
        "seek": 0,
        "start": round(start_s, TIME_DIGITS),
        "end": round(end_s, TIME_DIGITS),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(mean, CONFIDENCE_DIGITS),
        "compression_ratio": round(len(encoded) / len(zlib.compress(encoded)), CONFIDENCE_DIGITS),
        "no_speech_prob": 0.0,
    }
    return {**row, "confidence": round(sum(known) / len(known), CONFIDENCE_DIGITS)} if known else row

"""The rows that every corpus reader yields, so that the pipeline does not depend on the corpus."""

import os
from dataclasses import dataclass

UNKNOWN_SPEAKER = "unknown"
# Reason codes by which a list of utterances itself leaves out a valid row, and what each means.
EXCLUSIONS = {
    "excluded_by_corpus": "the corpus itself says that the row is not for use",
    "low_confidence": "the recogniser that wrote the text is not sure of it",
    "greedy_disagrees": "without its language model the recogniser writes another text",
    "dropout_disagrees": "with some of its units switched off the recogniser writes another text",
    "unlikely_text": "the language model finds the text too unlikely",
    "no_pause": "a stretch of a long recording without a pause to cut at",
    "evaluation_leak": "the recording or the text is in a manifest of evaluation data",
}


@dataclass(frozen=True)
class Utterance:
    """One recording, or a segment or channel of one, with its transcript as the corpus has it.

    Attributes:
        file: The file that lists the utterance.
        line: The line in it, from 1 (the row, in a Parquet file).
        path: The audio as the corpus writes it.
        audio: Absolute path of the audio.
        text: The transcript, unchanged.
        speaker: The speaker, or the finest grouping of voices that the corpus has (a radio station, say).
        split: `train`, `dev` or `test` where the corpus has official splits, else `None`.
        offset: Start of the utterance in the audio, in seconds; `None` with `duration` for the whole recording.
        duration: Length, in seconds; `None` for up to the recording's end.
        row: Where `audio` is a Parquet file, the row in it that holds the recording, from 0.
        subset: The corpus's own name of a finer part than `split`, such as `test_unknown`.
        channel: The channel that the utterance is in, from 0; `None` if the corpus does not say.
        excluded: Reason (a key of `EXCLUSIONS`) and detail by which the corpus leaves the row out, or `None`.
    """

    file: str
    line: int
    path: str
    audio: str
    text: str
    speaker: str = UNKNOWN_SPEAKER
    split: str | None = None
    offset: float | None = None
    duration: float | None = None
    row: int | None = None
    subset: str | None = None
    channel: int | None = None
    excluded: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """Identifier of the piece of audio: normalised path, segment (of a part of the file) and channel."""
        name = os.path.normpath(self.path)
        channel = "" if self.channel is None else f"#{self.channel}"
        if self.offset is None and self.duration is None:
            return f"{name}{channel}"
        end = "" if self.duration is None else f"{(self.offset or 0.0) + self.duration:.3f}"
        return f"{name}@{self.offset or 0.0:.3f}-{end}{channel}"


@dataclass(frozen=True)
class MalformedRow:
    """A row that is invalid, or that the corpus itself excludes.

    Attributes:
        file: The file that lists it.
        line: The line in it, from 1.
        text: The content of the line.
        detail: What was found.
        reason: Reason code of `data_prep.selection.quality`: `malformed_row`, or `excluded_by_corpus` where the corpus
            itself says that a valid row is not for use.
    """

    file: str
    line: int
    text: str
    detail: str
    reason: str = "malformed_row"


@dataclass(frozen=True)
class Note:
    """Something about the whole corpus that the user should know, such as a column that was not used."""

    text: str


CHANNEL_LETTERS = {"a": 0, "b": 1}  # as in CTM and STM files


def parse_channel(value: object) -> int | None:
    """Read a channel number.

    Args:
        value: A number from 0, its digits, `A` or `B`; `None` or an empty text for no choice.

    Returns:
        The channel, from 0, or `None`.

    Raises:
        ValueError: It is anything else.
    """
    if value is None or value == "":
        return None
    text = str(value).strip().lower()
    if text in CHANNEL_LETTERS:
        return CHANNEL_LETTERS[text]
    if isinstance(value, (bool, float)) or not (text.isascii() and text.isdigit()):
        raise ValueError(f"found channel '{value}', expected a number from 0, or A or B")
    return int(text)

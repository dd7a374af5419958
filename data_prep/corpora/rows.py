"""What every corpus reader yields, so that the pipeline need not know which corpus it works on."""

import os
from dataclasses import dataclass

UNKNOWN_SPEAKER = "unknown"


@dataclass(frozen=True)
class Utterance:
    """One recording with its transcript, as the corpus has it.

    Attributes:
        file: The file that lists the utterance.
        line: The line there, from 1 (the row, in a Parquet file).
        path: The audio as the corpus writes it.
        audio: Absolute path of the audio.
        text: The transcript, untouched.
        speaker: Who speaks, or the finest grouping of voices that the corpus knows (a radio station, say).
        split: `train`, `dev` or `test` where the corpus has official splits, else `None`.
        offset: Where the utterance begins in the audio, in seconds; `None` with `duration` is the whole recording.
        duration: How long it is, in seconds; `None` is up to the recording's end.
        row: Where `audio` is a Parquet file, the row in it that holds the recording, from 0.
        subset: The corpus's own name of a finer part than `split`, such as `test_unknown`.
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

    @property
    def key(self) -> str:
        """What identifies the piece of audio: the normalised path, and the segment where it is not the whole file."""
        name = os.path.normpath(self.path)
        if self.offset is None and self.duration is None:
            return name
        end = "" if self.duration is None else f"{(self.offset or 0.0) + self.duration:.3f}"
        return f"{name}@{self.offset or 0.0:.3f}-{end}"


@dataclass(frozen=True)
class MalformedRow:
    """A row that is no utterance: where it stands, what it holds, and what is wrong with it.

    Attributes:
        file: The file that lists it.
        line: The line there, from 1.
        text: What stands there.
        detail: What is wrong.
        reason: Its reason code in `data_prep.selection.quality`: `malformed_row`, or `excluded_by_corpus` where the
            corpus itself says that a sound row is not for use.
    """

    file: str
    line: int
    text: str
    detail: str
    reason: str = "malformed_row"

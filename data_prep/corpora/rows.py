"""What every corpus reader yields, so that the pipeline need not know which corpus it works on."""

from dataclasses import dataclass

UNKNOWN_SPEAKER = "unknown"


@dataclass(frozen=True)
class Utterance:
    """One recording with its transcript, as the corpus has it.

    Attributes:
        file: The file that lists the utterance.
        line: The line there, from 1.
        path: The audio as the corpus writes it.
        audio: Absolute path of the audio.
        text: The transcript, untouched.
        speaker: Who speaks, or the finest grouping of voices that the corpus knows (a radio station, say).
        split: `train`, `dev` or `test` where the corpus has official splits, else `None`.
    """

    file: str
    line: int
    path: str
    audio: str
    text: str
    speaker: str = UNKNOWN_SPEAKER
    split: str | None = None


@dataclass(frozen=True)
class MalformedRow:
    """A row that is no utterance: where it stands, what it holds, and what is wrong with it."""

    file: str
    line: int
    text: str
    detail: str

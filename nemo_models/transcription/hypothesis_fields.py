"""What NeMo's hypotheses say of words and times, on the time line of the whole input."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_models.transcription.transcript_files import CONFIDENCE_DIGITS, STAMPS, TIME_DIGITS, Word

if TYPE_CHECKING:
    from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis


@dataclass(frozen=True)
class Part:
    """What is kept of a stretch that was decoded: a hypothesis holds its frames, too, and those of hours add up.

    Attributes:
        start_frame: Its first frame, counted from the input's beginning.
        text: What was recognised.
        words: The words, where they were asked for.
        nemo_fields: Of NeMo's fields those that were asked for.
    """

    start_frame: int
    text: str
    words: tuple[Word, ...]
    nemo_fields: Mapping[str, list[Any]]


def make_part(
    hypotheses: Sequence["Hypothesis"], start_frame: int, frame_s: float, words: bool, nemo_fields: Collection[str]
) -> Part:
    """Take what is wanted out of a stretch's hypotheses.

    Args:
        hypotheses: Best first, with what the words and fields need.
        start_frame: The stretch's first frame.
        frame_s: Seconds from one frame to the next.
        words: Whether words are wanted.
        nemo_fields: Any of `NEMO_FIELDS`.
    """
    best = hypotheses[0]
    fields: dict[str, list[Any]] = {
        key: [_shift(stamp, start_frame, frame_s) for stamp in best.timestamp[key]]
        for key in STAMPS
        if key in nemo_fields
    }
    if "word_confidence" in nemo_fields:
        fields["word_confidence"] = [round(float(value), CONFIDENCE_DIGITS) for value in best.word_confidence]
    if "beams" in nemo_fields:
        fields["beams"] = [[" ".join(hyp.text.split()), float(hyp.score)] for hyp in hypotheses]
    listed = tuple(_list_words(best, start_frame, frame_s)) if words else ()
    return Part(start_frame, best.text, listed, fields)


def join_parts(parts: Sequence[Part]) -> tuple[str, tuple[Word, ...], dict[str, list[Any]]]:
    """Join an input's parts in order: text with single spaces, words, and fields.

    `beams` is there only where the whole input was decoded at once.
    """
    in_order = sorted(parts, key=lambda part: part.start_frame)
    text = " ".join(" ".join(part.text for part in in_order).split())
    words = tuple(word for part in in_order for word in part.words)
    keys = [key for key in in_order[0].nemo_fields if key != "beams" or len(in_order) == 1]
    return text, words, {key: [item for part in in_order for item in part.nemo_fields[key]] for key in keys}


def _list_words(best: "Hypothesis", start_frame: int, frame_s: float) -> Iterator[Word]:
    stamps = best.timestamp["word"]
    for stamp, confidence in zip(stamps, best.word_confidence or [None] * len(stamps), strict=True):
        start_s, end_s = ((start_frame + int(stamp[key])) * frame_s for key in ("start_offset", "end_offset"))
        yield Word(stamp["word"], start_s, end_s, None if confidence is None else float(confidence))


def _shift(stamp: Mapping[str, Any], start_frame: int, frame_s: float) -> dict[str, Any]:
    offsets = {name: start_frame + int(stamp[name]) for name in ("start_offset", "end_offset")}
    seconds = {name: round(offsets[f"{name}_offset"] * frame_s, TIME_DIGITS) for name in ("start", "end")}
    return {**stamp, **offsets, **seconds}

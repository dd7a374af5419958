"""The words and times of NeMo's hypotheses, on the time line of the whole input."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_models.transcription.options import STAMPS
from nemo_models.transcription.transcripts import CONFIDENCE_DIGITS, TIME_DIGITS, Word

if TYPE_CHECKING:
    from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis

    from nemo_models.transcription.log_prob_joiner import LogProbSegment


@dataclass(frozen=True)
class SegmentResult:
    """The text of a segment, with words and times. (A hypothesis also keeps its frames: too much memory over hours.)

    Attributes:
        text: The text.
        words: Its words, if asked for.
        nemo_fields: NeMo's fields that were asked for.
        start_frame: Number of the segment's first frame in the input.
        index: The input's position in its job.
        language: Code of the language that it was decoded in, for a model that has several.
    """

    text: str
    words: tuple[Word, ...]
    nemo_fields: Mapping[str, list[Any]]
    start_frame: int = 0
    index: int = 0
    language: str | None = None


def make_result(
    segment: "LogProbSegment",
    hypotheses: Sequence["Hypothesis"],
    frame_s: float,
    words: bool,
    nemo_fields: Collection[str],
) -> SegmentResult:
    """Take what is asked for out of a segment's hypotheses.

    Args:
        segment: What was decoded.
        hypotheses: Best first, with times and confidence where words or fields need them.
        frame_s: Seconds from one frame to the next.
        words: Whether words are asked for.
        nemo_fields: Any of `options.NEMO_FIELDS`.
    """
    best, start_frame = hypotheses[0], segment.start_frame
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
    return SegmentResult(best.text, listed, fields, start_frame, segment.index, segment.language)


def join_results(results: Sequence[SegmentResult]) -> tuple[str, tuple[Word, ...], dict[str, list[Any]]]:
    """Join an input's results in order: text with single spaces, words, and fields.

    `beams` is there only if the whole input was decoded at once.
    """
    in_order = sorted(results, key=lambda result: result.start_frame)
    text = " ".join(" ".join(result.text for result in in_order).split())
    words = tuple(word for result in in_order for word in result.words)
    keys = [key for key in in_order[0].nemo_fields if key != "beams" or len(in_order) == 1]
    return text, words, {key: [item for result in in_order for item in result.nemo_fields[key]] for key in keys}


def _list_words(best: "Hypothesis", start_frame: int, frame_s: float) -> Iterator[Word]:
    stamps = best.timestamp["word"]
    for stamp, confidence in zip(stamps, best.word_confidence or [None] * len(stamps), strict=True):
        start_s, end_s = ((start_frame + int(stamp[key])) * frame_s for key in ("start_offset", "end_offset"))
        yield Word(stamp["word"], start_s, end_s, None if confidence is None else float(confidence))


def _shift(stamp: Mapping[str, Any], start_frame: int, frame_s: float) -> dict[str, Any]:
    offsets = {name: start_frame + int(stamp[name]) for name in ("start_offset", "end_offset")}
    seconds = {name: round(offsets[f"{name}_offset"] * frame_s, TIME_DIGITS) for name in ("start", "end")}
    return {**stamp, **offsets, **seconds}

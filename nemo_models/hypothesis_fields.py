"""What NeMo's hypotheses say of words and times, on the time line of the whole input."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nemo_models.transcript_files import CONFIDENCE_DIGITS, TIME_DIGITS, Word

if TYPE_CHECKING:
    from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis

STAMPS = ("char", "word", "segment")
NEMO_FIELDS = (*STAMPS, "word_confidence", "beams")
"""What NeMo's script writes with `timestamps`, `confidence` and `extract_nbest`."""

Decoded = Sequence[tuple[int, Sequence["Hypothesis"]]]
"""What was decoded of an input, in order: its first frame, and the hypotheses, best first."""


def join_texts(decoded: Decoded) -> str:
    """Join the texts of an input's parts; single spaces between words."""
    return " ".join(" ".join(hypotheses[0].text for _, hypotheses in decoded).split())


def list_words(decoded: Decoded, frame_s: float) -> Iterator[Word]:
    """List an input's words.

    Args:
        decoded: Hypotheses with `timestamp["word"]`, and `word_confidence` where there is one.
        frame_s: Seconds from one frame to the next.
    """
    for start_frame, (best, *_) in decoded:
        stamps = best.timestamp["word"]
        for stamp, confidence in zip(stamps, best.word_confidence or [None] * len(stamps), strict=True):
            start_s, end_s = ((start_frame + int(stamp[key])) * frame_s for key in ("start_offset", "end_offset"))
            yield Word(stamp["word"], start_s, end_s, None if confidence is None else float(confidence))


def list_nemo_fields(decoded: Decoded, frame_s: float, wanted: Collection[str]) -> dict[str, Any]:
    """Give the keys that NeMo's script writes into a row.

    Args:
        decoded: Hypotheses with what the fields need.
        frame_s: Seconds from one frame to the next.
        wanted: Any of `NEMO_FIELDS`. `beams` is there only where the whole input was decoded at once.
    """
    fields: dict[str, Any] = {key: list(_shift(decoded, key, frame_s)) for key in STAMPS if key in wanted}
    if "word_confidence" in wanted:
        confidences = (confidence for _, (best, *_) in decoded for confidence in best.word_confidence)
        fields["word_confidence"] = [round(float(confidence), CONFIDENCE_DIGITS) for confidence in confidences]
    if "beams" in wanted and len(decoded) == 1:
        fields["beams"] = [[" ".join(hyp.text.split()), float(hyp.score)] for hyp in decoded[0][1]]
    return fields


def _shift(decoded: Decoded, key: str, frame_s: float) -> Iterator[dict[str, Any]]:
    for start_frame, (best, *_) in decoded:
        for stamp in best.timestamp[key]:
            offsets = {name: start_frame + int(stamp[name]) for name in ("start_offset", "end_offset")}
            seconds = {name: round(offsets[f"{name}_offset"] * frame_s, TIME_DIGITS) for name in ("start", "end")}
            yield {**stamp, **offsets, **seconds}

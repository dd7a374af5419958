"""Cuts the transcript of a long recording into pieces for training, at pauses between its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_models.self_training.settings import CutSettings

Word = Mapping[str, Any]
"""A word as transcripts have it: `word`, `start` and `end` in seconds, `confidence`."""


@dataclass(frozen=True)
class Piece:
    """A part of a recording with its words.

    Attributes:
        start_s: Where it begins, seconds from the beginning of the recording.
        end_s: Where it ends.
        words: Its words.
    """

    start_s: float
    end_s: float
    words: tuple[Word, ...]


def cut_transcript(words: Sequence[Word], length_s: float, longest_s: float, settings: CutSettings) -> list[Piece]:
    """Cut a recording into pieces.

    A cut is in the middle of a pause, and `margin_s` away from the words at most. Of the pauses in the second half of
    what is allowed, the longest one is taken.

    Args:
        words: The recording's words, in order.
        length_s: Its length, seconds.
        longest_s: Longest piece, seconds.
        settings: Shortest pause, and margin.

    Returns:
        The pieces, each word in exactly one; a recording that is short enough, or without words, is one piece. Where no
        pause is long enough, a piece is longer than `longest_s`.
    """
    if length_s <= longest_s or not words:
        return [Piece(0.0, length_s, tuple(words))]
    pieces, first = [], 0
    while first < len(words):
        last = _find_end(words, first, longest_s - 2 * settings.margin_s, settings.pause_s)
        before = (words[first - 1]["end"] + words[first]["start"]) / 2 if first else 0.0
        after = (words[last]["end"] + words[last + 1]["start"]) / 2 if last + 1 < len(words) else length_s
        start_s = max(before, words[first]["start"] - settings.margin_s)
        end_s = min(after, words[last]["end"] + settings.margin_s)
        pieces.append(Piece(start_s, end_s, tuple(words[first : last + 1])))
        first = last + 1
    return pieces


def _find_end(words: Sequence[Word], first: int, room_s: float, pause_s: float) -> int:
    """Find the last word of the piece that begins with a word."""
    begin_s = words[first]["start"]
    allowed: list[tuple[float, int, float]] = []  # pause, last word, length
    for at in range(first, len(words)):
        is_last = at + 1 == len(words)
        pause = float("inf") if is_last else words[at + 1]["start"] - words[at]["end"]
        span_s = words[at]["end"] - begin_s
        if span_s > room_s and allowed:
            break
        if pause >= pause_s:
            if is_last or span_s > room_s:
                return at
            allowed.append((pause, at, span_s))
    late = [one for one in allowed if one[2] >= room_s / 2]
    return max(late)[1] if late else allowed[-1][1]

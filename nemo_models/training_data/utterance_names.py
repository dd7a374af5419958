"""Utterances by the names that their user knows, and which of them cannot be read."""

from collections.abc import Sequence
from typing import Any

from lhotse.audio.utils import AudioLoadingError, DurationMismatchError, NonPositiveEnergyError
from lhotse.cut import MixedCut, PaddingCut

UNREADABLE = (AudioLoadingError, DurationMismatchError, NonPositiveEnergyError, ConnectionResetError)
"""For which Lhotse leaves an utterance out of its batch; anything else is a fault, and raised."""


def name_cut(cut: Any) -> str:
    """Name an utterance as its user knows it: by the audio file and the start of the segment, or by its id."""
    if isinstance(cut, MixedCut):
        return " + ".join(map(name_cut, utterances_of(cut)))
    sources = list(getattr(getattr(cut, "recording", None), "sources", None) or [])
    if len(sources) != 1 or sources[0].type != "file":
        return str(cut.id)
    return f"{sources[0].source} at {cut.start:.2f} s" if cut.start else str(sources[0].source)


def name_lost(cut: Any) -> str:
    """Name what of a cut cannot be read, and the utterances of its row that are left out for it."""
    utterances = utterances_of(cut)
    broken = [name_cut(each) for each in utterances if not is_readable(each)] or list(map(name_cut, utterances))
    others = [name for name in map(name_cut, utterances) if name not in broken]
    return " + ".join(broken) + (f" (and in a row with it {', '.join(others)})" if others else "")


def utterances_of(cut: Any) -> list[Any]:
    """The utterances of a cut: itself, or several in a row; neither silence between them nor noise over them."""
    if not isinstance(cut, MixedCut):
        return [cut]
    return [track.cut for track in cut.tracks if track.snr is None and not isinstance(track.cut, PaddingCut)]


def is_readable(cut: Any) -> bool:
    """Whether a cut's audio can be read."""
    try:
        cut.load_audio()
    except UNREADABLE:
        return False
    return True


def describe_utterances(names: Sequence[str], limit: int = 5) -> str:
    """Name the first of some utterances, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

"""Names of utterances that a user recognises, and which utterances are unreadable."""

from collections.abc import Sequence
from typing import Any

from lhotse.audio.utils import AudioLoadingError, DurationMismatchError, NonPositiveEnergyError
from lhotse.cut import MixedCut, PaddingCut

UNREADABLE = (AudioLoadingError, DurationMismatchError, NonPositiveEnergyError, ConnectionResetError)
"""Errors for which Lhotse leaves an utterance out of its batch; it raises any other error."""


def name_cut(cut: Any) -> str:
    """Name an utterance by its audio file and the start of its segment, or else by its id."""
    if isinstance(cut, MixedCut):
        return " + ".join(map(name_cut, utterances_of(cut)))
    sources = list(getattr(getattr(cut, "recording", None), "sources", None) or [])
    if len(sources) != 1 or sources[0].type != "file":
        return str(cut.id)
    return f"{sources[0].source} at {cut.start:.2f} s" if cut.start else str(sources[0].source)


def name_lost(cut: Any) -> str:
    """Name the unreadable utterances of a cut, and the utterances that were joined with them and are left out too."""
    utterances = utterances_of(cut)
    broken = [name_cut(each) for each in utterances if not is_readable(each)] or list(map(name_cut, utterances))
    others = [name for name in map(name_cut, utterances) if name not in broken]
    return " + ".join(broken) + (f" (joined with {', '.join(others)})" if others else "")


def utterances_of(cut: Any) -> list[Any]:
    """List the utterances of a cut: itself, or several joined ones. Silence between them and noise are left out."""
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
    """Name the first utterances, and how many more there are.

    Args:
        names: Names of the utterances.
        limit: Largest number of names to list.
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

"""Figures of a server's benchmark: percentiles, changed words, delays that grow; and the sound of a room."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

PERCENTILES = (50, 90, 95, 99)
QUIET_S = 0.1


def summarise(seconds: Sequence[float]) -> dict[str, Any] | None:
    """Return percentiles in milliseconds and the number of values; `None` without values."""
    if not len(seconds):
        return None
    found = np.percentile(np.asarray(seconds) * 1000, PERCENTILES)
    return {**{f"p{rank}": round(float(value), 1) for rank, value in zip(PERCENTILES, found, strict=True)},
            "n": len(seconds)}  # fmt: skip


def count_changes(texts: Sequence[str], lets_last_grow: bool = False) -> tuple[int, int]:
    """Count the words that a reader of a growing text sees, and those of them that change later.

    Args:
        texts: What was shown of one utterance, in order.
        lets_last_grow: A last word that only gets longer is not a change.

    Returns:
        Words shown, each version of a word once, and words that the next text does not have at their place.
    """
    shown = changed = 0
    before: list[str] = []
    for text in texts:
        words = text.split()
        same = 0
        while same < min(len(words), len(before)) and words[same] == before[same]:
            same += 1
        grows = lets_last_grow and same == len(before) - 1 < len(words) and words[same].startswith(before[same])
        shown += len(words) - same - grows
        changed += len(before) - same - grows
        before = words
    return shown, changed


def measure_churn(utterances: Sequence[Sequence[str]], lets_last_grow: bool = False) -> float | None:
    """Return the share of shown words that change later, 0 to 1; `None` if nothing was shown."""
    counts = [count_changes(texts, lets_last_grow) for texts in utterances]
    shown = sum(count for count, _ in counts)
    return round(sum(count for _, count in counts) / shown, 4) if shown else None


def count_broken(utterances: Sequence[Sequence[str]]) -> int:
    """Count texts, declared stable, that do not begin with the one before them."""
    return sum(not after.startswith(before) for texts in utterances for before, after in pairwise(texts))


def compare_ends(rows: Sequence[Sequence[float]], share: float) -> dict[str, Any]:
    """Compare delays at the start of a stream with those at its end.

    Args:
        rows: Pairs of the place in the audio and the delay there, both in seconds.
        share: How much of the audio counts as its start, and as its end, 0 to 1.

    Returns:
        Percentiles of both, and the growth of the median in milliseconds (`None` if one of them has no values).
    """
    last = max((place for place, _ in rows), default=0.0)
    start = summarise([delay for place, delay in rows if place <= share * last])
    end = summarise([delay for place, delay in rows if place >= (1 - share) * last])
    growth = round(end["p50"] - start["p50"], 1) if start and end else None
    return {"start_ms": start, "end_ms": end, "growth_ms": growth}


def find_sustained(rows: Sequence[Mapping[str, Any]], finalisation_ms: float, growth_ms: float) -> int:
    """Return the largest number of streams up to which every row keeps both limits; 0: none does.

    Args:
        rows: Figures by number of streams, in rising order, as the benchmark prints them.
        finalisation_ms: Most milliseconds of finalisation at the 95th percentile.
        growth_ms: Most milliseconds by which the median lag may grow.
    """
    sustained = 0
    for row in rows:
        final, growth = row["finalisation_ms"], row["lag_growth_ms"]
        if final is None or final["p95"] > finalisation_ms or growth is None or growth > growth_ms:
            break
        sustained = row["streams"]
    return sustained


def find_room(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return the quietest tenth of a second of a recording, (n,) of its type."""
    size = min(round(QUIET_S * rate), len(wave))
    starts = range(0, len(wave) - size + 1, max(1, size // 2))
    return min((wave[start : start + size] for start in starts), key=lambda part: np.square(part, dtype=float).sum())

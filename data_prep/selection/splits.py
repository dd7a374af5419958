"""Train, dev and test share no speaker; the choice is a hash of the name, so it is the same every time and everywhere.

Adding data never moves a speaker from train into dev or test. Only a small corpus, in which hashing alone would leave a
split empty, lends a split the speaker whose hash is nearest; when later data fills it, the lent one returns to its own.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping

SPLITS = ("train", "dev", "test")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}
# Evaluation splits start at hash 0, so that growing or shrinking train leaves test alone.
_HASH_ORDER = ("test", "dev", "train")


def check_split_settings(fractions: Mapping[str, float], listed: Mapping[str, Collection[str]]) -> None:
    """Check what the user asked for before any work is done.

    Args:
        fractions: Split → share of the speakers.
        listed: Split → speakers that the user put there.

    Raises:
        ValueError: An unknown split, a share outside 0…1, shares that do not add up to 1, a speaker in two lists.
    """
    unknown = [name for name in fractions if name not in SPLITS]
    if unknown:
        raise ValueError(f"splits: unknown split {', '.join(map(str, unknown))}; expected {', '.join(SPLITS)}")
    for name, share in fractions.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"splits.{name}={share}: expected a share from 0 to 1")
    if abs(sum(fractions.values()) - 1) > 1e-6:
        shares = ", ".join(f"{name}: {share:g}" for name, share in fractions.items())
        raise ValueError(f"splits={{{shares}}} add up to {sum(fractions.values()):g}; make them add up to 1")
    both = sorted(set(listed.get("dev", ())).intersection(listed.get("test", ())))
    if both:
        raise ValueError(f"dev_speakers and test_speakers both name {', '.join(both)}; a speaker has one split")


def assign_splits(
    speakers: Iterable[str],
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    listed: Mapping[str, Collection[str]] | None = None,
    seed: int = 0,
) -> dict[str, str]:
    """Give every speaker one split.

    Listed speakers go where they are listed; the others are hashed among the splits that have no list.

    Args:
        speakers: All speakers, in any order.
        fractions: Split → share of the speakers, adding up to 1.
        listed: Split → speakers that the user put there.
        seed: Another seed is another choice.

    Returns:
        Speaker → split, for every speaker; empty when there is no speaker.

    Raises:
        ValueError: A listed speaker does not exist, or there are fewer speakers than splits to fill.
    """
    names = set(speakers)
    lists = {split: set(chosen) for split, chosen in (listed or {}).items() if chosen}
    if not names:
        return {}
    for split, chosen in lists.items():
        if absent := sorted(chosen - names):
            raise ValueError(f"{split}_speakers: {', '.join(absent)} not among the kept speakers: {_enumerate(names)}")
    assigned = {name: split for split, chosen in lists.items() for name in chosen}
    free = {name: _hash_position(name, seed) for name in names - assigned.keys()}
    shares = {split: fractions.get(split, 0) for split in _HASH_ORDER if split not in lists and fractions.get(split, 0)}
    shares = shares or {"train": 1.0}
    if len(free) < len(shares) and not (lists and not free):
        raise ValueError(
            f"{len(free)} {'speakers' if len(free) != 1 else 'speaker'} ({_enumerate(free)}) cannot fill "
            f"{', '.join(reversed(shares))} without sharing one; ask for fewer splits, e.g. 'splits={{train: 1.0}}', "
            "name dev_speakers and test_speakers, or accept shared speakers with split_by=utterance"
        )
    return assigned | _assign_by_hash(free, shares)


def _assign_by_hash(positions: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, str]:
    """Cut the hash line 0…1 into one interval a split; lend a speaker to an interval that caught none."""
    intervals: dict[str, tuple[float, float]] = {}
    start, total = 0.0, sum(shares.values())
    for split, share in shares.items():
        intervals[split] = (start, start + share / total)
        start += share / total
    last = next(reversed(intervals))
    intervals[last] = (intervals[last][0], 2.0)  # rounding must not leave a gap before 1
    assigned = {
        name: next(split for split, (low, high) in intervals.items() if low <= position < high)
        for name, position in positions.items()
    }
    for split, (low, high) in intervals.items():
        members = list(assigned.values())
        if positions and split not in members:
            spare = [name for name in positions if members.count(assigned[name]) > 1]
            nearest = min(spare, key=lambda name: (max(low - positions[name], positions[name] - high), name))
            assigned[nearest] = split
    return assigned


def _hash_position(name: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big") / 2**64


def _enumerate(names: Iterable[str], limit: int = 20) -> str:
    names = sorted(names)
    return ", ".join(names[:limit]) + (f", … ({len(names)} in all)" if len(names) > limit else "")

"""Assigns each speaker one split by a hash of the name: the same choice in every run and on every machine.

Adding data never moves a speaker whose hash is in train's share into dev or test. In a small corpus hashing alone may
leave a split empty. Then the speaker with the nearest hash fills it, and moves back when later data fills it.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping

from data_prep.arguments import require_number

SPLITS = ("train", "dev", "test")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}
# Evaluation splits start at hash 0, so that growing or shrinking train leaves test alone.
_HASH_ORDER = ("test", "dev", "train")


def check_split_settings(fractions: Mapping[str, float], listed: Mapping[str, Collection[str]]) -> None:
    """Check the split settings before any work is done.

    Args:
        fractions: Split → share of the speakers.
        listed: Split → speakers that the user assigned to it.

    Raises:
        ValueError: A split is unknown, a share is outside 0…1, the shares do not add up to 1, or a speaker is in two
            lists.
    """
    unknown = [name for name in fractions if name not in SPLITS]
    if unknown:
        names = ", ".join(map(str, unknown))
        raise ValueError(f"splits={{{names}: …}}: unknown split {names}; expected {', '.join(SPLITS)}")
    for name, share in fractions.items():
        require_number(f"splits.{name}", share, least=0, most=1)
    if abs(sum(fractions.values()) - 1) > 1e-6:
        shares = ", ".join(f"{name}: {share:g}" for name, share in fractions.items())
        raise ValueError(f"splits={{{shares}}}: the shares add up to {sum(fractions.values()):g}, expected 1")
    both = sorted(set(listed.get("dev", ())).intersection(listed.get("test", ())))
    if both:
        names = ", ".join(both)
        raise ValueError(
            f"dev_speakers, test_speakers: found {names} in both, expected one split for each speaker; remove one"
        )


def assign_splits(
    speakers: Iterable[str],
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    listed: Mapping[str, Collection[str]] | None = None,
    seed: int = 0,
) -> dict[str, str]:
    """Assign every speaker one split.

    Listed speakers go to the split that lists them; the others are hashed among the splits without a list.

    Args:
        speakers: All speakers, in any order.
        fractions: Split → share of the speakers, adding up to 1.
        listed: Split → speakers that the user assigned to it.
        seed: Seed of the hash; another seed makes another choice.

    Returns:
        Speaker → split, for every speaker; empty without speakers.

    Raises:
        ValueError: A listed speaker does not exist, or there are fewer speakers than splits to fill.
    """
    names = set(speakers)
    lists = {split: set(chosen) for split, chosen in (listed or {}).items() if chosen}
    if not names:
        return {}
    for split, chosen in lists.items():
        if absent := sorted(chosen - names):
            unknown = ", ".join(absent)
            raise ValueError(f"{split}_speakers={unknown}: expected kept speakers; found {_enumerate(names)}")
    assigned = {name: split for split, chosen in lists.items() for name in chosen}
    free = {name: _hash_position(name, seed) for name in names - assigned.keys()}
    shares = {split: fractions.get(split, 0) for split in _HASH_ORDER if split not in lists and fractions.get(split, 0)}
    shares = shares or {"train": 1.0}
    if len(free) < len(shares) and not (lists and not free):
        raise ValueError(
            f"splits: found {len(free)} {'speakers' if len(free) != 1 else 'speaker'} ({_enumerate(free)}) for "
            f"{', '.join(reversed(shares))}, expected one or more for each; ask for fewer, as 'splits={{train: 1.0}}', "
            "name dev_speakers and test_speakers, or accept shared speakers with split_by=utterance"
        )
    return assigned | _assign_by_hash(free, shares)


def _assign_by_hash(positions: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, str]:
    """Divide the hash range 0…1 into one interval a split; fill an empty interval with the nearest speaker."""
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
            # of the other evaluation split before train, so that more data never calls a speaker out of train
            nearest = min(
                spare,
                key=lambda name: (
                    assigned[name] == "train",
                    max(low - positions[name], positions[name] - high),
                    name,
                ),
            )
            assigned[nearest] = split
    return assigned


def _hash_position(name: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big") / 2**64


def _enumerate(names: Iterable[str], limit: int = 20) -> str:
    names = sorted(names)
    return ", ".join(names[:limit]) + (f", … ({len(names)} in all)" if len(names) > limit else "")

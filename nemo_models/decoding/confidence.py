"""Confidence of characters and words: the share of the beam that agrees.

With a language model, a frame's probabilities say little about a word: the language model overrules frames that were
sure, and decides those that were not. The hypotheses that the search kept beside its best one, each weighted by its
score, include both. `scripts/benchmarks/confidence.py` compares the two measures: the beam is better for a recogniser
that is mostly right, the frames are better for one that is mostly wrong, whose beam is too narrow.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein


def weigh(scores: Sequence[float]) -> np.ndarray:
    """Return the share of each hypothesis in the beam: its probability, if the beam held all hypotheses.

    Args:
        scores: Natural logarithms; −∞ only if all are.

    Returns:
        (len(scores),) float64, sums to 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    highest = max(scores)
    if not np.isfinite(highest):
        return np.full(len(values), 1 / len(values))
    shares = np.exp(values - highest)
    return shares / shares.sum()


def agreement(
    sequence: Sequence[Hashable], alternatives: Sequence[Sequence[Hashable]], shares: Sequence[float] | np.ndarray
) -> list[float]:
    """Return for each item of a sequence the share of the alternatives that hold it, aligned by least edits.

    Args:
        sequence: Words or labels of one hypothesis.
        alternatives: Words or labels of all hypotheses, including this one.
        shares: Weight of each hypothesis; they sum to 1.

    Returns:
        0 … 1 for each item.
    """
    agreed = np.zeros(len(sequence))
    for alternative, share in zip(alternatives, shares, strict=True):
        for block in Levenshtein.opcodes(sequence, alternative):
            if block.tag == "equal":
                agreed[block.src_start : block.src_end] += share
    return np.minimum(agreed, 1.0).tolist()  # float sums

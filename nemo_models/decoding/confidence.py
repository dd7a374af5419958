"""How sure a recogniser is of what it wrote: the share of its beam that agrees.

What a frame says of itself tells little of a word with a language model behind it: the language model overrules frames
that were sure and settles those that were not. The hypotheses that the search kept beside its best one, each weighed
by its score, know both. `scripts/benchmarks/confidence.py` compares the two: the beam is the better judge of a
recogniser that is mostly right, the frames are of one that is mostly wrong, whose beam is too narrow for its doubts.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein


def weigh(scores: Sequence[float]) -> np.ndarray:
    """Share of each hypothesis in the beam: its probability, if the beam held everything.

    Args:
        scores: Natural logarithms; −∞ only where all are.

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
    """Share of the alternatives that hold each item of a sequence, at its place in a least-edits alignment.

    Args:
        sequence: Words or labels of one hypothesis.
        alternatives: Those of all hypotheses, this one among them.
        shares: Weight of each, sums to 1.

    Returns:
        0 … 1 for each item.
    """
    agreed = np.zeros(len(sequence))
    for alternative, share in zip(alternatives, shares, strict=True):
        for block in Levenshtein.opcodes(sequence, alternative):
            if block.tag == "equal":
                agreed[block.src_start : block.src_end] += share
    return np.minimum(agreed, 1.0).tolist()  # float sums

"""Facts about single words from a final alignment: confused pairs, right and wrong words, segments of a test."""

from collections import Counter

import numpy as np

from nemo_models.evaluation.alignment import BLOCK, DELETION, INSERTION, MATCH, SUBSTITUTION
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.text_pairs import find_differences


def count_substitutions(score: LayeredScore) -> Counter[tuple[str, str]]:
    """Count pairs of reference word and wrong word, after all layers."""
    alignment, pairs = score.final, score.pairs
    steps = alignment.ops == SUBSTITUTION
    ones, others = pairs.ref.ids[alignment.ref[steps]], pairs.hyp.ids[alignment.hyp[steps]]
    coded, counts = np.unique(ones.astype(np.int64) << 32 | others, return_counts=True)
    words = pairs.normal_words
    return Counter(
        {
            (words[code >> 32], words[code & 0xFFFFFFFF]): n
            for code, n in zip(coded.tolist(), counts.tolist(), strict=True)
        }
    )


def count_deletions(score: LayeredScore) -> Counter[str]:
    """Count words of the references that are missing."""
    alignment = score.final
    return _count(score, score.pairs.ref.ids[alignment.ref[alignment.ops == DELETION]])


def count_insertions(score: LayeredScore) -> Counter[str]:
    """Count words that are too many."""
    alignment = score.final
    return _count(score, score.pairs.hyp.ids[alignment.hyp[alignment.ops == INSERTION]])


def _count(score: LayeredScore, ids: np.ndarray) -> Counter[str]:
    numbers, counts = np.unique(ids, return_counts=True)
    words = score.pairs.normal_words
    return Counter({words[number]: n for number, n in zip(numbers.tolist(), counts.tolist(), strict=True)})


def count_boundary_errors(score: LayeredScore) -> Counter[tuple[str, str]]:
    """Count stretches whose letters are right and whose words are parted elsewhere."""
    pairs, found = score.pairs, Counter[tuple[str, str]]()
    words = pairs.normal_words
    places = find_differences(score.final, pairs.ref, pairs.hyp)
    sizes = np.column_stack([places[:, 2] - places[:, 1], places[:, 4] - places[:, 3]])
    for _, ref_from, ref_to, hyp_from, hyp_to in places[(sizes.min(1) > 0) & (sizes.max(1) > 1)].tolist():
        ones = [words[n] for n in pairs.ref.ids[ref_from:ref_to]]
        others = [words[n] for n in pairs.hyp.ids[hyp_from:hyp_to]]
        if "".join(ones) == "".join(others):
            found[" ".join(ones), " ".join(others)] += 1
    return found


def mark_right_reference_words(score: LayeredScore) -> np.ndarray:
    """Return (normalised reference words,) bool: whether each was recognised, after all layers."""
    return _mark(score, score.final.ref, 0, len(score.pairs.ref.ids))


def mark_right_raw_words(score: LayeredScore) -> tuple[np.ndarray, np.ndarray]:
    """Tell of each raw word of the hypotheses whether it is right.

    Returns:
        (raw words,) bool, and (N+1,) int64: where each utterance's raw words begin. A word is right if all its
        normalised words are; one that is punctuation alone counts as right.
    """
    pairs = score.pairs
    right = _mark(score, score.final.hyp, 2, len(pairs.hyp.ids))
    wrong = np.concatenate([[0], np.cumsum(~right)])
    raw = wrong[pairs.hyp_starts[1:]] == wrong[pairs.hyp_starts[:-1]]
    firsts = np.searchsorted(pairs.owner, np.arange(len(score) + 1))
    return raw, pairs.raw_hyp.bounds[firsts]


def _mark(score: LayeredScore, starts: np.ndarray, column: int, total: int) -> np.ndarray:
    alignment = score.final
    right = np.zeros(total, bool)
    right[starts[alignment.ops == MATCH]] = True
    for step in np.flatnonzero(alignment.ops == BLOCK):
        span = score.final_blocks.spans[alignment.block[step]]
        right[starts[step] : starts[step] + span[column + 1] - span[column]] = True
    return right


def list_error_slots(score: LayeredScore, layer: str | None = None) -> list[np.ndarray]:
    """Return each utterance's errors by place: insertions before the first word, the first word, insertions after it, …

    What MAPSSWE needs: (2 · R + 1,) int64 for R reference words.

    Args:
        score: One system's score.
        layer: Name of the layer to align in; `None`: the last.
    """
    alignment, ref, _ = score.align_at(layer or score.layers[-1].name)
    owner = score.pairs.owner
    ref_bounds = ref.bounds[np.searchsorted(owner, np.arange(len(score) + 1))]
    bounds = 2 * ref_bounds + np.arange(len(score) + 1)
    slots = np.zeros(bounds[-1], np.int64)
    place = 2 * alignment.ref + np.repeat(owner, np.diff(alignment.bounds))
    wrong = (alignment.ops == SUBSTITUTION) | (alignment.ops == DELETION)
    slots[place[wrong] + 1] = 1
    np.add.at(slots, place[alignment.ops == INSERTION], 1)
    return [slots[bounds[n] : bounds[n + 1]] for n in range(len(score))]

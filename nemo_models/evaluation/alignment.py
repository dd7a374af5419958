"""Word alignments for whole test sets: the fewest errors, several words against one where that is allowed.

The recurrence is the usual edit distance with one addition: a *block* matches a span of the reference with a span of
the hypothesis at no cost (रेल गाड़ी = रेलगाड़ी, 25 = पच्चीस). More blocks and more equal words can only lower the
number of errors, so no layer of the score raises a rate.

Among alignments with equally few errors, the one with the most correct words is taken, in agreement with sclite's
weights (4 for a substitution, 3 for an insertion or a deletion). The number of errors is the edit distance that jiwer
counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from rapidfuzz.distance import Levenshtein

from data_prep.compiled import compiled

MATCH, SUBSTITUTION, DELETION, INSERTION, BLOCK = range(5)
# Cells of one table, 48 bytes of memory for each four; longer transcripts are cut along a best alignment first.
MAX_CELLS = 4_000_000
_PIECE_WORDS = 1000
_ONE_ERROR = 1 << 32  # costs are errors · 2³² + substitutions: fewest errors first, fewest substitutions next


@dataclass(frozen=True)
class Sequences:
    """Many sequences of word numbers in one array.

    Attributes:
        ids: (total,) int32, all words one after the other.
        bounds: (N+1,) int64, where each sequence begins, and the end of the last.
    """

    ids: np.ndarray
    bounds: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64, words of each sequence."""
        return np.diff(self.bounds)

    def __getitem__(self, number: int) -> np.ndarray:
        return self.ids[self.bounds[number] : self.bounds[number + 1]]

    def mapped(self, table: np.ndarray) -> "Sequences":
        """Return the same sequences with each word's number looked up in a table, such as one of equal spellings."""
        return Sequences(table[self.ids], self.bounds)

    def have_any(self, flags: np.ndarray) -> np.ndarray:
        """(N,) bool, whether each sequence has a word that is flagged.

        Args:
            flags: Whether each word number is flagged, bool.
        """
        counts = np.concatenate([[0], np.cumsum(flags[self.ids])]) if len(self.ids) else np.zeros(1, np.int64)
        return np.asarray(counts[self.bounds[1:]] > counts[self.bounds[:-1]])


@dataclass(frozen=True)
class Alignment:
    """The alignment of references and hypotheses of many utterances.

    Attributes:
        errors: (N, 3) int64: substitutions, deletions, insertions of each pair.
        bounds: (N+1,) int64: where each pair's operations begin in the arrays below.
        ops: (total,) int8: `MATCH`, `SUBSTITUTION`, `DELETION`, `INSERTION` or `BLOCK`, in reading order.
        ref: (total,) int64: position in `Sequences.ids` of the reference at which the operation begins.
        hyp: (total,) int64: the same for the hypothesis.
        block: (total,) int64: the row of `blocks` for a `BLOCK`, else -1.
    """

    errors: np.ndarray
    bounds: np.ndarray
    ops: np.ndarray
    ref: np.ndarray
    hyp: np.ndarray
    block: np.ndarray

    @property
    def totals(self) -> np.ndarray:
        """(N,) int64, errors of each pair."""
        return cast(np.ndarray, self.errors.sum(axis=1))


@dataclass(frozen=True)
class Blocks:
    """Spans that match at no cost.

    Attributes:
        bounds: (N+1,) int64: where each pair's blocks begin.
        spans: (B, 4) int64: from and to in the reference, from and to in the hypothesis, counted within the pair, and
            sorted by the second within each pair.
    """

    bounds: np.ndarray
    spans: np.ndarray

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[tuple[int, int, int, int]]]) -> "Blocks":
        """Collect the spans of each pair."""
        bounds = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(spans) for spans in lists], out=bounds[1:])
        rows = [span for spans in lists for span in sorted(spans, key=lambda span: span[1])]
        return cls(bounds, np.array(rows, np.int64).reshape(-1, 4))

    @classmethod
    def none(cls, pairs: int) -> "Blocks":
        """Return no block for any of so many pairs."""
        return cls(np.zeros(pairs + 1, np.int64), np.zeros((0, 4), np.int64))


def align(references: Sequences, hypotheses: Sequences, blocks: Blocks | None = None) -> Alignment:
    """Align every hypothesis with its reference.

    Args:
        references: Word numbers; equal numbers are equal words. Pairs must be short enough for a table
            (`find_cuts` cuts longer ones).
        hypotheses: The same, as many sequences.
        blocks: Spans that match at no cost.

    Returns:
        The alignment.
    """
    blocks = blocks or Blocks.none(len(references.lengths))
    largest = int(((references.lengths + 1) * (hypotheses.lengths + 1)).max(initial=1))
    room = int((references.lengths + hypotheses.lengths).sum())
    arrays = _align_all(
        references.ids, references.bounds, hypotheses.ids, hypotheses.bounds, blocks.bounds, blocks.spans, largest, room
    )
    return Alignment(*arrays)


def count_errors(references: Sequences, hypotheses: Sequences) -> np.ndarray:
    """Return the (N,) int64 errors of each pair, without blocks: faster than `align`."""
    return _count_all(references.ids, references.bounds, hypotheses.ids, hypotheses.bounds)


def find_cuts(reference: np.ndarray, hypothesis: np.ndarray) -> list[tuple[int, int]]:
    """Cut a long pair into pieces whose alignments together are a best alignment of the whole.

    Args:
        reference: (R,) int32 word numbers.
        hypothesis: (H,) int32.

    Returns:
        Places (in the reference, in the hypothesis) at which to cut, none for a pair that fits into one table. Memory
        is linear in the number of words: rapidfuzz finds a best alignment by Hirschberg's method.
    """
    if (len(reference) + 1) * (len(hypothesis) + 1) <= MAX_CELLS:
        return []
    cuts: list[tuple[int, int]] = []
    last = (0, 0)
    for code in Levenshtein.opcodes(reference.tolist(), hypothesis.tolist()):
        steps = max(code.src_end - code.src_start, code.dest_end - code.dest_start)
        for step in range(0, steps + 1):
            place = (min(code.src_start + step, code.src_end), min(code.dest_start + step, code.dest_end))
            long_enough = max(place[0] - last[0], place[1] - last[1]) >= _PIECE_WORDS
            if long_enough and (
                code.tag == "equal" or max(place[0] - last[0], place[1] - last[1]) >= 3 * _PIECE_WORDS // 2
            ):
                cuts.append(place)
                last = place
    return [cut for cut in cuts if cut != (len(reference), len(hypothesis))]


@compiled
def _count_all(ref_ids: np.ndarray, ref_bounds: np.ndarray, hyp_ids: np.ndarray, hyp_bounds: np.ndarray) -> np.ndarray:
    pairs = len(ref_bounds) - 1
    errors = np.zeros(pairs, np.int64)
    row = np.zeros(1 + np.max(hyp_bounds[1:] - hyp_bounds[:-1]) if pairs else 1, np.int64)
    for pair in range(pairs):
        ref = ref_ids[ref_bounds[pair] : ref_bounds[pair + 1]]
        hyp = hyp_ids[hyp_bounds[pair] : hyp_bounds[pair + 1]]
        columns = len(hyp)
        for j in range(columns + 1):
            row[j] = j
        for i in range(len(ref)):
            previous = row[0]
            row[0] = i + 1
            for j in range(columns):
                above = row[j + 1]
                cost = previous + (0 if ref[i] == hyp[j] else 1)
                cost = min(cost, above + 1, row[j] + 1)
                row[j + 1] = cost
                previous = above
        errors[pair] = row[columns]
    return errors


@compiled
def _fill(ref: np.ndarray, hyp: np.ndarray, spans: np.ndarray, costs: np.ndarray, moves: np.ndarray) -> None:
    """Fill the tables of one pair; a cell's move is an operation, or `BLOCK` + a row of `spans`."""
    one, columns = _ONE_ERROR, len(hyp) + 1
    for j in range(columns):
        costs[j] = j * one
        moves[j] = INSERTION
    first = 0
    while first < len(spans) and spans[first, 1] <= 0:
        first += 1
    for i in range(1, len(ref) + 1):
        here, above = i * columns, (i - 1) * columns
        last = first
        while last < len(spans) and spans[last, 1] == i:
            last += 1
        costs[here] = costs[above] + one
        moves[here] = DELETION
        for j in range(columns):
            if j > 0:
                if ref[i - 1] == hyp[j - 1]:
                    best, move = costs[above + j - 1], MATCH
                else:
                    best, move = costs[above + j - 1] + one + 1, SUBSTITUTION
                if costs[above + j] + one < best:
                    best, move = costs[above + j] + one, DELETION
                if costs[here + j - 1] + one < best:
                    best, move = costs[here + j - 1] + one, INSERTION
                costs[here + j] = best
                moves[here + j] = move
            for number in range(first, last):
                if spans[number, 3] == j:
                    before = costs[spans[number, 0] * columns + spans[number, 2]]
                    if before < costs[here + j]:
                        costs[here + j] = before
                        moves[here + j] = BLOCK + number
        first = last


@compiled
def _align_all(
    ref_ids: np.ndarray,
    ref_bounds: np.ndarray,
    hyp_ids: np.ndarray,
    hyp_bounds: np.ndarray,
    block_bounds: np.ndarray,
    block_spans: np.ndarray,
    largest: int,
    room: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    pairs = len(ref_bounds) - 1
    errors = np.zeros((pairs, 3), np.int64)
    bounds = np.zeros(pairs + 1, np.int64)
    ops = np.zeros(room, np.int8)
    refs, hyps, blocks = np.zeros(room, np.int64), np.zeros(room, np.int64), np.full(room, -1, np.int64)
    costs, moves = np.zeros(largest, np.int64), np.zeros(largest, np.int32)
    at = 0
    for pair in range(pairs):
        ref_start, hyp_start = ref_bounds[pair], hyp_bounds[pair]
        ref, hyp = ref_ids[ref_start : ref_bounds[pair + 1]], hyp_ids[hyp_start : hyp_bounds[pair + 1]]
        spans = block_spans[block_bounds[pair] : block_bounds[pair + 1]]
        _fill(ref, hyp, spans, costs, moves)
        begin, i, j, columns = at, len(ref), len(hyp), len(hyp) + 1
        while i > 0 or j > 0:
            move = moves[i * columns + j]
            if move >= BLOCK:
                number = move - BLOCK
                i, j = spans[number, 0], spans[number, 2]
                ops[at] = BLOCK
                blocks[at] = block_bounds[pair] + number
            else:
                if move != INSERTION:
                    i -= 1
                if move != DELETION:
                    j -= 1
                ops[at] = move
                blocks[at] = -1
                if move != MATCH:
                    errors[pair, move - 1] += 1
            refs[at], hyps[at] = ref_start + i, hyp_start + j
            at += 1
        ops[begin:at] = ops[begin:at][::-1].copy()
        refs[begin:at] = refs[begin:at][::-1].copy()
        hyps[begin:at] = hyps[begin:at][::-1].copy()
        blocks[begin:at] = blocks[begin:at][::-1].copy()
        bounds[pair + 1] = at
    return errors, bounds, ops[:at].copy(), refs[:at].copy(), hyps[:at].copy(), blocks[:at].copy()

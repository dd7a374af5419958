"""References and hypotheses of a test set as word numbers, raw and normalised, long transcripts cut into pieces."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN
from nemo_models.evaluation.alignment import BLOCK, MATCH, Alignment, Blocks, Sequences, align, find_cuts
from nemo_models.evaluation.number_values import find_equal_spans
from nemo_models.evaluation.references import Reference
from nemo_models.evaluation.words import NormalizedWords, WordVocabulary

Span = tuple[int, int, int, int]
Spans = list[Span]
"""From and to in the reference, from and to in the hypothesis, counted within a piece."""
FindSpans = Callable[[Sequence[str], Sequence[str]], Iterable[Span]]
"""Finds the spans of two stretches of words that are equal."""


class TextPairs:
    """References and hypotheses as word numbers, raw and normalised, long ones cut into pieces.

    Attributes:
        owner: (P,) int64, the utterance that each piece belongs to, ascending.
        raw_ref: Raw reference words of each piece; `raw_hyp` of the hypothesis.
        ref: Normalised reference words of each piece; `hyp` of the hypothesis.
        ref_starts: Start of each raw reference word's normalised words; `hyp_starts` for the hypothesis.
        raw_words: The raw vocabulary; `normal_words` the normalised one.
    """

    def __init__(
        self, references: Sequence[Reference], hypotheses: Sequence[str], language: str = DEFAULT_LANGUAGE
    ) -> None:
        vocabulary = WordVocabulary()
        raw_ref = vocabulary.read(reference.text for reference in references)
        raw_hyp = vocabulary.read(hypotheses)
        self.owner, self.raw_ref, self.raw_hyp = cut_pairs(raw_ref, raw_hyp)
        self._count = len(references)
        self.raw_words = vocabulary.words
        normal = NormalizedWords(vocabulary, language)
        self._policy = replace(AS_WRITTEN, language=language)
        self.ref, self.ref_starts = normal.apply(self.raw_ref)
        self.hyp, self.hyp_starts = normal.apply(self.raw_hyp)
        self.normal_words = normal.vocabulary.words

    def sum_by_utterance(self, values: np.ndarray) -> np.ndarray:
        """Add up the values of an utterance's pieces: (P, …) → (N, …)."""
        if len(self.owner) == self._count:
            return values.copy()
        sums = np.zeros((self._count, *values.shape[1:]), values.dtype)
        np.add.at(sums, self.owner, values)
        return sums

    def list_equal_raw_words(self, alignment: Alignment, piece: int) -> list[tuple[list[str], list[str]]]:
        """List the raw words of a piece that are equal once normalised, and words that are nothing once normalised.

        Args:
            alignment: Alignment of the normalised words.
            piece: Which piece.
        """
        steps = slice(alignment.bounds[piece], alignment.bounds[piece + 1])
        matched = alignment.ops[steps] == MATCH
        places = [alignment.ref[steps][matched], alignment.hyp[steps][matched]]
        raw = [
            np.searchsorted(starts, place, side="right") - 1
            for starts, place in zip((self.ref_starts, self.hyp_starts), places, strict=True)
        ]
        found: list[tuple[list[str], list[str]]] = []
        first = 0
        for at in range(1, len(raw[0]) + 1):
            goes_on = at < len(raw[0]) and (raw[0][at] == raw[0][at - 1] or raw[1][at] == raw[1][at - 1])
            if not goes_on:
                spans = [(int(side[first]), int(side[at - 1]) + 1) for side in raw]
                sizes = (
                    self.ref_starts[spans[0][1]] - self.ref_starts[spans[0][0]],
                    self.hyp_starts[spans[1][1]] - self.hyp_starts[spans[1][0]],
                )
                if sizes == (at - first, at - first):
                    found.append((self._words(self.raw_ref, *spans[0]), self._words(self.raw_hyp, *spans[1])))
                first = at
        empty = [
            [
                self.raw_words[texts.ids[n]]
                for n in range(*texts.bounds[piece : piece + 2])
                if starts[n] == starts[n + 1]
            ]
            for texts, starts in ((self.raw_ref, self.ref_starts), (self.raw_hyp, self.hyp_starts))
        ]
        left, right = Counter(empty[0]), Counter(empty[1])
        found += [([word], []) for word in (left - right).elements()]
        return found + [([], [word]) for word in (right - left).elements()]

    def _words(self, texts: Sequences, start: int, end: int) -> list[str]:
        return [self.raw_words[number] for number in texts.ids[start:end]]

    def join_words(self) -> tuple[list[str], list[str]]:
        """Return each utterance's normalised texts, references and hypotheses."""
        firsts = np.searchsorted(self.owner, np.arange(self._count + 1))
        words = np.array(self.normal_words, object)
        sides = []
        for texts in (self.ref, self.hyp):
            bounds = texts.bounds[firsts].tolist()
            said = words[texts.ids].tolist() if len(texts.ids) else []
            sides.append([" ".join(said[start:end]) for start, end in itertools.pairwise(bounds)])
        return sides[0], sides[1]

    def find_choices(self, references: Sequence[Reference]) -> list[tuple[int, Spans]]:
        """Find wordings that the references allow in the hypotheses."""
        numbers = {word: number for number, word in enumerate(self.normal_words)}
        found = []
        for piece, utterance in enumerate(self.owner.tolist()):
            choices = references[utterance].choices
            if not choices:
                continue
            first = int(np.searchsorted(self.owner, utterance))
            offset = int(self.raw_ref.bounds[first])
            zero, end = int(self.ref.bounds[piece]), int(self.ref.bounds[piece + 1])
            hyp, spans = self.hyp[piece].tolist(), []
            for choice in choices:
                start, stop = (int(self.ref_starts[offset + place]) for place in (choice.start, choice.end))
                if start < zero or stop > end or start == stop:
                    continue
                for wording in choice.wordings:
                    wanted = [numbers.get(word, -1) for word in normalize_text(wording, self._policy).split()]
                    for at in range(len(hyp) - len(wanted) + 1):
                        if hyp[at : at + len(wanted)] == wanted:
                            spans.append((start - zero, stop - zero, at, at + len(wanted)))
            if spans:
                found.append((piece, spans))
        return found

    def find_numbers(self, piece: int) -> Spans:
        """Find spans of a piece that say the same number."""
        sides = []
        for raw, starts, normal in (
            (self.raw_ref, self.ref_starts, self.ref),
            (self.raw_hyp, self.hyp_starts, self.hyp),
        ):
            zero = int(normal.bounds[piece])
            surfaces, bounds = [], [0]
            for place in range(int(raw.bounds[piece]), int(raw.bounds[piece + 1])):
                start, end = int(starts[place]) - zero, int(starts[place + 1]) - zero
                parts = split_raw(self.raw_words[raw.ids[place]])
                if len(parts) == end - start:
                    surfaces += parts
                    bounds += range(start + 1, end + 1)
                elif end > start:
                    surfaces.append(self.raw_words[raw.ids[place]])
                    bounds.append(end)
            sides.append((surfaces, bounds))
        (ref, ref_bounds), (hyp, hyp_bounds) = sides
        spans = find_equal_spans(ref, hyp)
        return [(ref_bounds[a], ref_bounds[b], hyp_bounds[c], hyp_bounds[d]) for a, b, c, d in spans]


def split_raw(word: str) -> list[str]:
    """Part a raw word at hyphens, as normalising does: कोविड-19."""
    return [part for part in word.replace("–", "-").replace("—", "-").split("-") if part] or [word]


def cut_pairs(ref: Sequences, hyp: Sequences) -> tuple[np.ndarray, Sequences, Sequences]:
    owner: list[int] = []
    ref_bounds, hyp_bounds = [0], [0]
    long_pairs = set(np.flatnonzero((ref.lengths + 1) * (hyp.lengths + 1) > 1_000_000).tolist())
    if not long_pairs:
        return np.arange(len(ref.lengths)), ref, hyp
    for pair in range(len(ref.lengths)):
        cuts = find_cuts(ref[pair], hyp[pair]) if pair in long_pairs else []
        for ref_cut, hyp_cut in [*cuts, (len(ref[pair]), len(hyp[pair]))]:
            owner.append(pair)
            ref_bounds.append(int(ref.bounds[pair]) + ref_cut)
            hyp_bounds.append(int(hyp.bounds[pair]) + hyp_cut)
    bounds = (np.array(places, np.int64) for places in (ref_bounds, hyp_bounds))
    left, right = bounds
    return np.array(owner), Sequences(ref.ids, left), Sequences(hyp.ids, right)


def select(texts: Sequences, numbers: np.ndarray) -> Sequences:
    """Return some of the sequences, in that order."""
    if len(numbers) == len(texts.bounds) - 1:
        return texts
    lengths = texts.lengths[numbers]
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths) + np.repeat(texts.bounds[numbers], lengths)
    return Sequences(texts.ids[places], bounds)


def find_differences(alignment: Alignment, ref: Sequences, hyp: Sequences) -> np.ndarray:
    """Find the stretches between matches.

    Args:
        alignment: Alignment of references and hypotheses.
        ref: The references.
        hyp: The hypotheses.

    Returns:
        (D, 5) int64: pair, from and to in `ref.ids`, from and to in `hyp.ids`.
    """
    differs = (alignment.ops != MATCH) & (alignment.ops != BLOCK)
    pair = np.repeat(np.arange(len(ref.bounds) - 1), np.diff(alignment.bounds))
    begins = np.zeros(len(differs) + 1, bool)
    begins[alignment.bounds] = True
    before = np.concatenate([[False], differs[:-1]]) & ~begins[:-1]
    first = np.flatnonzero(differs & ~before)
    last = np.flatnonzero(differs & (~np.concatenate([differs[1:], [False]]) | begins[1:]))
    pairs, at_end = pair[first], begins[last + 1]
    after = np.minimum(last + 1, max(0, len(differs) - 1))
    ref_to = np.where(at_end, ref.bounds[pairs + 1], alignment.ref[after])
    hyp_to = np.where(at_end, hyp.bounds[pairs + 1], alignment.hyp[after])
    return np.column_stack([pairs, alignment.ref[first], ref_to, alignment.hyp[first], hyp_to])


def find_in_differences(
    pairs: TextPairs, table: np.ndarray, blocks: Blocks, pieces: np.ndarray, find: FindSpans, least: int
) -> list[tuple[int, Spans]]:
    """Find equal spans in the stretches where references and hypotheses differ.

    Args:
        pairs: The texts.
        table: (normalised words,) int32: equal words have one number.
        blocks: Spans of these pieces that match already.
        pieces: (P,) int64, the pieces to look at.
        find: What finds them, in normalised words.
        least: Number of words that one side of a stretch has at least; the other has one or more.

    Returns:
        Piece and its spans.
    """
    if not len(pieces):
        return []
    ref, hyp = select(pairs.ref, pieces), select(pairs.hyp, pieces)
    places = find_differences(align(ref.mapped(table), hyp.mapped(table), blocks), ref, hyp)
    sizes = np.column_stack([places[:, 2] - places[:, 1], places[:, 4] - places[:, 3]])
    found: dict[int, Spans] = {}
    words = pairs.normal_words
    for at, ref_from, ref_to, hyp_from, hyp_to in places[(sizes.min(1) > 0) & (sizes.max(1) >= least)].tolist():
        ones = [words[n] for n in ref.ids[ref_from:ref_to]]
        others = [words[n] for n in hyp.ids[hyp_from:hyp_to]]
        if equal := list(find(ones, others)):
            left, right = int(ref_from - ref.bounds[at]), int(hyp_from - hyp.bounds[at])
            spans = found.setdefault(int(pieces[at]), [])
            spans += [(left + a, left + b, right + c, right + d) for a, b, c, d in equal]
    return list(found.items())

"""Error rates in layers: each forgives one more kind of spelling, and says how many words it forgave and which.

The layers come in a fixed order, and treat reference and hypothesis alike:

1. `raw`: words as they are written, split at white space: what sclite and jiwer count.
2. `encoding`: the project's normaliser (NFC, invisible characters, punctuation) on both sides.
3. `alternatives`: wordings that the references list, where they list any.
4. `spelling`: rules for Hindi orthography, each with a switch (`spelling.py`).
5. `numbers`: digits or words, units and abbreviations in either form (`number_values.py`).
6. `loan_words`: words of a list that have more than one spelling (`variants_hi.tsv`).
7. `either_script`: English words of a list in Latin letters or not (`either_script.py`), where a text has any.
8. `compounds`: words written together or apart (`compounds.py`).

All rates are relative to the same number of words, those of the raw references. An utterance never has more errors than
in the layer before, because a layer only adds equalities to the alignment.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from data_prep.languages.language import load_language
from nemo_models.evaluation.alignment import BLOCK, MATCH, Alignment, Blocks, Sequences, align
from nemo_models.evaluation.compounds import find_joins
from nemo_models.evaluation.either_script import (
    find_equal_words,
    fold_english,
    is_english,
    load_english_words,
)
from nemo_models.evaluation.number_values import is_short_form, number_key, says_number
from nemo_models.evaluation.options import LayerOptions
from nemo_models.evaluation.references import Reference
from nemo_models.evaluation.spelling import SPELLING_RULES, make_keys, make_pair_key
from nemo_models.evaluation.text_pairs import FindSpans, Spans, TextPairs, find_in_differences, select, split_raw
from nemo_models.evaluation.variants import make_variant_key


@dataclass
class Layer:
    """One layer's errors.

    Attributes:
        name: One of `LAYERS`, or a spelling rule within `rules`.
        errors: (N,) int64, errors of each utterance.
        forgiven: Pairs of wordings (reference, hypothesis) that this layer took for equal, with how often.
        rules: The layer's parts, in order, each with its own errors; of `spelling` only.
    """

    name: str
    errors: np.ndarray
    forgiven: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: list["Layer"] = field(default_factory=list)


class LayeredScore:
    """One system's errors, layer by layer, and the alignments behind them.

    Attributes:
        words: (N,) int64, words of each raw reference: what all rates are a share of.
        raw_errors: (N, 3) int64: substitutions, deletions, insertions of the raw layer.
        normalized_errors: (N, 3) int64: the same after normalising.
        normalized_words: (N,) int64, words of each normalised reference.
        layers: The layers, in order.
        pairs: The texts as word numbers.
        tables: Name of each step, with (normalised words,) int32: words that the step makes equal have one number.
        blocks: Spans of each piece that match at no cost; `block_layers` says which layer each comes from.
    """

    def __init__(self, references: Sequence[Reference], hypotheses: Sequence[str], options: LayerOptions) -> None:
        """Score hypotheses against references.

        Args:
            references: What was said.
            hypotheses: What was recognised, in the same order.
            options: Which layers to compute.

        Raises:
            ValueError: The two differ in number.
        """
        if len(references) != len(hypotheses):
            raise ValueError(f"hypotheses: found {len(hypotheses)}, expected {len(references)}, as many as references")
        self._count = len(references)
        self.pairs = TextPairs(references, hypotheses, options.language)
        self.layers: list[Layer] = []
        self.tables: list[tuple[str, np.ndarray]] = []
        self.blocks: list[Spans] = [[] for _ in range(len(self.pairs.owner))]
        self.block_layers: list[dict[tuple[int, int, int, int], str]] = [{} for _ in self.blocks]
        self._final: Alignment | None = None
        self._score_raw()
        self._score_encoding()
        if any(reference.choices for reference in references):
            self._add_blocks("alternatives", self.pairs.find_choices(references))
        layers, language = options.used_layers, load_language(options.language)
        if "spelling" in layers and language.own_rules:
            self._add_spelling(options.spelling_rules)
        elif "spelling" in layers:
            self._add_keys("spelling", make_pair_key(language.spelling))
        if "numbers" in layers:
            self._add_keys("numbers", number_key)
            self._add_blocks("numbers", self._find_numbers())
        if "loan_words" in layers:
            self._add_keys("loan_words", make_variant_key(options.variant_lists))
        if "either_script" in layers and (options.has_english or self._has_english_references()):
            english = load_english_words(options.english_words)
            self._add_blocks("either_script", self._find_in_stretches(partial(find_equal_words, words=english)))
        if "compounds" in layers:
            self._add_blocks("compounds", self._find_in_stretches(find_joins, least=2))

    def __len__(self) -> int:
        return self._count

    @property
    def errors(self) -> np.ndarray:
        """(N,) int64, errors of each utterance after the last layer."""
        return self.layers[-1].errors

    def rate(self, layer: Layer) -> float:
        """Return a layer's error rate: its errors over the words of the raw references."""
        return float(layer.errors.sum() / max(1, self.words.sum()))

    def forgiven(self, layer: Layer) -> int:
        """Return how many errors fewer than the layer before a layer has."""
        at = self.layers.index(layer)
        return int(self.layers[at - 1].errors.sum() - layer.errors.sum()) if at else 0

    def _score_raw(self) -> None:
        pairs = self.pairs
        alignment = align(pairs.raw_ref, pairs.raw_hyp)
        self.raw_errors = pairs.sum_by_utterance(alignment.errors)
        self.words = pairs.sum_by_utterance(pairs.raw_ref.lengths)
        self._piece_errors = alignment.totals
        self.layers.append(Layer("raw", pairs.sum_by_utterance(self._piece_errors)))

    def _score_encoding(self) -> None:
        pairs, before = self.pairs, self._piece_errors
        alignment = align(pairs.ref, pairs.hyp)
        self.normalized_errors = pairs.sum_by_utterance(alignment.errors)
        self.normalized_words = pairs.sum_by_utterance(pairs.ref.lengths)
        self._piece_errors = np.minimum(before, alignment.totals)
        self.tables.append(("encoding", np.arange(len(pairs.normal_words), dtype=np.int32)))
        self._keys = list(pairs.normal_words)
        layer = Layer("encoding", pairs.sum_by_utterance(self._piece_errors))
        layer.forgiven = self._list_encodings(alignment, np.flatnonzero(self._piece_errors < before))
        self.layers.append(layer)

    def _list_encodings(self, alignment: Alignment, pieces: np.ndarray) -> Counter[tuple[str, str]]:
        """List raw words that become equal by normalising, and raw words that are punctuation alone."""
        found = Counter[tuple[str, str]]()
        for piece in pieces.tolist():
            for ones, others in self.pairs.list_equal_raw_words(alignment, piece):
                if ones != others:
                    found[" ".join(ones), " ".join(others)] += 1
        return found

    def _add_spelling(self, rules: Sequence[str]) -> None:
        layer = Layer("spelling", self.layers[-1].errors)
        for name, rule in make_keys(rules):
            self._add_keys(name, rule)
            part = self.layers.pop()
            layer.rules.append(part)
            layer.forgiven.update(part.forgiven)
            layer.errors = part.errors
        self.tables = [(name if name not in SPELLING_RULES else f"spelling: {name}", t) for name, t in self.tables]
        self.layers.append(layer)

    def _add_keys(self, name: str, rule: Callable[[str], str]) -> None:
        """Take words with equal keys for equal."""
        self._keys = [rule(key) for key in self._keys]
        numbers: dict[str, int] = {}
        table = np.array([numbers.setdefault(key, len(numbers)) for key in self._keys], np.int32)
        self._realign(name, table, [])

    def _add_blocks(self, name: str, blocks: Sequence[tuple[int, Spans]]) -> None:
        """Add spans that match at no cost: (piece, spans)."""
        changed = []
        for piece, spans in blocks:
            new = [span for span in spans if span not in self.block_layers[piece]]
            self.blocks[piece] += new
            self.block_layers[piece].update(dict.fromkeys(new, name))
            changed += [piece] if new else []
        self._realign(name, self.tables[-1][1], changed)

    def _realign(self, name: str, table: np.ndarray, changed: Sequence[int]) -> None:
        """Count errors again where some are left and something may have become equal."""
        pairs, before, last = self.pairs, self._piece_errors, self.tables[-1][1]
        has_new_keys = len(table) > 0 and (table.max(initial=0) < last.max(initial=0))
        pieces = np.flatnonzero(before) if has_new_keys else np.array(sorted(changed), np.int64)
        pieces = pieces[before[pieces] > 0]
        after, found = before.copy(), Counter[tuple[str, str]]()
        if len(pieces):
            ref, hyp = select(pairs.ref, pieces), select(pairs.hyp, pieces)
            blocks = Blocks.from_lists([self.blocks[piece] for piece in pieces])
            alignment = align(ref.mapped(table), hyp.mapped(table), blocks)
            after[pieces] = np.minimum(before[pieces], alignment.totals)
            improved = after[pieces] < before[pieces]
            found = self._list_equal(alignment, ref, hyp, last, improved)
            found += self._list_blocks(alignment, ref, hyp, blocks, name, pieces, improved)
        self.tables.append((name, table))
        self._piece_errors = after
        errors = pairs.sum_by_utterance(after)
        if self.layers[-1].name == name:  # numbers: keys first, then blocks
            self.layers[-1].errors = errors
            self.layers[-1].forgiven.update(found)
        else:
            self.layers.append(Layer(name, errors, found))

    def _list_equal(
        self, alignment: Alignment, ref: Sequences, hyp: Sequences, last: np.ndarray, improved: np.ndarray
    ) -> Counter[tuple[str, str]]:
        """Count pairs of words that match now and did not before, in pieces with fewer errors than before."""
        steps = (alignment.ops == MATCH) & np.repeat(improved, np.diff(alignment.bounds))
        ones, others = ref.ids[alignment.ref[steps]], hyp.ids[alignment.hyp[steps]]
        new = last[ones] != last[others]
        coded, counts = np.unique(ones[new].astype(np.int64) << 32 | others[new], return_counts=True)
        words = self.pairs.normal_words
        return Counter(
            {
                (words[code >> 32], words[code & 0xFFFFFFFF]): count
                for code, count in zip(coded.tolist(), counts.tolist(), strict=True)
            }
        )

    def _list_blocks(
        self,
        alignment: Alignment,
        ref: Sequences,
        hyp: Sequences,
        blocks: Blocks,
        name: str,
        pieces: np.ndarray,
        improved: np.ndarray,
    ) -> Counter[tuple[str, str]]:
        """Count the pairs of spans that this layer matches."""
        words, found = self.pairs.normal_words, Counter[tuple[str, str]]()
        for step in np.flatnonzero(alignment.ops == BLOCK):
            at = int(np.searchsorted(alignment.bounds, step, side="right")) - 1
            span = tuple(int(place) for place in blocks.spans[alignment.block[step]])
            if improved[at] and self.block_layers[pieces[at]].get(span) == name:  # type: ignore[call-overload]
                ones = ref[at][span[0] : span[1]]
                others = hyp[at][span[2] : span[3]]
                found[" ".join(words[n] for n in ones), " ".join(words[n] for n in others)] += 1
        return found

    def _find_numbers(self) -> list[tuple[int, Spans]]:
        pairs = self.pairs
        parts = [split_raw(word) for word in pairs.raw_words]
        flags = np.array([any(map(says_number, words)) for words in parts], bool)
        short = np.array([any(map(is_short_form, words)) for words in parts], bool)
        wanted = pairs.raw_ref.have_any(flags) & pairs.raw_hyp.have_any(flags) & (self._piece_errors > 0)
        wanted &= pairs.raw_ref.have_any(short) | pairs.raw_hyp.have_any(short)
        return [(int(piece), pairs.find_numbers(int(piece))) for piece in np.flatnonzero(wanted)]

    def _has_english_references(self) -> bool:
        flags = np.array([is_english(fold_english(word)) for word in self.pairs.normal_words], bool)
        return bool(self.pairs.ref.have_any(flags).any())

    def _find_in_stretches(self, find: FindSpans, least: int = 1) -> list[tuple[int, Spans]]:
        pieces = np.flatnonzero(self._piece_errors)
        blocks = Blocks.from_lists([self.blocks[piece] for piece in pieces])
        return find_in_differences(self.pairs, self.tables[-1][1], blocks, pieces, find, least)

    @property
    def final(self) -> Alignment:
        """The alignment of all pieces after the last layer."""
        if self._final is None:
            table = self.tables[-1][1]
            pairs = self.pairs
            self.final_blocks = Blocks.from_lists(self.blocks)
            self._final = align(pairs.ref.mapped(table), pairs.hyp.mapped(table), self.final_blocks)
        return self._final

    def align_at(self, layer: str) -> tuple[Alignment, Sequences, Sequences]:
        """Return the alignment of all pieces at one layer, and the references and hypotheses that it is about.

        Raises:
            ValueError: The layer is not computed.
        """
        names = [one.name for one in self.layers]
        if layer not in names:
            raise ValueError(f"compare_layer={layer}: expected a layer that is computed, one of {', '.join(names)}")
        pairs = self.pairs
        if layer == "raw":
            return align(pairs.raw_ref, pairs.raw_hyp), pairs.raw_ref, pairs.raw_hyp
        if layer == names[-1]:
            return self.final, pairs.ref, pairs.hyp
        reached = set(names[: names.index(layer) + 1])
        table = [table for name, table in self.tables if name.partition(":")[0] in reached][-1]
        spans = [
            [span for span in blocks if layers[span] in reached]
            for blocks, layers in zip(self.blocks, self.block_layers, strict=True)
        ]
        alignment = align(pairs.ref.mapped(table), pairs.hyp.mapped(table), Blocks.from_lists(spans))
        return alignment, pairs.ref, pairs.hyp

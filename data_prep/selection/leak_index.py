"""The index behind every search for leaks: evaluation sentences in memory, training text streamed past them.

Both sides go through the normaliser of the language and then through a fold that ignores accepted differences in
spelling (nukta, chandrabindu or anusvara, and the variants of the language file), so that a sentence is also found in
another spelling. A sentence that is broken over several lines is found too.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from data_prep.arguments import require_int, require_number
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.union import name_languages
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN

KINDS = {
    "exact": "a line or utterance of training has exactly this text",
    "contained": "training has all of its words in a row, among others",
    "overlap": "training has at least min_overlap of its words, in runs of ngram words or more",
}
_PLACES_KEPT = 3  # of exact copies in training, for each sentence


@dataclass(frozen=True)
class Passage:
    """One line or utterance of text.

    Attributes:
        text: The text.
        where: File and line, for reports.
        speaker: The speaker, if known.
        flows_on: Whether the text continues the passage before it, as lines of a book do.
    """

    text: str
    where: str
    speaker: str | None = None
    flows_on: bool = False


@dataclass
class _Sentence:
    passage: Passage
    words: list[str]
    exact: list[str] = field(default_factory=list)
    exact_count: int = 0
    covered: set[int] = field(default_factory=set)
    longest_run: int = 0
    longest_where: str = ""


class LeakIndex:
    """Evaluation sentences, with which training text is compared passage by passage."""

    def __init__(
        self,
        evaluation: Iterable[Passage] = (),
        ngram: int | None = 5,
        min_overlap: float = 0.5,
        normalized: bool = False,
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        """Index the evaluation side.

        Args:
            evaluation: Utterances of the evaluation side; `remember` adds more.
            ngram: Words in a row that count as overlap, 2 or more. Shorter sentences are compared as a whole. `None`
                compares all sentences as a whole only, which takes a tenth of the memory.
            min_overlap: Share of a sentence's words, above 0 and up to 1, from which overlap is a leak.
            normalized: Whether all texts are normalised already.
            language: Language of the texts, as `load_language` takes it; several, joined by commas, of normalised ones.

        Raises:
            ValueError: `ngram` or `min_overlap` is out of range, or the language is unknown.
        """
        require_int("ngram", ngram, least=2, optional=True)
        require_number("min_overlap", min_overlap, above=0, most=1)
        self._ngram, self._min_overlap, self._normalized, self._language = ngram, min_overlap, normalized, language
        self._sentences: list[_Sentence] = []
        self._whole: dict[str, list[int]] = {}
        self._grams: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._tail: list[str] = []
        self._runs: dict[tuple[int, int], int] = {}
        self.lines = self.words = 0
        for passage in evaluation:
            self.remember(passage)

    def remember(self, passage: Passage) -> None:
        """Add one utterance of the evaluation side."""
        words = fold_text(passage.text, self._normalized, self._language).split()
        number = len(self._sentences)
        self._sentences.append(_Sentence(passage, words))
        if words:
            self._whole.setdefault(" ".join(words), []).append(number)
        if self._ngram:
            for at in range(len(words) - self._ngram + 1):
                self._grams.setdefault(tuple(words[at : at + self._ngram]), []).append((number, at))

    def add(self, passage: Passage) -> int:
        """Compare one line or utterance of training with the evaluation sentences.

        Returns:
            Number of words, counted back from the end of this passage and into earlier ones that flow on, that hold a
            whole evaluation sentence which this passage completes; 0 if it completes none.
        """
        words = fold_text(passage.text, self._normalized, self._language).split()
        self.lines += 1
        self.words += len(words)
        reach = 0
        for number in self._whole.get(" ".join(words), ()):
            reach = len(words)
            sentence = self._sentences[number]
            sentence.exact_count += 1
            if len(sentence.exact) < _PLACES_KEPT:
                sentence.exact.append(passage.where)
        return max(reach, self._search_runs(words, passage)) if self._ngram else reach

    def _search_runs(self, words: list[str], passage: Passage) -> int:
        """Search the n-grams that end in this passage; return what `add` returns."""
        assert self._ngram is not None
        if not passage.flows_on:
            self._tail, self._runs = [], {}
        stream = self._tail + words
        reach = 0
        for end in range(self._ngram, len(stream) + 1):
            run = self._extend_runs(self._grams.get(tuple(stream[end - self._ngram : end]), ()), passage.where)
            reach = max(reach, run and run + len(stream) - end)
        self._tail = stream[len(stream) - self._ngram + 1 :] if len(stream) >= self._ngram else stream
        return reach

    def _extend_runs(self, found: Iterable[tuple[int, int]], where: str) -> int:
        """Update the runs of every sentence that holds the current n-gram.

        Returns:
            Words of the longest sentence that is complete here; 0 if none is.
        """
        assert self._ngram is not None
        whole = 0
        runs: dict[tuple[int, int], int] = {}
        for number, at in found:
            runs[number, at] = run = self._runs.get((number, at - 1), self._ngram - 1) + 1
            sentence = self._sentences[number]
            sentence.covered.update(range(at, at + self._ngram))
            if run > sentence.longest_run:
                sentence.longest_run, sentence.longest_where = run, where
            if run >= len(sentence.words):
                whole = max(whole, run)
        self._runs = runs
        return whole

    def list_leaks(self) -> list[dict[str, Any]]:
        """List the evaluation sentences that training contains, in their order.

        Returns:
            For each: `kind` (see `KINDS`), `text`, `evaluation` (its place), `training` (up to three places), `times`
            (copies of the exact text), `words`, `overlap` (share of its words), `longest_run` (in words).
        """
        return [leak for sentence in self._sentences if (leak := self._describe(sentence))]

    def count_texts(self) -> tuple[int, int]:
        """Count different evaluation texts that training has exactly, and different evaluation texts in all."""
        shared = sum(self._sentences[numbers[0]].exact_count > 0 for numbers in self._whole.values())
        return shared, len(self._whole)

    def summarize(self) -> dict[str, Any]:
        """Count evaluation sentences, leaks by kind, and the training text that was read."""
        leaks = self.list_leaks()
        kinds = {kind: sum(leak["kind"] == kind for leak in leaks) for kind in KINDS}
        sentences = len(self._sentences)
        share = round(len(leaks) / sentences, 4) if sentences else 0.0
        read = {"training_lines": self.lines, "training_words": self.words}
        return {"evaluation_sentences": sentences, **read, **kinds, "leaked": len(leaks), "leaked_share": share}

    def _describe(self, sentence: _Sentence) -> dict[str, Any] | None:
        length = len(sentence.words)
        overlap = len(sentence.covered) / length if length else 0.0
        if sentence.exact:
            kind, places, overlap, run = "exact", sentence.exact, 1.0, length
        elif overlap >= self._min_overlap and sentence.covered:
            run = sentence.longest_run
            kind, places = "contained" if run >= length else "overlap", [sentence.longest_where]
        else:
            return None
        found = {"kind": kind, "text": sentence.passage.text, "evaluation": sentence.passage.where, "training": places}
        counts = {"times": sentence.exact_count, "words": length, "overlap": round(overlap, 3), "longest_run": run}
        return {**found, **counts}


def fold_text(text: str, normalized: bool = False, language: str = DEFAULT_LANGUAGE) -> str:
    """Normalise a text, unless it is normalised already, and fold what the spelling of its language leaves open."""
    return _make_fold(language)(text if normalized else normalize_text(text, replace(AS_WRITTEN, language=language)))


@lru_cache(maxsize=64)
def _make_fold(language: str) -> Callable[[str], str]:
    """Make the fold of one language or several: no nukta, anusvara for chandrabindu, one of each pair of spellings."""
    signs: dict[str, str | None] = {}
    spelling: dict[str, str] = {}
    for found in map(load_language, name_languages(language).values()):
        spelling |= found.spelling
        for character in found.alphabet:
            script, _, sign = unicodedata.name(character, "").partition(" SIGN ")
            if sign == "NUKTA":
                signs[character] = None
            elif sign == "CANDRABINDU":
                signs[character] = unicodedata.lookup(f"{script} SIGN ANUSVARA")
    table = str.maketrans(signs)
    if not spelling:
        return lambda text: text.translate(table)
    variant = re.compile("|".join(re.escape(written) for written in sorted(spelling, key=len, reverse=True)))
    return lambda text: variant.sub(lambda match: spelling[match[0]], text).translate(table)

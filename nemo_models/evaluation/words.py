"""Texts as sequences of word numbers, so that each distinct word is processed once."""

from array import array
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN
from nemo_models.evaluation.alignment import Sequences


class WordVocabulary:
    """Distinct words and their numbers, from 0 in the order in which they were first met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def words(self) -> list[str]:
        """The words, by number."""
        return list(self._numbers)

    def number(self, word: str) -> int:
        """Return a word's number, a new one for a new word."""
        return self._numbers.setdefault(word, len(self._numbers))

    def read(self, texts: Iterable[str]) -> Sequences:
        """Split texts at white space into word numbers."""
        numbers, ids, bounds = self._numbers, array("i"), array("q", [0])
        for text in texts:
            ids.extend([numbers.setdefault(word, len(numbers)) for word in text.split()])
            bounds.append(len(ids))
        return Sequences(np.array(ids, np.int32), np.array(bounds, np.int64))


class NormalizedWords:
    """The normalised form of each raw word, which is none, one, or several words (`माता-पिता`)."""

    def __init__(self, raw: WordVocabulary, language: str = DEFAULT_LANGUAGE) -> None:
        self.vocabulary = WordVocabulary()
        policy = replace(AS_WRITTEN, language=language)
        numbers = [
            [self.vocabulary.number(word) for word in normalize_text(raw_word, policy).split()]
            for raw_word in raw.words
        ]
        self._counts = np.array([len(ids) for ids in numbers], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)])
        self._ids = np.array([number for ids in numbers for number in ids], np.int32)

    def apply(self, texts: Sequences) -> tuple[Sequences, np.ndarray]:
        """Normalise texts.

        Args:
            texts: Numbers of raw words.

        Returns:
            The normalised words, and (total raw words + 1,) int64: where each raw word's normalised words begin.
        """
        counts = self._counts[texts.ids]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        ids = self._ids[np.repeat(self._starts[texts.ids], counts) + within] if len(self._ids) else self._ids
        return Sequences(ids.astype(np.int32, copy=False), starts[texts.bounds]), starts

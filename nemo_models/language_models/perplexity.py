"""Perplexity of a language model on held-out text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nemo_models.language_models.arpa import START, UNKNOWN, BackoffModel

_BLOCK_WORDS = 1_000_000  # scored at a time


@dataclass(frozen=True)
class HeldOutScores:
    """Perplexities, exp(-mean natural log-probability); the ends of sentences are predicted, and counted, too.

    Attributes:
        sentences: Number of sentences of the held-out text.
        words: Number of its words, unknown ones included.
        characters: Number of its characters, spaces included.
        perplexity_per_word: Perplexity over words and sentence ends; for a word model, over the words that it knows.
        perplexity_per_character: Perplexity over characters and sentence ends; `None` for a word model.
        unknown_words: Number of occurrences of words that the model's texts lack.
    """

    sentences: int
    words: int
    characters: int
    perplexity_per_word: float
    perplexity_per_character: float | None
    unknown_words: int

    @property
    def oov_rate(self) -> float:
        """Share of the words that are unknown, 0 … 1."""
        return self.unknown_words / self.words

    def __str__(self) -> str:
        character = self.perplexity_per_character
        return (
            (f"perplexity {character:.2f} per character, " if character else "perplexity ")
            + f"{self.perplexity_per_word:.1f} per word, {100 * self.oov_rate:.1f} % of words unknown "
            f"({self.sentences} sentences, {self.words} words)"
        )


def score_sentences(model: BackoffModel, sentences: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Score sentences.

    Args:
        model: A language model.
        sentences: Sentences of its words, separated by single spaces.

    Returns:
        Natural log-probabilities of all words and ends of sentences, (N,) float64; which of them the model knows, bool.
    """
    words = model.number(sentences)
    starts = np.flatnonzero(words == START)
    blocks = np.split(words, starts[np.unique(starts // _BLOCK_WORDS, return_index=True)[1]][1:])
    scores = np.concatenate([model.score(block) for block in blocks])
    return scores[words != START], (words != UNKNOWN)[words != START]


def measure_language_model(
    model: BackoffModel, lines: Sequence[bytes], tokens: Sequence[bytes], unknown_words: int
) -> HeldOutScores:
    """Measure a language model on held-out text.

    Args:
        model: A language model over tokens or words.
        lines: The text, normalised, in UTF-8.
        tokens: The same as the model's tokens; the object `lines` itself for a model over words.
        unknown_words: See `HeldOutScores`.

    Returns:
        Its perplexities.
    """
    scores, is_known = score_sentences(model, tokens)
    words = sum(line.count(b" ") + 1 for line in lines)
    characters = sum(len(line.decode()) for line in lines)
    total = -float(scores[is_known].sum())
    if tokens is lines:
        return HeldOutScores(len(lines), words, characters, math.exp(total / int(is_known.sum())), None, unknown_words)
    per_word, per_character = math.exp(total / (words + len(lines))), math.exp(total / (characters + len(lines)))
    return HeldOutScores(len(lines), words, characters, per_word, per_character, unknown_words)

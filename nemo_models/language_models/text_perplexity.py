"""Perplexity of single texts in the language model that a recogniser decodes with."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import kenlm
import torch
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from nemo_models.language_models.labels import LabelTokenizer

_BATCH = 256  # texts that are scored together


def compute_perplexities(lm_path: Path, labels: Sequence[str], texts: Sequence[str]) -> list[float | None]:
    """Compute the perplexity per character of each text.

    Args:
        lm_path: A language model of characters (`.nemo`), or of words (ARPA or KenLM), for these labels.
        labels: The acoustic model's labels, in order, without the blank.
        texts: Normalised texts.

    Returns:
        For each exp(−log-probability / (characters + 1)); the end of the text counts as a character. `None` for an
        empty text and one that the labels cannot write.
    """
    score = _score_tokens(lm_path, labels) if lm_path.suffix == ".nemo" else _score_words(lm_path)
    known = [at for at, text in enumerate(texts) if text]
    found: list[float | None] = [None] * len(texts)
    known.sort(key=lambda at: len(texts[at]))  # those of similar length together
    for first in range(0, len(known), _BATCH):
        places = known[first : first + _BATCH]
        for at, log_prob in zip(places, score([texts[at] for at in places]), strict=True):
            found[at] = None if log_prob is None else math.exp(-log_prob / (len(texts[at]) + 1))
    return found


def _score_tokens(lm_path: Path, labels: Sequence[str]) -> Callable[[Sequence[str]], Iterator[float | None]]:
    tokenizer = LabelTokenizer(labels)
    model = NGramGPULanguageModel.from_file(lm_path, vocab_size=len(labels)).eval()

    def score(texts: Sequence[str]) -> Iterator[float | None]:
        encoded = [tokenizer.encode(text) for text in texts]
        lengths = torch.tensor([len(numbers or ()) for numbers in encoded])
        tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.int64)
        for row, numbers in zip(tokens, encoded, strict=True):
            row[: len(numbers or ())] = torch.tensor(numbers or (), dtype=torch.int64)
        with torch.inference_mode():
            totals = model.score_sentences(tokens, lengths, eos=True).double().sum(1).tolist()
        return (None if numbers is None else total for numbers, total in zip(encoded, totals, strict=True))

    return score


def _score_words(lm_path: Path) -> Callable[[Sequence[str]], Iterator[float]]:
    model = kenlm.Model(str(lm_path))
    return lambda texts: (model.score(text) * math.log(10) for text in texts)

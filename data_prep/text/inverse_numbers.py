"""Inverse text normalisation: spoken numbers in digits, with nemo_text_processing's Hindi grammars."""

import logging
import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice
from data_prep.text.grammars import check_grammars, find_grammar_cache, load_built
from data_prep.text.number_words import SPELLINGS, say_cardinal

DIGITS = ("devanagari", "ascii")
ARCHIVE = "hi_itn.far"
LONE = frozenset("०१२३४५६७८९")
NUMBER_WORDS = frozenset(
    [
        *(say_cardinal(value) for value in range(100)),
        *SPELLINGS,
        *[
            "सौ",
            "हज़ार",
            "हजार",
            "लाख",
            "करोड़",
            "अरब",
            "खरब",
            "दशमलव",
            "बटा",
            "आधा",
            "साढ़े",
            "डेढ़",
            "ढाई",
            "सवा",
            "पौने",
            "पौन",
            "पांच",
        ],
    ]
)
ORDINAL_ENDING = re.compile("(वाँ|वां|वीं|वें|वे|वा|वी)$")
CONTEXT_WORDS = 2  # on each side of a number word: a month, a unit, the रुपये of a sum
_TO_ASCII = str.maketrans("०१२३४५६७८९", "0123456789")


def make_number_writer(digits: str = "devanagari") -> Callable[[str], str]:
    """Load the grammars; the first call builds them, which takes about a minute.

    Args:
        digits: `devanagari`, which the grammars write, or `ascii`.

    Returns:
        A function that writes numbers, dates, times, sums of money and measures of a text in digits; see
        `write_numbers`.

    Raises:
        OSError: The folder of built grammars is not writable.
        ValueError: `digits` is unknown, or nemo_text_processing is not installed.
    """
    require_choice("itn_digits", digits, DIGITS)
    check_grammars("itn=true")
    grammars = load_built(find_grammar_cache("hi-inverse"), (ARCHIVE,), _make_normalizer)

    return lambda text: write_numbers(grammars, text, digits)


def write_numbers(grammars: Any, text: str, digits: str = "devanagari") -> str:
    """Write the numbers of a text in digits: "पच्चीस रुपये" → "₹२५".

    A lone number below ten stays a word: "दो" is "two" and "give", "एक" is "one" and "a".

    Args:
        grammars: nemo_text_processing's `InverseNormalizer`.
        text: Words as they were spoken.
        digits: One of `DIGITS`.

    Returns:
        The text with numbers, dates, times, sums of money and measures in digits.
    """
    words, written = text.split(), []
    for has_numbers, span in _list_spans(words):
        written += _write_span(grammars, span) if has_numbers else span
    return " ".join(written).translate(_TO_ASCII if digits == "ascii" else {})


def _list_spans(words: Sequence[str]) -> list[tuple[bool, list[str]]]:
    """Split a text into spans with numbers and spans without: the grammars are slow, and fail on very long texts."""
    near = [False] * len(words)
    for at, word in enumerate(words):
        if word in NUMBER_WORDS or ORDINAL_ENDING.sub("", word) in NUMBER_WORDS:
            reached = range(max(0, at - CONTEXT_WORDS), min(len(words), at + CONTEXT_WORDS + 1))
            near[reached.start : reached.stop] = [True] * len(reached)
    groups = groupby(zip(near, words, strict=True), key=lambda pair: pair[0])
    return [(has_numbers, [word for _, word in group]) for has_numbers, group in groups]


def _write_span(grammars: Any, spoken: Sequence[str]) -> list[str]:
    try:
        written = grammars.inverse_normalize(" ".join(spoken), verbose=False).split()
    except ValueError:  # more readings than the grammars can weigh
        return list(spoken)
    kept: list[str] = []
    for kind, first, end, new_first, new_end in SequenceMatcher(None, spoken, written, autojunk=False).get_opcodes():
        old, new = spoken[first:end], written[new_first:new_end]
        if kind == "replace" and len(old) == len(new):
            new = [word if number in LONE else number for word, number in zip(old, new, strict=True)]
        kept += new
    return kept


def _make_normalizer(folder: Path) -> Any:
    # pynini is heavy: not for every job
    from nemo_text_processing.inverse_text_normalization.inverse_normalize import InverseNormalizer

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    return InverseNormalizer(lang="hi", cache_dir=str(folder), overwrite_cache=False)

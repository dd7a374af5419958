"""Paragraphs into sentences, so that one digit costs a sentence and not the paragraph around it."""

import re
import unicodedata

from data_prep.text.abbreviations import EXPANSIONS, LETTER_NAMES, SHORT_WORDS, TITLES, UNITS_AFTER_DIGITS

_LETTER = "\u0900-\u0963\u0971-\u097f"
_ENDS = re.compile(
    rf"[।॥?!|]+[\"'”’)\]]*(?=\s|[{_LETTER}]|$)|(?P<stop>(?P<word>[{_LETTER}]+)\s?\.+[\"'”’)\]]*(?=\s|$))"
)
_AKSHARA = re.compile(r"(?<!\u094d)[\u0904-\u0939\u0958-\u0961]")
_PIECES = {piece for form in (*TITLES, *EXPANSIONS, *UNITS_AFTER_DIGITS) for piece in form.split(".")}
_NO_END = frozenset(unicodedata.normalize("NFC", piece) for piece in _PIECES) | LETTER_NAMES


def split_sentences(text: str) -> list[str]:
    """Split a text at dandas, question and exclamation marks, and at full stops that are not an abbreviation's.

    Args:
        text: Any text, with its punctuation.

    Returns:
        The sentences with their marks, stripped; together they hold every word of the text.
    """
    text = unicodedata.normalize("NFC", text)
    sentences, start = [], 0
    for match in _ENDS.finditer(text):
        if match["stop"] is None or _ends_sentence(match["word"]):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def _ends_sentence(word: str) -> bool:
    """Whether a full stop after a word ends a sentence: a word of one akshara is an abbreviation unless it is known."""
    if word in _NO_END:
        return False
    return word in SHORT_WORDS or len(_AKSHARA.findall(word)) > 1

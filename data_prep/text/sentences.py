"""Splits paragraphs into sentences, so that an unusable word costs one sentence and not the whole paragraph."""

import re
import unicodedata

from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.text.abbreviations import EXPANSIONS, LETTER_NAMES, SHORT_WORDS, TITLES, UNITS_AFTER_DIGITS

_LETTER = "\u0900-\u0963\u0971-\u097f"
_CLOSING = "[\"'”’)\\]]*"
_ENDS = re.compile(
    rf"[।॥?!|;…\u2028\u2029]+{_CLOSING}(?=\s|[{_LETTER}0-9०-९]|$)|"
    rf"(?P<stop>(?P<word>[{_LETTER}]+|[A-Za-z]+|(?<=\s)[0-9०-९]+)\s?\.+{_CLOSING}(?=\s|$)(?!(?<=[0-9०-९]\.)\s[0-9०-९]))"
)
_ANY_ENDS = re.compile(r"[।॥?!|۔؟]+[\"'”’)\]]*(?=\s|$)|(?P<stop>(?P<word>\S*?)\.+[\"'”’)\]]*(?=\s|$))")
_AKSHARA = re.compile(r"(?<!\u094d)[\u0904-\u0939\u0958-\u0961]")
_PIECES = {piece for form in (*TITLES, *EXPANSIONS, *UNITS_AFTER_DIGITS) for piece in form.split(".")}
_LATIN_TITLES = """
Dr Mr Mrs Ms Prof St No Nos Rs Smt Shri Sh Ltd Pvt Co Inc Sr Jr vs Lt Col Gen Maj Capt Adv Vol pp km
"""
_LATIN = frozenset(_LATIN_TITLES.split())
_NO_END = frozenset(unicodedata.normalize("NFC", piece) for piece in _PIECES) | LETTER_NAMES | _LATIN


def split_sentences(text: str, language: str = DEFAULT_LANGUAGE) -> list[str]:
    """Split a text at dandas, semicolons, question and exclamation marks, and at full stops that end no abbreviation.

    Args:
        text: Any text, with its punctuation.
        language: Code of its language, or the path of a language file; abbreviations are known for Hindi, and those of
            the file.

    Returns:
        The sentences with their marks, stripped; together they hold every word of the text.
    """
    found = load_language(language)
    if not found.own_rules:
        return _split_plainly(text, frozenset(found.abbreviations))
    text = unicodedata.normalize("NFC", text)
    sentences, start = [], 0
    for match in _ENDS.finditer(text):
        if match["stop"] is None or _ends_sentence(match["word"]):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def _split_plainly(text: str, abbreviations: frozenset[str]) -> list[str]:
    """Split a text of any script at marks that are followed by a space, and not after an abbreviation or one letter."""
    sentences, start = [], 0
    for match in _ANY_ENDS.finditer(text):
        word = match["word"] or ""
        if match["stop"] is None or not (word in abbreviations or word.upper() in abbreviations or len(word) == 1):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def _ends_sentence(word: str) -> bool:
    """Whether a full stop after a word ends a sentence: a word of one akshara is an abbreviation unless it is known."""
    if word in _NO_END:
        return False
    if word.isascii() or word.isdigit():  # J. K. Rowling
        return len(word) > 1 or word.isdigit()
    return word in SHORT_WORDS or len(_AKSHARA.findall(word)) > 1

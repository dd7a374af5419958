"""Devanagari that looks right but is encoded wrongly: repaired if it has one meaning, otherwise found and rejected.

Typists, old fonts and OCR produce sequences that look like a letter but are other code points (अ + ा for आ), marks in
the wrong order (ं before ा), repeated marks, and ि before its consonant, where it is drawn.
"""

import re

MATRAS = "\u093a\u093b\u093e-\u094c\u094e\u094f\u0955-\u0957\u0962\u0963"
SIGNS = "\u0900-\u0903"
NUKTA, VIRAMA = "\u093c", "\u094d"
CONSONANTS = "\u0915-\u0939\u0958-\u095f\u0978-\u097f"
VOWELS = "\u0904-\u0914\u0960\u0961\u0972-\u0977"
DEVANAGARI = "\u0900-\u0963\u0971-\u097f"

# Sequence that looks like a letter → the letter. The first part is Unicode's table of vowel letters to be encoded as
# one code point (Core Specification, Devanagari, "Vowel Letters"); the second is the same for vowel signs. अ + ॅ gives
# what indic-nlp makes of ॲ.
LOOK_ALIKES = {
    "अा": "आ",
    "र्इ": "ई",
    "उु": "ऊ",
    "एॅ": "ऍ",
    "एे": "ऐ",
    "अॉ": "ऑ",
    "आॅ": "ऑ",
    "अो": "ओ",
    "आे": "ओ",
    "अौ": "औ",
    "आै": "औ",
    "अॅ": "ए",
    "ाे": "ो",
    "ेा": "ो",
    "ाै": "ौ",
    "ैा": "ौ",
    "ाॅ": "ॉ",
    "ॅा": "ॉ",
}

_CLUSTER = rf"[{CONSONANTS}]{NUKTA}?(?:{VIRAMA}[{CONSONANTS}]{NUKTA}?)*"
_LOOK_ALIKE = re.compile("|".join(LOOK_ALIKES))
# Only right after a letter: a foreign accent in between has its canonical place beside the nukta.
_MISORDERED = re.compile(
    rf"(?<=[{CONSONANTS}{VOWELS}{NUKTA}])"
    rf"(?:[{MATRAS}{SIGNS}]+(?:{NUKTA}+[{MATRAS}{SIGNS}]*)+|[{SIGNS}]+[{MATRAS}][{MATRAS}{SIGNS}]*)"
)
_DOUBLED = re.compile(rf"([{MATRAS}{SIGNS}{NUKTA}{VIRAMA}])\1+")
_EARLY_I = re.compile(rf"(?<![{DEVANAGARI}])\u093f({_CLUSTER})(?![{MATRAS}{SIGNS}{VIRAMA}{NUKTA}])")
_SYLLABLES = re.compile(
    rf"(?:(?:[{CONSONANTS}]{NUKTA}?(?:{VIRAMA}|[{MATRAS}]?[{SIGNS}]?)|[{VOWELS}][{SIGNS}]?|[^{DEVANAGARI}]+|[\u093d\u0950\u0971]))*"
)


def order_marks(text: str) -> str:
    """Order the marks of a letter: nukta, vowel signs, then chandrabindu, anusvara and visarga: क + ं + ा → कां."""
    return _MISORDERED.sub(lambda match: "".join(sorted(match[0], key=_rank)), text)


def move_early_i(text: str) -> str:
    """Move ि from a word's start to its place after the consonants that follow: िकताब → किताब."""
    return _EARLY_I.sub("\\1\u093f", text) if "\u093f" in text else text


def merge_doubled_marks(text: str) -> str:
    """Remove a mark that was typed twice: काा → का."""
    return _DOUBLED.sub(r"\1", text)


def merge_look_alikes(text: str) -> str:
    """Replace sequences that look like one letter: अ + ा → आ, ए + े → ऐ, ा + े → ो."""
    return _LOOK_ALIKE.sub(lambda match: LOOK_ALIKES[match[0]], text)


def find_malformed(text: str) -> str | None:
    """Find the first mark without a letter to belong to: at a word's start, after a vowel, beside another matra.

    Args:
        text: A normalised text.

    Returns:
        The character, or `None` in a text that is well formed.
    """
    match = _SYLLABLES.match(text)
    end = match.end() if match else 0
    return text[end] if end < len(text) else None


def _rank(mark: str) -> int:
    return 0 if mark == NUKTA else 2 if mark in "\u0900\u0901\u0902\u0903" else 1

"""English words in the sentences of another language (`language=hi+en`).

English words follow the rules of English for case and apostrophe: `Don't` becomes DON'T, as in a model of English.
Notes, numbers and punctuation follow the rules of the other language. NOISE without brackets is a word, not a note. A
number beside an English word (iPhone 15, 5 pm, 5G) may be said in either language. It stays, and the text is rejected.
A unit such as km does not count as an English word.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace

from data_prep.languages.language import Language
from data_prep.text.character_rules import Rule
from data_prep.text.language_rules import (
    APOSTROPHES,
    RuleSet,
    make_expander,
    make_finder,
    make_note_finder,
    make_stripper,
)
from data_prep.text.units import UNIT

# Raise it when a rule here writes something else than before.
ENGLISH_WORDS_VERSION = 1

_KEPT_APOSTROPHE = "\ue002"  # of the private use area, which no rule touches
_NUMBER = r"[0-9०-९][0-9०-९.,:/]*"
_BESIDE_ENGLISH = re.compile(
    rf"(?:(?<=[A-Za-z])|(?<=[A-Za-z][ -]))(?<!\bRs)(?<!\bRs )(?<!\bINR ){_NUMBER}"
    rf"|{_NUMBER}(?=[ -]?(?!{UNIT}(?![A-Za-z]))[A-Za-z])"
)
_HIDDEN = {ord(digit): 0xE010 + at for at, digit in enumerate("0123456789०१२३४५६७८९")}  # of the private use area, too
_SHOWN = {hidden: digit for digit, hidden in _HIDDEN.items()}
_BETWEEN_LETTERS = re.compile(rf"(?<=[A-Za-z])[{APOSTROPHES}](?=[A-Za-z])")


def _hide(text: str) -> str:
    return _BESIDE_ENGLISH.sub(lambda match: match[0].translate(_HIDDEN), text)


# The number rules come between these two, so that they leave the numbers beside an English word.
HIDE_NUMBERS: Rule = ("hide_ambiguous_numbers", _hide)
SHOW_NUMBERS: Rule = ("show_ambiguous_numbers", lambda text: text.translate(_SHOWN))


def add_english(rules: RuleSet, english: Language, joined: Language) -> RuleSet:
    """Add the rules of English words to those of a language.

    Args:
        rules: Rules of the language alone.
        english: English.
        joined: The language with English words.
    """
    capitals = ("write_capitals", str.upper)  # after the numbers, whose rules know units such as km
    keep = ("keep_english_apostrophe", lambda text: _BETWEEN_LETTERS.sub(_KEPT_APOSTROPHE, text))
    write = ("write_english_apostrophe", lambda text: text.replace(_KEPT_APOSTROPHE, english.apostrophe))
    notes = make_note_finder(joined)
    find_short = make_finder(english.abbreviations, re.IGNORECASE)
    find_ambiguous = make_finder([short for short, words in english.abbreviations.items() if not words], re.IGNORECASE)
    return replace(
        rules,
        numbers=(HIDE_NUMBERS, *rules.numbers, SHOW_NUMBERS),
        punctuation=(keep, capitals, *rules.punctuation, write),
        strip_notes=("strip_annotations", make_stripper(notes)),
        expand=_join_rules(rules.expand, make_expander(english.abbreviations, re.IGNORECASE)),
        find_notes=notes,
        find_ambiguous=lambda text: [*rules.find_ambiguous(text), *find_ambiguous(text)],
        find_short=lambda text: [*rules.find_short(text), *find_short(text)],
        may_hold_short=lambda text: "." in text or rules.may_hold_short(text),
        fingerprint=_fingerprint(rules, english, joined),
    )


def _join_rules(first: Rule, then: Callable[[str], str]) -> Rule:
    name, rule = first
    return name, lambda text: then(rule(text))


def _fingerprint(rules: RuleSet, english: Language, joined: Language) -> str:
    data = [joined.alphabet, english.apostrophe, english.case, english.abbreviations]
    made_of = [ENGLISH_WORDS_VERSION, rules.fingerprint, data]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    return f"{joined.code}-{ENGLISH_WORDS_VERSION}-{digest}"

"""Whole numbers in words for languages that are described by data alone: indic-numtowords says them.

A number is said only where it has one reading: not a year (1947, which many languages say in hundreds), not a number
with a leading zero, a decimal part, a time, a date, a range or a unit sign. Such numbers stay, so that the text is
rejected with a reason.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from indic_numtowords import num2words

from data_prep.languages.language import Language
from data_prep.text.character_rules import Rule

# Raise it with every change of what the rule here says.
PLAIN_NUMBERS_VERSION = 1

# The largest number that is said: ninety-nine crore and more, the largest that every language of the library has.
MAX_NUMBER = 999_999_999

_LONGEST = 13  # characters of a number with its commas
_YEARS = range(1100, 2100)
_BEFORE = r"(?<![^\s(\[\"'“‘])"
_AFTER = r"(?=[\s,;:!?)\]\"'”’।॥۔،؟.]|$)(?![,:;.][0-9])"


def make_number_rule(language: Language, not_before: str = "", not_after: Sequence[str] = ()) -> Rule:
    """Make the rule that says the whole numbers of a text in words.

    Args:
        language: The language.
        not_before: Pattern of what may not follow a number that is said.
        not_after: Texts that may not stand right before one, in any case.
    """
    digits = "0123456789" + language.digits
    ascii_digits = str.maketrans(language.digits, "0123456789") if language.digits else {}
    number = rf"{_BEFORE}([{digits}]{{1,3}}(?:,[{digits}]{{2,3}})+|[{digits}]{{1,9}}){_AFTER.replace('0-9', digits)}"
    if not_before:
        number = f"{''.join(f'(?<!(?i:{re.escape(text)}))' for text in not_after)}{number}(?!{not_before})"
    pattern, any_digit = re.compile(number), re.compile(f"[{digits}]")

    def say(match: re.Match[str]) -> str:
        written = match[1].translate(ascii_digits)
        value = int(written.replace(",", ""))
        grouped = "," in written
        if value > MAX_NUMBER or (len(written) > 1 and written[0] == "0") or (not grouped and value in _YEARS):
            return match[0]
        if grouped and not re.fullmatch(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}", written):
            return match[0]
        return say_whole_number(value, language) or match[0]

    return "say_whole_numbers", lambda text: pattern.sub(say, text) if any_digit.search(text) else text


def say_whole_number(value: int, language: Language) -> str:
    """Say a whole number, 0 … `MAX_NUMBER`; empty if the library has no words for it."""
    words = _look_up(value, str(language.numbers))
    for wrong, right in language.number_spelling.items():
        words = words.replace(wrong, right)
    return words


@lru_cache(maxsize=10_000)
def _look_up(value: int, code: str) -> str:
    try:
        return str(num2words(value, lang=code, variations=False)).strip()
    except (IndexError, KeyError, ValueError):
        return ""

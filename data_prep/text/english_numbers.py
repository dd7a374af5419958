"""English numbers with signs in words, by nemo_text_processing's grammars: percent, decimals, ordinals, sums of money,
measures, decades and clock times.

A number is said only where it has one reading. Dates (25 May: twenty five or the twenty fifth of), years, ranges,
fractions (12/5 is a date too), cents and telephone numbers have several, and stay, so that the text is rejected. Whole
numbers are said by `plain_numbers`.
"""

import re
from importlib.metadata import version

from data_prep.text.character_rules import Rule
from data_prep.text.grammars import say_span

# Raise it with every change of what the rule here says.
ENGLISH_NUMBERS_VERSION = 1

_WHOLE = r"(?:[1-9]\d{0,2}(?:,\d{3})+|0|[1-9]\d{0,5})"
_DECIMAL = rf"{_WHOLE}(?:\.\d{{1,4}})?"
_UNITS = r"(?:km|cm|mm|kg|mg|ml|mph|km/h|°\s?[CF])"
_FORMS = (
    rf"{_DECIMAL}\s?%",
    rf"{_DECIMAL}\s?{_UNITS}",
    rf"{_WHOLE}\.\d{{1,4}}",
    rf"[$£€]\s?{_WHOLE}(?:\s(?:million|billion))?",
    rf"{_WHOLE}(?:st|nd|rd|th)",
    r"(?:1[1-9]|20)[1-9]0s",
    r"[2-9]0s",
    r"(?:1[0-2]|[1-9]):[1-5]\d\s?[ap]\.?m\b\.?",
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
# Short forms of units that are left as they are: 21 ft would become TWENTY ONE FT.
_SHORT_UNITS = r"(?:ft|lbs?|oz|yds?|in|m|g|l|h|s|k|hrs?|mins?|secs?|km|cm|mm|kg|mg|ml|mph|am|pm|[ap]\.m)"
# What a lone number is not said before: a unit, and a month, because 25 May has two readings.
NOT_BEFORE = rf"(?i:\s?{_SHORT_UNITS}\b|\s(?:{'|'.join(_MONTHS)})\b)"
# What a lone number is not said after.
NOT_AFTER = tuple(f"{month} " for month in _MONTHS)
_SPAN = re.compile(
    rf"(?<![^\s(\[\"'“‘])(?:{'|'.join(_FORMS)})(?=[\s,;:!?)\]\"'”’.]|$)(?![,:;.]\d)(?!\s?[-–/]\s?\d)(?!{NOT_BEFORE})",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(\d{1,2})(st|nd|rd|th)$")
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_HALF_OF_DAY = re.compile(r"\s?([ap])\.?m\.?$")
_SAID = re.compile(r"[a-z]+(?: [a-z]+)*")


def make_english_rule() -> Rule:
    """Make the rule that says English numbers with signs."""
    return "say_numbers_with_signs", lambda text: _SPAN.sub(_say, text)


def fingerprint_english_numbers() -> str:
    """Name the versions of the rule and of the library."""
    return f"en-{ENGLISH_NUMBERS_VERSION}-{version('nemo_text_processing')}"


def _say(match: re.Match[str]) -> str:
    written = match[0].lower()
    ordinal = _ORDINAL.search(written)
    if ordinal and ordinal[2] != _find_ending(int(ordinal[1])):
        return match[0]
    half = _HALF_OF_DAY.search(written)
    span = written[: half.start()] if half else written
    said = re.sub(r"[\s-]+", " ", say_span(span, "en").lower()).strip()
    if not _SAID.fullmatch(said):
        return match[0]
    full_stop = "." if half and match[0].endswith(".") else ""
    return f"{said} {half[1]} m{full_stop}" if half else said


def _find_ending(number: int) -> str:
    """Find the ending of an ordinal by its last two digits: 11th, but 21st."""
    return "th" if number // 10 == 1 else _ENDINGS.get(number % 10, "th")

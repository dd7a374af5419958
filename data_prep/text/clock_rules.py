"""Times of day and durations with a colon. 3:16 is a time only next to a word that shows it."""

import re

from data_prep.text.grammars import say_span
from data_prep.text.number_patterns import END, NEW_WORD, NO_LETTER, START, D, Rule, read, rewrite
from data_prep.text.number_words import say_cardinal

OCLOCK = rf"(?P<oclock>\s*बजे{NO_LETTER}(?P<postposition>(?=\s*(?:से|तक|पर|के|की|का|को|में|वाली|वाला|वाले){NO_LETTER}))?)"
_DAYTIME = "सुबह|सवेरे|प्रातः|प्रात:|तड़के|भोर|दोपहर|शाम|सायं|सांय|सायंकाल|रात|रात्रि|अपराह्न|पूर्वाह्न|मध्याह्न|समय|टाइम|घड़ी"
BEFORE_TIME = rf"(?P<before>{NEW_WORD}(?:{_DAYTIME})(?:\s?[:–-])?(?:\s(?:के|को|में|करीब|क़रीब|लगभग|ठीक|क़रीबन))*\s)"
_TIME = rf"(?P<hour>{D}{{1,2}}):(?P<minute>{D}{{2}})(?::(?P<second>{D}{{2}}))?{END}"
_UNTIL = rf"(?P<until>(?=\s*(?:से|तक)\s*(?:{_DAYTIME})?\s*{D}{{1,2}}(?::{D}{{2}})?\s*बजे))"
_AROUND = rf"(?P<around>(?=\s*(?:पर|से|तक|के\sबीच){NO_LETTER}))"
_WHOLE = r"(?P<whole>(?=[।.\s]*\Z))"


def say_time(match: re.Match[str]) -> str | None:
    """Say 10:30 बजे, सुबह 9:15, 10:30:45; 10:20 बजे loses its बजे when it is said and gets पर."""
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 24 or minute > 59 or second > 59 or (second and not minute) or not _is_clock(match, minute):
        return None
    before = f"{match['before'] or ''} "
    if hour > 12 and minute in (15, 30) and not second:
        words = f"{say_cardinal(hour)} बजकर {say_cardinal(minute)} मिनट"  # quarters belong to the twelve-hour clock
    else:
        words = say_span(f"{hour}:{minute:02d}" + (f":{second:02d}" if second else ""))
    if not match["oclock"] or words.endswith("बजे"):
        return before + words
    if "बजकर" not in words:
        return f"{before}{words} बजे"
    return before + (words if match["postposition"] is not None else f"{words} पर")


def _is_clock(match: re.Match[str], minute: int) -> bool:
    groups = match.groupdict()
    if match["oclock"] or any(groups.get(name) is not None for name in ("before", "until")):
        return True
    if groups.get("around") is not None and minute % 5 == 0:
        return True
    return groups.get("whole") is not None and not match.string[: match.start("hour")].strip()


def _say_duration(match: re.Match[str]) -> str | None:
    """Say 4:51 मिनट as minutes and seconds, 2:45 घंटे as hours and minutes."""
    first, second, third = int(match["hour"]), int(match["minute"]), match["second"]
    if second > 59 or (third and int(third) > 59) or (third and match["unit"].startswith("मिनट")):
        return None
    big, small = ("मिनट", "सेकंड") if match["unit"].startswith("मिनट") else ("घंटे", "मिनट")
    if first == 1 and big == "घंटे":
        big = "घंटा"
    parts = [(first, big), (second, small), (int(third or 0), "सेकंड")]
    return " ".join(f"{say_cardinal(count)} {unit}" for count, unit in parts if count) or None


def _say_choice(match: re.Match[str]) -> str | None:
    """Say 7/8 बजे as seven or eight."""
    first, second = int(match["first"]), int(match["second"])
    if second != first % 12 + 1:
        return None
    return f"{say_cardinal(first)} {say_cardinal(second)}"


CLOCK_RULES: tuple[Rule, ...] = (
    ("range_of_times", rewrite(rf"(?<={D}:{D}{{2}})\s?[-‐‑–—−]\s?(?={D}{{1,2}}:{D}{{2}})", " से ", needs=":")),
    (
        "duration",
        read(
            rf"{START}(?P<hour>{D}{{1,3}}):(?P<minute>{D}{{2}})(?::(?P<second>{D}{{2}}))?{END}"
            rf"\s*(?P<unit>मिनटों|मिनट|घंटों|घंटे|घंटा){NO_LETTER}",
            _say_duration,
            needs=":",
        ),
    ),
    ("time", read(rf"{BEFORE_TIME}?{START}{_TIME}(?:{OCLOCK}|{_UNTIL}|{_AROUND}|{_WHOLE}|)", say_time, needs=":")),
    (  # 10.30 बजे
        "time_with_dot",
        read(
            rf"(?P<before>){START}(?P<hour>{D}{{1,2}})\.(?P<minute>{D}{{2}})(?P<second>){END}{OCLOCK}",
            say_time,
            needs=["बजे"],
        ),
    ),
    (  # सुबह 6.45 पर
        "time_with_dot_by_day",
        read(
            rf"{BEFORE_TIME}{START}(?P<hour>{D}{{1,2}})\.(?P<minute>{D}{{2}})(?P<second>){END}(?P<oclock>)"
            rf"(?=\s(?:पर|से|तक){NO_LETTER})",
            say_time,
            needs=_DAYTIME.split("|"),
        ),
    ),
    (
        "choice_of_hours",
        read(
            rf"{START}(?P<first>{D}{{1,2}})/(?P<second>{D}{{1,2}}){END}(?=\s*बजे{NO_LETTER})", _say_choice, needs=["बजे"]
        ),
    ),
)

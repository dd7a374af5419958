"""Numbers as they are read aloud: an ordered list of small named rules, each for one way of writing numbers.

A rule says only what it is sure of. What no rule reads (4:3, 5.2.1, 11/2, 36-24-36, 5+3) stays as it is, so that the
line is rejected with a reason instead of being trained on with a wrong text. Between the rules a line holds words and
the numbers that are still to be read.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from data_prep.text.grammars import check_grammars as check_grammars
from data_prep.text.number_forms import (
    ABBREVIATED_UNITS,
    GRAMMAR_UNITS,
    VULGAR_FRACTIONS,
    Say,
    say_amount,
    say_date,
    say_fraction,
    say_measure,
    say_named_phone,
    say_ordinal,
    say_percent,
    say_phone,
    say_plain,
    say_range_start,
    say_time,
    say_years,
)
from data_prep.text.number_words import DIGIT, say_year


def _alternatives(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


RULES_VERSION = 1
"""To be raised with every change of what a rule of this folder says; a reworded comment leaves it as it is."""

D = DIGIT
LETTER = "A-Za-z\u0900-\u0963\u0971-\u097f"
NO_LETTER = rf"(?![{LETTER}])"
DASH = "[-‐‑–—−]"
JOIN = rf"(?:{DASH}| {DASH} )"
# Signs that make one thing of the numbers on their two sides, a lone space too (1 9वें is a slip for 19वें): where no rule
# has read it all, none may read half of it.
BOND = r"[.,:/\\^<>*_~|#'’′″‐‑–—−-]"
UNBOUND = rf"(?<!{D})(?<![{LETTER}])(?<!{D}{BOND})(?<!{D}\s)(?<!{D}\s[–—−-]\s)"
# A list's dash and a minus, a decimal point and the stop of the sentence before cannot be told apart.
UNSIGNED = r"(?<!\A[-−+.])(?<![\s(][-−+.])"
START = UNBOUND + UNSIGNED
END = rf"(?!{D}|{BOND}+{D}|\s{D}|\s[–—−-]\s{D}|\s?[<>^*~+=×])"
WHOLE = rf"(?:{D}{{1,2}}(?:,{D}{{2}})*,{D}{{3}}|{D}{{1,3}}(?:,{D}{{3}})+|{D}+)"
NUMBER = rf"{WHOLE}(?:\.{D}+)?"
SIGNED = rf"(?:(?P<minus>(?<![^\s(])[-−])|{UNSIGNED}){UNBOUND}(?P<number>{NUMBER})"
SCALE = rf"(?:\s?(?:सौ|हज़ार|हजार|लाख|करोड़|करोड|अरब|खरब|मिलियन|बिलियन|ट्रिलियन){NO_LETTER})"
RUPEE = r"(?:रु|रू|Rs)(?:\s?[.॰])?"
CURRENCY_WORD = rf"(?:रुपये|रुपए|रुपया|रूपये|रूपए|रुपयों|डॉलर|यूरो|पाउंड|येन){NO_LETTER}"
MONTH = "(?:जनवरी|फ़रवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|सितंम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर)"
YEAR = f"[1१][1-9१-९]{D}{{2}}"  # the years that are said in hundreds
YEAR_NAME = rf"(?:(?:सन्|सन|ई[.॰]|वर्ष|साल|ईस्वी|ईसवी|संवत्|संवत|{MONTH}(?:\s*{D}{{1,2}}\s*,)?)[\s,]*)"
AFTER_YEAR = (
    rf"\s*(?:(?:में|तक|के|की|का|को|ई|ईस्वी|ईसवी|वाले|वाली){NO_LETTER}|\)|से{NO_LETTER}(?!\s*{D})|"
    rf"से\s*{D}{{4}}{END}\s*(?:तक|के|की|में){NO_LETTER})"
)
OCLOCK = rf"(?P<oclock>\s*बजे{NO_LETTER}(?P<postposition>(?=\s*(?:से|तक|पर|के|की|का|को|में){NO_LETTER}))?)"
PHONE_NAME = (
    r"(?:(?:हेल्पलाइन|टोल[ -]?फ्री|मोबाइल|फ़ोन|फोन|दूरभाष|व्हाट्सएप|पिन|ओटीपी)\s*(?:नंबर|नम्बर|कोड|संख्या)?\s*[-–:]|"
    r"(?:हेल्पलाइन|टोल[ -]?फ्री|मोबाइल|फ़ोन|फोन|दूरभाष|व्हाट्सएप|पिन)\s*(?:नंबर|नम्बर|कोड|संख्या)|पिनकोड)(?:\s*(?:है|[-–:]))?"
)


def _compile(pattern: str) -> re.Pattern[str]:
    """Compile over composed text, which every line is when it comes here."""
    return re.compile(unicodedata.normalize("NFC", pattern))


def _read(pattern: str, say: Say) -> Callable[[str], str]:
    """Make a rule: what is said takes the place of a match, as words of their own; `None` leaves the match alone."""
    compiled = _compile(pattern)

    def replace(match: re.Match[str]) -> str:
        words = say(match)
        return match[0] if words is None else f" {words} "

    return lambda text: compiled.sub(replace, text)


def _rewrite(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    compiled = _compile(pattern)
    return lambda text: compiled.sub(replacement, text)


def _split_list(match: re.Match[str]) -> str:
    """1,2,3 is a list; 1,00,00 is a slip of the pen."""
    pieces = match[0].split(",")
    is_list = not re.fullmatch(WHOLE, match[0]) and not any(len(piece) > 1 and int(piece[0]) == 0 for piece in pieces)
    return ", ".join(pieces) if is_list else match[0]


NUMBER_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    # बी०ए०: a zero in place of the abbreviation sign. In इड०४ it may be that or a digit, so it stays.
    ("zero_as_abbreviation", _rewrite(rf"(?<=[\u0900-\u0963])०(?!{D})", "॰")),
    ("split_glued_digits", _rewrite(r"(?<=[\u0900-\u0963\u0971-\u097f])(?=[1-9१-९])", " ")),  # कोविड19, एच1एन1
    ("fraction_signs", _rewrite(f"[{''.join(VULGAR_FRACTIONS)}]", lambda match: f" {VULGAR_FRACTIONS[match[0]]} ")),
    # Tokenised text: 10 ,500 · 1 ,20 ,000 · 22 , 000 · 2 .5
    (
        "rejoin_groups",
        _rewrite(
            rf"(?<![{D[1:-1]},])(?:{D}{{1,2}}(?: ?,{D}{{2}})* ?,{D}{{3}}|{D}{{1,3}} ?, ?[0०]{{3}})(?!{D})",
            lambda match: match[0].replace(" ", ""),
        ),
    ),
    ("rejoin_decimals", _rewrite(rf"(?<![{D[1:-1]}.,])({D}{{1,3}}) \.(?={D}{{1,2}}(?!{D}))", r"\1.")),
    ("split_lists", _rewrite(rf"(?<!{D}){D}+(?:,{D}+)+(?!{D})", _split_list)),
    ("phone", _read(rf"{START}\+?{D}(?:[ -]?{D}){{9,}}{END}(?!\s*(?:{CURRENCY_WORD}|{SCALE}))", say_phone)),
    (  # +91 …, (0522) …
        "phone_marked",
        _read(rf"(?<![{LETTER}{D[1:-1]}])(?:\+|\({D}{{3,5}}\)[ -]?){D}(?:[ -]?{D}){{5,}}{END}", say_phone),
    ),
    (
        "phone_after_its_name",
        _read(rf"(?P<name>{PHONE_NAME})\s*(?P<phone>{D}(?:[ -]?{D}){{2,}}){END}", say_named_phone),
    ),
    (
        "date",
        _read(
            rf"{START}(?P<day>{D}{{1,2}})(?P<mark>[-/.])(?P<month>{D}{{1,2}})(?P=mark)(?P<year>{D}{{4}}){END}", say_date
        ),
    ),
    (
        "date_year_first",
        _read(rf"{START}(?P<year>{D}{{4}})(?P<mark>[-/])(?P<month>{D}{{2}})(?P=mark)(?P<day>{D}{{2}}){END}", say_date),
    ),
    ("range_of_dates", _rewrite(rf"(?<={D}{{4}}){JOIN}(?={D}{{1,2}}\s*{MONTH})", " से ")),  # 1913 - 19 दिसंबर
    ("range_of_percents", _rewrite(rf"(?<={D}%){JOIN}(?={D})", " से ")),
    ("range_of_times", _rewrite(rf"(?<={D}:{D}{{2}}){JOIN}(?={D}{{1,2}}:{D}{{2}})", " से ")),
    (
        "time",
        _read(rf"{START}(?P<hour>{D}{{1,2}}):(?P<minute>{D}{{2}})(?::(?P<second>{D}{{2}}))?{END}{OCLOCK}?", say_time),
    ),
    (
        "time_with_dot",
        _read(rf"{START}(?P<hour>{D}{{1,2}})\.(?P<minute>{D}{{2}})(?P<second>){END}{OCLOCK}", say_time),
    ),  # 10.30 बजे
    (
        "currency_first",
        _read(
            rf"(?:(?P<sign>[₹$€£¥])|(?<![{LETTER}]){RUPEE})\s?(?P<first>{NUMBER})(?:{JOIN}(?:(?P=sign))?(?P<second>{NUMBER}))?"
            rf"{END}"
            rf"(?:\s?/-)?(?P<scale>{SCALE}*)(?:\s?{CURRENCY_WORD})?",
            say_amount,
        ),
    ),
    (
        "currency_last",
        _read(
            rf"{START}(?P<first>{NUMBER})(?:{JOIN}(?P<second>{NUMBER}))?(?P<scale>{SCALE}*)"
            rf"(?:\s?(?P<sign>[₹€£¥])|\s?(?:रु|रू){NO_LETTER}[.॰]?(?!\s?{D})|/-(?:\s?{CURRENCY_WORD})?)",
            say_amount,
        ),
    ),
    (
        "fraction",
        _read(
            rf"{START}(?:(?P<whole>{D}{{1,3}})\s+)?(?P<top>{D}{{1,3}})/(?P<bottom>{D}{{1,3}}){END}",
            say_fraction,
        ),
    ),
    (
        "years",
        _read(
            rf"{START}(?P<first>[12१२]{D}{{3}})(?:{JOIN}|(?P<slash>/))(?P<second>{D}{{4}}|{D}{{2}}){END}",
            say_years,
        ),
    ),
    (
        "range",
        _read(
            rf"{START}(?P<first>{NUMBER}){JOIN}(?=(?P<second>{NUMBER}){END}(?P<from>\s*से{NO_LETTER}(?!\s?\.))?)",
            say_range_start,
        ),
    ),
    ("percent", _read(rf"{SIGNED}\s?%", say_percent)),
    (
        "measure",
        _read(
            rf"{SIGNED}\s?(?P<unit>{_alternatives(GRAMMAR_UNITS)}|{_alternatives(ABBREVIATED_UNITS)})"
            rf"(?P<per_hour>\s?/\s?(?:घंटा|घंटे))?(?![{LETTER}²³/])",
            say_measure,
        ),
    ),
    (
        "ordinal",
        _read(
            rf"{START}(?P<number>{WHOLE})(?:-?(?P<suffix>वाँ|वां|वाॅं|वॉं|वीं|वी|वें|वे|[लरथठ][ाीे])){NO_LETTER}",
            say_ordinal,
        ),
    ),
    (
        "ordinal_apart",
        _read(rf"{START}(?P<number>{WHOLE})\s(?P<suffix>वाँ|वां|वीं|वें){NO_LETTER}", say_ordinal),
    ),
    # टी-20: the cricket game has an English name
    ("twenty_twenty", _rewrite(rf"(?<![{LETTER}])(टी|ट्वेंटी|ट्वेन्टी|टवेन्टी|टेवन्टी)[ -]{{1,3}}(?:20|२०){END}", r"\1 ट्वेंटी ")),
    (
        "year_after_its_name",
        _rewrite(rf"(?<![{LETTER}])({YEAR_NAME})({YEAR}){END}", lambda match: f"{match[1]} {say_year(int(match[2]))} "),
    ),
    ("year", _read(rf"{START}{YEAR}{END}(?={AFTER_YEAR})", lambda match: say_year(int(match[0])))),
    ("plain_number", _read(rf"{START}{NUMBER}{END}", say_plain)),
)


def _fingerprint() -> str:
    digest = hashlib.sha256(str(RULES_VERSION).encode())
    for library in ("indic_numtowords", "nemo_text_processing"):
        try:
            digest.update(version(library).encode())
        except PackageNotFoundError:
            digest.update(b"-")
    return digest.hexdigest()[:8]


# Which rules verbalised the numbers of a text: changes with RULES_VERSION and the libraries' versions.
NUMBERS_FINGERPRINT: str = _fingerprint()

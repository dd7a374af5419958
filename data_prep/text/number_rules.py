"""Numbers as they are read aloud: an ordered list of small named rules, each for one way of writing numbers.

A rule says a number only where it has one reading. Other numbers (4:3, 5.2.1, 11/2, 36-24-36, 5+3) stay as they are, so
that the line is rejected with a reason and nobody trains on a wrong text. Between the rules a line holds words and the
numbers that no rule has read yet.
"""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version

from data_prep.text.abbreviations import LETTER_NAMES, SHORT_WORDS
from data_prep.text.clock_rules import CLOCK_RULES
from data_prep.text.digit_strings import DIGIT_STRING_RULES
from data_prep.text.fraction_rules import FRACTION_RULES, VULGAR_FRACTIONS
from data_prep.text.number_forms import (
    say_amount,
    say_date,
    say_measure,
    say_minus,
    say_ordinal,
    say_percent,
    say_percent_bound,
    say_plain,
    say_range_start,
)
from data_prep.text.number_patterns import (
    COUNTED,
    CURRENCY_WORD,
    DASHES,
    END,
    JOIN,
    LETTER,
    MONTH,
    NEW_WORD,
    NO_LETTER,
    NUMBER,
    POSTPOSITION,
    RUPEE,
    SCALE,
    SIGNED,
    START,
    UNBOUND,
    UNSIGNED,
    WHOLE,
    D,
    Rule,
    read,
    rewrite,
)
from data_prep.text.number_words import ENGLISH_DIGITS, say_cardinal
from data_prep.text.units import CURRENCIES, CURRENCY_SIGN, UNIT
from data_prep.text.year_rules import LONE_YEAR_RULES, YEAR_RULES

# Raise it with every change of what a rule of this folder says; a reworded comment leaves it as it is.
RULES_VERSION = 11

# Words after a result: 1-3 से, 2-2 की बराबरी. Such numbers are said without से.
_RESULT = (
    "(?:से(?!\\s?\\.)|बराबर|ड्रॉ|ड्रा|हारा|हारी|हारे|जीता|जीती|जीते|की\\s(?:बढ़त|जीत|हार|बराबरी|अजेय|शिकस्त)|के\\s(?:अंतर|स्कोर))"
)
# Letter names that are not words: के5 is a slip for के 5.
_LETTER_NAMES = "|".join(sorted(LETTER_NAMES - SHORT_WORDS, key=len, reverse=True))
_MONEY = (*CURRENCIES, "रु", "रू", "Rs")
# Months beside a day or a year.
SHORT_MONTHS = {
    "जन": "जनवरी", "फर": "फ़रवरी", "अप्रै": "अप्रैल", "अग": "अगस्त", "सित": "सितंबर", "अक्टू": "अक्टूबर", "अक्तू": "अक्तूबर",
    "नव": "नवंबर", "नवं": "नवंबर", "दिस": "दिसंबर", "दिसं": "दिसंबर",
}  # fmt: skip
_SHORT = "|".join(sorted(SHORT_MONTHS, key=len, reverse=True))
_ORDINAL = "वाँ|वां|वाॅं|वॉं|वीं|वी|वें|वे"
_PER_UNITS = "किलो|किलोग्राम|लीटर|क्विंटल|टन|घंटा|घंटे|सेकंड|मिनट|दिन|माह|महीना|वर्ष|साल|व्यक्ति|यूनिट|मीटर|हेक्टेयर|एकड़|दर्जन|बैरल|पीस"
_MEASURED = r"(?:\s?(?:₹|रु\.?|रुपये|रुपए|किमी|कि\.मी\.|मीटर|मी\.|लीटर|किलो|ग्राम|टन|यूनिट|घंटे|%))?"


_SCORE = rf"({D}{{1,3}})[-‐‑–—−]({D}{{1,3}})"
_SCORES = rf"{START}{_SCORE}(?:(?:,\s?(?:और\s)?|\sऔर\s|\s){_SCORE}){{1,4}}{END}(?P<result>(?=\s*{_RESULT}{NO_LETTER}))?"


def _say_scores(match: re.Match[str]) -> str | None:
    """Say the sets of a match, 21-18, 19-21, 21-15: a result follows, or one of them falls."""
    scores = [(first, second) for first, second in re.findall(_SCORE, match[0])]
    if match["result"] is None and all(int(first) < int(second) for first, second in scores):
        return None
    return " ".join(say_cardinal(int(points)) for score in scores for points in score)


def _split_list(match: re.Match[str]) -> str:
    """Separate the numbers of a list, 1,2,3; 1,00,00 is a slip and stays."""
    pieces = match[0].split(",")
    is_list = not re.fullmatch(WHOLE, match[0]) and not any(len(piece) > 1 and int(piece[0]) == 0 for piece in pieces)
    is_slip = len(pieces) == 2 and len(pieces[0]) > 3 and len(pieces[1]) == 3  # 1234,567
    return ", ".join(pieces) if is_list and not is_slip else match[0]


NUMBER_RULES: tuple[Rule, ...] = (
    # बी०ए०: a zero in place of the abbreviation sign. In इड०४ it may be that or a digit, so it stays.
    ("zero_as_abbreviation", rewrite(rf"(?<=[\u0900-\u0963])०(?!{D})", "॰", needs="०")),
    # 4जी, 3डी, 4के टीवी; एच1एन1, ए4
    (
        "english_digits",
        rewrite(
            rf"(?=[2-6२-६])(?<![{LETTER}{D[1:-1]}.:/-])(?<!{D},)(?P<first>[2-6२-६])(?=-?(?:जी|डी|के(?=\s(?:टीवी|वीडियो|डिस्प्ले|स्क्रीन|रेज़ोल्यूशन|रेजोल्यूशन|कैमरा|रिकॉर्डिंग))){NO_LETTER})|"
            rf"(?=[\u0900-\u0963]{{1,6}}[1-9१-९])(?P<letter>{NEW_WORD}(?:{_LETTER_NAMES})|(?<={D})(?:{_LETTER_NAMES}))(?P<last>[1-9१-९])(?!{D}|[.,:]{D})",
            lambda match: f"{match['letter'] or ''} {ENGLISH_DIGITS[int(match['first'] or match['last'])]} ",
        ),
    ),
    (  # कोविड19; a model's number (आई20, ए320) is said in English as often as in Hindi, so it stays
        "split_glued_digits",
        rewrite(
            rf"{NEW_WORD}(?!टी)(?:{_LETTER_NAMES}){D}{{2,3}}(?!{D})|(?<=[\u0900-\u0963\u0971-\u097f])(?=[1-9१-९])",
            lambda match: match[0] or " ",
        ),
    ),
    (  # 25 दिस. को, दिस. 2020 में
        "short_months",
        rewrite(
            rf"(?<={D})\s?({_SHORT})\s?[.॰]|{NEW_WORD}({_SHORT})\s?[.॰](?=\s?{D}{{4}})",
            lambda match: f" {SHORT_MONTHS[match[1] or match[2]]} ",
            needs=list(SHORT_MONTHS),
        ),
    ),
    ("number_without_stop", rewrite(rf"{NEW_WORD}नं(?=\s?{D})", "नंबर ", needs=["नं"])),  # नं 5
    # 10ः30: a visarga typed for a colon
    ("visarga_as_colon", rewrite(rf"(?<={D})\s?ः\s?(?={D})", ":", needs="ः")),
    ("tilde_as_dash", rewrite(rf"(?<={D})\s?[~〜]\s?(?={D})", "-", needs="~〜")),
    ("fraction_signs", rewrite(f"[{''.join(VULGAR_FRACTIONS)}]", lambda match: f" {VULGAR_FRACTIONS[match[0]]} ")),
    # Tokenised text: 10 ,500 · 1 ,20 ,000 · 22 , 000 · 2 .5
    (
        "rejoin_groups",
        rewrite(
            rf"(?<![{D[1:-1]},])(?:{D}{{1,2}}(?: ?,{D}{{2}})* ?,{D}{{3}}|{D}{{1,3}} ?, ?[0०]{{3}})(?!{D})",
            lambda match: match[0].replace(" ", ""),
            needs=",",
        ),
    ),
    ("rejoin_times", rewrite(rf"(?<={D})\s:\s?(?={D}{{2}}\s?बजे)", ":", needs=":")),  # 7 : 30 बजे
    ("rejoin_slashes", rewrite(rf"(?<={D})(?: / ?|/ )(?={D})", "/", needs="/")),  # 26 /11
    ("rejoin_decimals", rewrite(rf"(?<![{D[1:-1]}.,])({D}{{1,3}}) \.(?={D}{{1,2}}(?!{D}))", r"\1.", needs=[" ."])),
    ("split_lists", rewrite(rf"(?<!{D}){D}+(?:,{D}+)+(?!{D})", _split_list, needs=",")),
    *DIGIT_STRING_RULES,
    (
        "date",
        read(
            rf"{START}(?P<day>{D}{{1,2}})(?P<mark>[-/.])(?P<month>{D}{{1,2}})(?P=mark)(?P<year>{D}{{4}}){END}", say_date
        ),
    ),
    (
        "date_year_first",
        read(rf"{START}(?P<year>{D}{{4}})(?P<mark>[-/])(?P<month>{D}{{2}})(?P=mark)(?P<day>{D}{{2}}){END}", say_date),
    ),
    (
        "until_now",
        rewrite(rf"(?<={D}{{4}}){JOIN}(?=(?:वर्तमान|अब|आज|जारी){NO_LETTER})", " से ", needs=DASHES),
    ),  # 2003-वर्तमान
    # 1913 - 19 दिसंबर, 15 मार्च - 20 अप्रैल
    (
        "range_of_dates",
        rewrite(rf"(?:(?<={D}{{4}})|({D}\s?{MONTH})){JOIN}(?={D}{{1,2}}\s*{MONTH})", r"\1 से ", needs=DASHES),
    ),
    ("range_of_percents", rewrite(rf"(?<={D}%){JOIN}(?={D})", " से ", needs="%")),
    ("scores", read(_SCORES, _say_scores, needs=DASHES)),
    *CLOCK_RULES,
    (  # 18+ आयु
        "and_over",
        rewrite(rf"{START}({D}{{2}})\+(?=\s(?:आयु|उम्र|वर्ष|साल|के\sलिए|वाले|वालों|श्रेणी){NO_LETTER})", r"\1 प्लस ", needs="+"),
    ),
    ("about", rewrite(rf"(?<![^\s(])[~∼≈]\s?(?={D})", " लगभग ", needs="~∼≈")),  # ~10
    # 1,000.00 रुपये: nobody says the zeros
    ("zero_paise", rewrite(rf"(?<={D})\.[0०]{{2}}(?=\s?{CURRENCY_WORD})", "", needs=[".00", ".००"])),
    ("percent_bound", read(rf"{UNBOUND}(?P<sign>[<>])\s?(?P<number>{NUMBER})\s?%", say_percent_bound, needs="%")),
    # ₹50/किलो, 60 किमी/घंटा
    ("per", rewrite(rf"({D}{_MEASURED})\s?/\s?(?=(?:{_PER_UNITS}){NO_LETTER})", r"\1 प्रति ", needs="/")),
    (
        "currency_first",
        read(
            rf"(?=[{''.join(CURRENCIES)}रR]){UNSIGNED}(?:(?P<sign>{CURRENCY_SIGN})|(?<![{LETTER}]){RUPEE})\s?(?P<first>{NUMBER})(?:{JOIN}(?:(?P=sign))?(?P<second>{NUMBER}))?"
            rf"{END}"
            rf"(?:\s?/-)?(?P<scale>{SCALE}*)(?:\s?{CURRENCY_WORD})?(?P<postposition>(?=\s*{POSTPOSITION}))?",
            say_amount,
            needs=_MONEY,
        ),
    ),
    (
        "currency_last",
        read(
            rf"{START}(?P<first>{NUMBER})(?:{JOIN}(?P<second>{NUMBER}))?(?P<scale>{SCALE}*)"
            rf"(?:\s?(?P<sign>{CURRENCY_SIGN})|\s?(?:रु|रू|Rs){NO_LETTER}[.॰]?(?!\s?{D})|/-(?:\s?{CURRENCY_WORD})?)"
            rf"(?P<postposition>(?=\s*{POSTPOSITION}))?",
            say_amount,
            needs=[*_MONEY, "/-"],
        ),
    ),
    *FRACTION_RULES,
    *YEAR_RULES,
    (
        "range",
        read(
            rf"{START}(?P<first>{NUMBER}){JOIN}(?=(?P<second>{NUMBER}){END}(?P<ordinal>[-\s]?(?:{_ORDINAL}){NO_LETTER})?"
            rf"(?P<result>\s*{_RESULT}{NO_LETTER})?(?P<counted>\s*(?:{COUNTED}){NO_LETTER})?(?P<before_christ>\s*ईसा\s?पूर्व)?)",
            say_range_start,
            needs=DASHES,
        ),
    ),
    ("percent", read(rf"{SIGNED}\s?%", say_percent, needs="%")),
    (
        "measure",
        read(
            rf"{SIGNED}\s?(?P<unit>{UNIT})"
            rf"(?P<per_hour>\s?/\s?(?:घंटा|घंटे))?(?![{LETTER}²³/]|[.॰]?\s?/)",
            say_measure,
        ),
    ),
    (
        "ordinal",
        read(
            rf"{START}(?P<number>{WHOLE})(?:-?(?P<suffix>{_ORDINAL}|[लथठ][ाीे]|स?र[ाीे])){NO_LETTER}",
            say_ordinal,
            needs=["व", "ल", "र", "थ", "ठ"],
        ),
    ),
    (
        "ordinal_apart",
        read(
            rf"{START}(?P<number>{WHOLE})\s(?P<suffix>वाँ|वां|वीं|वें|वी(?=\s[{LETTER}])){NO_LETTER}",
            say_ordinal,
            needs=[" व"],
        ),
    ),
    # टी-20: the cricket game has an English name
    (
        "twenty_twenty",
        rewrite(
            rf"(?<![{LETTER}])(टी|ट्वेंटी|ट्वेन्टी|टवेन्टी|टेवन्टी)[ -]{{1,3}}(?:20|२०){END}", r"\1 ट्वेंटी ", needs=["20", "२०"]
        ),
    ),
    *LONE_YEAR_RULES,
    # A true minus sign, or a hyphen at a decimal: −5, -1.61
    ("minus", read(rf"(?<![^\s(])(?:−|-(?={D}+\.)){UNBOUND}(?P<number>{NUMBER}){END}", say_minus, needs="−-")),
    (
        "plain_number",
        read(
            rf"(?=[\s0-9०-९])(?P<dash>\s[-−]\s)?{START}(?P<number>{NUMBER}){END}(?P<word>(?=\s?[\u0900-\u0963]))?",
            say_plain,
        ),
    ),
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

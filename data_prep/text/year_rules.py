"""Years, which are said in hundreds from 1100 to 1999. A number is a year if a word next to it shows it, and all
numbers of a list are years where one is."""

import re

from data_prep.text.number_patterns import (
    DASHES,
    END,
    JOIN,
    LETTER,
    MONTH,
    NEW_WORD,
    NO_LETTER,
    START,
    D,
    Rule,
    compile_pattern,
    read,
    rewrite,
)
from data_prep.text.number_words import say_cardinal, say_year

YEAR = f"[1१][1-9१-९]{D}{{2}}"  # the years that are said in hundreds
ANY_YEAR = f"(?:{YEAR}|[2२][0०]{D}{{2}})"
EVENTS = (
    "अधिनियम|क़ानून|कानून|संहिता|विधेयक|विश्व कप|विश्वकप|ओलंपिक|ओलम्पिक|एशियाड|एशियाई खेल|चुनाव|चुनावों|आंदोलन|क्रांति|विद्रोह|"
    "ग्रीष्मकालीन|शीतकालीन|विश्व|एशियाई|एशियन|राष्ट्रमंडल|राष्ट्रमण्डल|फ़ीफ़ा|फीफा|लोकसभा|विधानसभा|ओपन|"
    "युद्ध|सत्याग्रह|मॉडल|बैच|सत्र|संस्करण|दशक|जनगणना|भूकंप|संशोधन|शिखर सम्मेलन|"
    "बम धमाके|बम धमाकों|दंगे|दंगों|सिख विरोधी|हमले|हमलों|आपातकाल|त्रासदी|तख़्तापलट|तख्तापलट"
)
YEAR_NAME = (
    rf"(?:(?:सन्|सन|ई[.॰]|ईस्वी|ईसवी|वर्ष|साल|संवत्|संवत|हिजरी|{MONTH}(?:\s*{D}{{1,2}}\s*,)?)[\s,]*|(?:{EVENTS})\s*[,(]\s*)"
)
_MORE_OR_LESS = "अधिक|ज़्यादा|ज्यादा|कम|ऊपर|नीचे|अधिकतम"
AFTER_YEAR = (
    rf"\s*(?:(?:में|तक|के|की|का|को|ई|ईस्वी|ईसवी|ईसा|वाले|वाली|{EVENTS}){NO_LETTER}|\)|[-–]\s*[^\s{D[1:-1]}-]|"
    rf"से{NO_LETTER}(?!\s*(?:{D}|(?:{_MORE_OR_LESS}){NO_LETTER}))|"
    rf"से\s*{D}{{4}}{END}\s*(?:तक|के|की|में){NO_LETTER}|से\s*{D}{{1,2}}\s*{MONTH}|"
    rf"(?:,|और|व|एवं)\s*{D}[0०]\s*(?:के|का|की)\sदशक)"
)
_SEPARATOR = rf"(?:\s?,\s?(?:और\s)?|\s(?:और|व|एवं|तथा|या|से|अथवा)\s|{JOIN})"
_LIST = rf"{ANY_YEAR}(?:{_SEPARATOR}{ANY_YEAR}){{1,15}}"  # a bound, so that a file of years takes no quadratic time
_AT_END = r"\s*(?:[।.!?|)]*\s*\Z|[।!?|)])"
_ANY_YEAR = re.compile(ANY_YEAR)
RECENT = f"[1१][6-9६-९]{D}{{2}}"  # without a noun after it, such a number is a year
# Words before a count or a name, which is not a year even where no noun follows.
_COUNT_WORDS = (
    "संख्या|कुल|लगभग|करीब|क़रीब|तकरीबन|आबादी|जनसंख्या|कीमत|क़ीमत|मूल्य|राशि|रकम|मात्र|सिर्फ़|सिर्फ|केवल|नंबर|नम्बर|क्रमांक|धारा|कोड|कमरा|"
    "मकान|सेक्टर|राजमार्ग|मॉडल|गाड़ी|ट्रेन|योग|स्कोर|रुपये|रुपए|ऊँचाई|लंबाई|दूरी|वज़न|वजन|अंक|पृष्ठ|नोकिया|बोइंग"
)
_COUNT_BEFORE = compile_pattern(rf"{NEW_WORD}(?:{_COUNT_WORDS})\s\Z")
LONGEST_COUNT_WORD = 12  # characters, with its space
_NO_NOUN = rf"(?=\s*(?:[।!?;)|]|\.(?!\s?{D})|,(?!\s*{D})|\Z|(?:और|तथा|व|एवं|या){NO_LETTER}(?!\s*{D})))"


def _is_counted(match: re.Match[str]) -> bool:
    return _COUNT_BEFORE.search(match.string, max(0, match.start() - LONGEST_COUNT_WORD), match.start()) is not None


def _say_list(match: re.Match[str]) -> str | None:
    """Say 1962, 1965 और 1971 as years. A hyphen means से, and needs years that rise."""
    said = re.sub(JOIN, " से ", match["years"])
    years = [int(year) for year in _ANY_YEAR.findall(match["years"])]
    if said != match["years"] and years != sorted(set(years)):
        return None
    return f"{match['name'] or ''} {_ANY_YEAR.sub(lambda year: f' {say_year(int(year[0]))} ', said)}"


def _say_rising_list(match: re.Match[str]) -> str | None:
    """Say 1931, 1941 तथा 1951 as years without a word that says so: they rise, and span at most two centuries."""
    years = [int(year) for year in _ANY_YEAR.findall(match["years"])]
    rising = years == sorted(set(years)) and years[0] >= 1600 and years[-1] - years[0] <= 200
    return _say_list(match) if rising and not _is_counted(match) else None


def _say_lone_year(match: re.Match[str]) -> str | None:
    """Say a year in a sentence; 1947 alone may be anything."""
    has_words = match.string[: match.start()].strip() or match.string[match.end() :].strip(" ।.")
    return say_year(int(match["year"])) if has_words and not _is_counted(match) else None


def _say_span(match: re.Match[str]) -> str | None:
    """Say 1975 से 1977 as years where nothing is counted after it and the two are at most a century apart."""
    first, second = int(match["first"]), int(match["second"])
    return f"{say_year(first)} से {say_year(second)}" if 0 < second - first <= 100 else None


def _say_years(match: re.Match[str]) -> str | None:
    """Say 1984-1994 with से; 2019-20, a season or budget year, without; 2000-01 would sound like 2001."""
    first, second = int(match["first"]), int(match["second"])
    if len(match["second"]) == 4:
        if match["slash"] and second != first + 1:  # 1234/2019 may be the number of a file
            return None
        return f"{say_year(first)} से {say_year(second)}" if first < second < 2200 else None
    if second == first % 100 + 1 and first % 100:
        return f"{say_year(first)} {say_cardinal(second)}"
    return f"{say_year(first)} से {say_cardinal(second)}" if second > first % 100 + 1 and not match["slash"] else None


YEAR_RULES: tuple[Rule, ...] = (
    (
        "list_of_years",
        read(rf"{START}(?P<name>)(?P<years>{_LIST}){END}(?={AFTER_YEAR})", _say_list),
    ),
    (
        "list_of_years_after_its_name",
        read(rf"(?P<name>{NEW_WORD}{YEAR_NAME})(?P<years>{_LIST}){END}", _say_list),
    ),
    (
        "rising_list_of_years",
        read(
            rf"{START}(?P<name>)(?P<years>{_LIST}){END}{_NO_NOUN}",
            _say_rising_list,
        ),
    ),
    (
        "span_of_years",
        read(rf"{START}(?P<first>{ANY_YEAR})\sसे\s(?P<second>{ANY_YEAR}){END}(?={_AT_END})", _say_span, needs=[" से "]),
    ),
    (
        "years",
        read(
            rf"{START}(?P<first>[12१२]{D}{{3}})(?:{JOIN}|(?P<slash>/))(?P<second>{D}{{4}}|{D}{{2}}){END}",
            _say_years,
            needs=[*DASHES, "/"],
        ),
    ),
)
# These come after the rules for amounts, ranges and units, which know better.
LONE_YEAR_RULES: tuple[Rule, ...] = (
    (
        "year_after_its_name",
        rewrite(rf"(?<![{LETTER}])({YEAR_NAME})({YEAR}){END}", lambda match: f"{match[1]} {say_year(int(match[2]))} "),
    ),
    ("year", read(rf"{START}{YEAR}{END}(?={AFTER_YEAR})", lambda match: say_year(int(match[0])))),
    (
        "year_without_a_noun",
        read(
            rf"{START}(?P<year>{RECENT}){END}{_NO_NOUN}",
            _say_lone_year,
        ),
    ),
)

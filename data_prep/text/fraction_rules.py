"""Numbers with a sign between them: fractions, numbers of files and houses, sizes, equations.

A half, thirds and quarters have names (आधा, दो तिहाई). A fraction whose two numbers may also be a choice (20/25 लोग), a
cricket score (245/8) or a slip for a mixed number (11/2) stays as it is.
"""

import re

from data_prep.text.number_patterns import (
    END,
    LETTER,
    NEW_WORD,
    NO_LETTER,
    NUMBER,
    START,
    UNBOUND,
    UNSIGNED,
    D,
    Rule,
    compile_pattern,
    read,
)
from data_prep.text.number_words import is_sayable, say_cardinal, say_number, say_year
from data_prep.text.units import UNIT

VULGAR_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8"}
# Dates that are names.
NAMED_DATES = {"9/11": "नौ ग्यारह", "26/11": "छब्बीस ग्यारह"}
NAMED_FRACTIONS = {"1/3": "एक तिहाई", "2/3": "दो तिहाई", "1/4": "एक चौथाई", "3/4": "तीन चौथाई"}
# Things whose numbers have parts: the slash is said बटा.
_NUMBERED = (
    "धारा|अनुच्छेद|खसरा|पत्रांक|गली|वार्ड|ब्लॉक|मकान|प्लॉट|फ़्लैट|फ्लैट|सेक्टर|भूखंड|नंबर|नम्बर|संख्या|क्रमांक|खाता|वाद|अपील|याचिका|"
    "मुक़दमा|मुकदमा|केस"
)
# Before these, two numbers may be a choice: 2/3 दिन is two or three days, or two thirds.
_CHOICE = rf"\s*(?:दिन|दिनों|लोग|लोगों|बार|साल|सालों|महीने|महीनों|बच्चे|बच्चों|आदमी){NO_LETTER}"
# Beside these, two numbers are said with बटा; elsewhere they may be a score, wickets for runs, so many out of so many,
# a rating or two years.
_FRACTION_AFTER = compile_pattern(
    rf"\s*(?:(?:भाग|भागों|हिस्सा|हिस्से|हिस्सों|अंश|अंक|मात्रा|इंच|कप|चम्मच|टीस्पून|टेबलस्पून|गिलास|किलो|एकड़|बीघा|मील|वर्ग|औंस)"
    rf"{NO_LETTER}|{UNIT})"
)
_FRACTION_BEFORE = compile_pattern(
    rf"{NEW_WORD}(?:बीपी|रक्तचाप|प्रेशर|बी\.?\s?पी\.?|दृष्टि|का|की|के)(?:\s(?:लगभग|क़रीब|करीब|केवल|सिर्फ़|सिर्फ))?\s[:-]?\s?\Z"
)
_LONGEST_BEFORE = 24  # characters
# Before these, they are hours or a date.
_NO_FRACTION = rf"(?!\s*(?:बजे|को|तारीख़|तारीख){NO_LETTER})"
_CRICKET = compile_pattern(rf"{NEW_WORD}(?:रन|रनों|विकेट|पारी|ओवर|स्कोर){NO_LETTER}")
# Signs of an equation. Two public lists of written and spoken Hindi agree on these words (NeMo-text-processing's tests,
# and the guidelines for spelling variants of an ASR benchmark); textbooks also have जमा and धन.
_OPERATORS = {"+": "प्लस", "-": "माइनस", "−": "माइनस", "*": "गुणा", "×": "गुणा", "=": "बराबर"}
_SIDE = rf"{NUMBER}(?:\s?[+*×−-]\s?{NUMBER}){{0,5}}"
# आधा agrees with what it is half of. Other words are feminine in -ी and plural or oblique in -े.
_MASCULINE = (
    "कप|चम्मच|किलो|किलोग्राम|ग्राम|लीटर|मिलीलीटर|गिलास|भाग|मिनट|किलोमीटर|मीटर|एकड़|हेक्टेयर|बीघा|इंच|फुट|टन|क्विंटल|दर्जन|"
    "पैकेट|औंस|टीस्पून|टेबलस्पून|टी|चाय|घी|पानी|दही|दिन|साल|वर्ष|माह|सेंटीमीटर|नींबू|प्याज|प्याज़"
)
_FEMININE = "बोतल|सीट|सीटें|कीमत|क़ीमत|फीस|फ़ीस|मात्रा|राशि|रकम|रक़म|जनसंख्या|संख्या|रात|उम्र|दुनिया|ज़मीन|जमीन|शीशी"
_HALVES = (
    (re.compile(rf"\s*(?:{_MASCULINE}){NO_LETTER}"), "आधा"),
    (re.compile(rf"\s*(?:{_FEMININE}){NO_LETTER}"), "आधी"),
    (re.compile(rf"\s*[{LETTER}]+ी{NO_LETTER}"), "आधी"),
    (re.compile(rf"\s*[{LETTER}]+े{NO_LETTER}"), "आधे"),
    (re.compile(rf"\s*(?:[{LETTER}]+ा{NO_LETTER}|[^{LETTER}\s]*\s*\Z)"), "आधा"),
)


def say_fraction(match: re.Match[str]) -> str | None:
    """Say 3/4, and halves and quarters by their names: 1 1/2 → डेढ़. 11/2 may be a slip for 1 1/2 and stays."""
    whole, top, bottom = (_to_ascii(match[name] or "") for name in ("whole", "top", "bottom"))
    if not whole:
        return _say_lone_fraction(match, top, bottom)
    if "0" in (top[0], bottom[0], whole[:1]) or int(top) >= int(bottom):
        return None
    count, fraction = int(whole), _say_parts(top, bottom)
    if count >= 100:  # सवा सौ is 125
        return f"{say_cardinal(count)} सही {fraction}"
    if (top, bottom) == ("1", "2"):
        return {1: "डेढ़", 2: "ढाई"}.get(count, f"साढ़े {say_cardinal(count)}")
    if (top, bottom) == ("1", "4"):
        return "सवा" if count == 1 else f"सवा {say_cardinal(count)}"
    if (top, bottom) == ("3", "4"):
        return f"पौने {say_cardinal(count + 1)}"
    return f"{say_cardinal(count)} सही {fraction}"


def _say_lone_fraction(match: re.Match[str], top: str, bottom: str) -> str | None:
    written = f"{top}/{bottom}"
    is_all = not match.string[: match.start()].strip() and not match.string[match.end() :].strip(" ।.")
    if written in NAMED_DATES:
        return NAMED_DATES[written]
    if match["choice"] is not None and (int(bottom) == int(top) + 1 or written not in NAMED_FRACTIONS):
        return None
    if written in NAMED_FRACTIONS:
        return None if is_all and top == "1" else NAMED_FRACTIONS[written]
    if written == "1/2":
        return next((half for noun, half in _HALVES if noun.match(match.string, match.end())), _say_parts(top, bottom))
    if not is_sayable(top) or not is_sayable(bottom):
        return None
    if "0" in (top, bottom) or (
        int(top) >= int(bottom) and (int(bottom) <= 12 or (int(top) <= 31 and int(bottom) <= 31))
    ):
        return None  # 11/2, 245/8, 26/12
    if _CRICKET.search(match.string) or re.fullmatch("(?:19|20)[0-9]{2}", bottom):
        return None
    return _say_parts(top, bottom) if is_all or _is_beside_fraction_word(match) else None


def _is_beside_fraction_word(match: re.Match[str]) -> bool:
    """Whether the words around a fraction say that it is one."""
    text, start, end = match.string, match.start(), match.end()
    before = _FRACTION_BEFORE.search(text, max(0, start - _LONGEST_BEFORE), start)
    after = _FRACTION_AFTER.match(text, end)
    return before is not None or after is not None or _is_address(text, start, end)


def _is_address(text: str, start: int, end: int) -> bool:
    """Whether the text begins with a house's number: 14/3, मथुरा रोड."""
    return not text[:start].strip() and text[end : end + 1] == ","


def _say_parts(top: str, bottom: str) -> str:
    return f"{say_cardinal(int(top))} बटा {say_cardinal(int(bottom))}".replace("बटा एक सौ", "बटा सौ")


def _say_numbered(match: re.Match[str]) -> str | None:
    """Say धारा 302/34 and वाद संख्या 56/1998 with बटा."""
    if not is_sayable(match["first"]) or not is_sayable(match["second"]):
        return None
    second = say_year(int(match["second"])) if len(match["second"]) == 4 else say_number(match["second"])
    return f"{match['name']} {say_number(match['first'])} बटा {second}"


def _say_size(match: re.Match[str]) -> str | None:
    """Say 10x12 का कमरा with बाई."""
    if not is_sayable(match["first"]) or not is_sayable(match["second"]):
        return None
    return f"{say_number(match['first'])} बाई {say_number(match['second'])}"


def _say_equation(match: re.Match[str]) -> str | None:
    """Say 2 + 2 = 4 with प्लस and बराबर; a quotient has several readings."""
    numbers = re.findall(NUMBER, match[0])
    if not all(map(is_sayable, numbers)):
        return None
    said = re.sub(NUMBER, lambda number: f" {say_number(number[0])} ", match[0])
    return "".join(f" {_OPERATORS[sign]} " if sign in _OPERATORS else sign for sign in said)


def _to_ascii(written: str) -> str:
    return re.sub("[०-९]", lambda match: str(int(match[0])), written)


FRACTION_RULES: tuple[Rule, ...] = (
    (
        "equation",
        read(
            rf"{UNBOUND}{UNSIGNED}(?<![=+*×/÷<>]\s)(?<![=+*×/÷<>]){_SIDE}\s?=\s?{_SIDE}(?!{D}|\s?[=+*×/÷^<>%]|[-−.,:]{D})",
            _say_equation,
            needs="=",
        ),
    ),
    (  # 10x12 का कमरा, 20×30 फुट; 5×3 मीटर may be a product
        "size",
        read(
            rf"{START}(?P<first>{D}{{1,4}})\s?[x×X]\s?(?P<second>{D}{{1,4}})(?!{D}|\s?[x×X.]\s?{D})"
            rf"(?=\s(?:का|के|की|फुट|फीट|फ़ीट|इंच){NO_LETTER})",
            _say_size,
            needs="x×X",
        ),
    ),
    (  # धारा 302/34, मकान नंबर 45/2
        "numbered_with_slash",
        read(
            rf"(?P<name>{NEW_WORD}(?:{_NUMBERED}))\s(?P<first>{D}{{1,5}})/(?P<second>{D}{{1,4}}){END}",
            _say_numbered,
            needs="/",
        ),
    ),
    (
        "fraction",
        read(
            rf"{START}(?:(?P<whole>{D}{{1,3}})\s+)?(?P<top>{D}{{1,13}})/(?P<bottom>{D}{{1,5}}){END}"
            rf"{_NO_FRACTION}(?P<choice>(?={_CHOICE}))?",
            say_fraction,
            needs="/",
        ),
    ),
)

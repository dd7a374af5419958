"""Numbers that have several readings in their context: they stay as they are, and the line is rejected.

गीता 2.47 is a chapter and a verse, धारा 5.2 a section and a part; दिल्ली 110092 is a postal code or a count; ten digits
without commas are an identity number or an amount.
"""

import re

from data_prep.text.abbreviations import LETTER_NAMES
from data_prep.text.number_patterns import (
    COUNTED,
    CURRENCY_WORD,
    LETTER,
    NEW_WORD,
    NO_LETTER,
    SCALE,
    D,
    compile_pattern,
)
from data_prep.text.units import UNIT

# Names of books and of their parts, and of versions: the dot in their numbers divides two numbers.
_CITED = (
    "गीता|भगवद्गीता|ऋग्वेद|यजुर्वेद|सामवेद|अथर्ववेद|वेद|उपनिषद|उपनिषद्|पुराण|रामायण|रामचरितमानस|मानस|महाभारत|मनुस्मृति|"
    "स्मृति|भागवत|सूत्र|योगसूत्र|बाइबल|बाइबिल|कुरान|क़ुरआन|कुरआन|सूरह|सूरा|आयत|यूहन्ना|मत्ती|मरकुस|लूका|रोमियों|उत्पत्ति|निर्गमन|"
    "अध्याय|श्लोक|मंडल|मण्डल|सर्ग|कांड|काण्ड|पर्व|पाठ|खंड|खण्ड|भाग|परिच्छेद|अनुभाग|धारा|उपधारा|अनुच्छेद|नियम|बिंदु|बिन्दु|"
    "तालिका|सारणी|चित्र|प्रश्न|प्रश्नावली|उदाहरण|समीकरण|अभ्यास|संस्करण|वर्जन|वर्शन"
)
_CITED_BEFORE = compile_pattern(rf"{NEW_WORD}(?:{_CITED})(?:\s(?:के|की|का|में|संख्या|नंबर))?\s\Z")
# Words that say that a long number is a count.
_COUNT = compile_pattern(
    rf"{NEW_WORD}(?:जनसंख्या|आबादी|कुल|राशि|रकम|रक़म|मतदाता|मत|मतों|वोट|वोटों|लोग|लोगों|मूल्य|कीमत|क़ीमत|लागत|बजट|करीब|क़रीब|लगभग|संख्या|"
    rf"अधिक|ज़्यादा|ज्यादा|बढ़कर|घटकर|योग|गुणा|बराबर){NO_LETTER}"
)
_MORE_COUNTED = (
    "वोट|वोटों|मत|मतों|मामले|मामलों|मरीज|मरीज़|मरीजों|मरीज़ों|पद|पदों|गाँव|गांव|गाँवों|गांवों|रन|रनों|सीट|सीटें|सीटों|कमरे|कमरों|घर|घरों|"
    "स्कूल|स्कूलों|यूनिट|कर्मचारी|कर्मचारियों|अंक|अंकों|पुस्तकें|किताबें|उम्मीदवार|उम्मीदवारों|महिलाएँ|महिलाएं|महिलाओं|व्यक्ति|व्यक्तियों|सैनिक|सैनिकों|"
    "पेड़|पौधे|वाहन|वाहनों|मकान|मकानों|शेयर|अतिरिक्त|नए|नये|और"
)
_COUNTED_AFTER = compile_pattern(rf"\s*(?:{CURRENCY_WORD}|{SCALE}|(?:{COUNTED}|{_MORE_COUNTED}){NO_LETTER}|[%₹])")
_CLAUSE_ENDS = compile_pattern(r"\s*(?:[,।.!?;)]|\Z)")
_NAME_BEFORE = compile_pattern(rf"[{LETTER}]\s?,?\s\Z")
_ORDINAL_AFTER = compile_pattern(rf"-?(?:वाँ|वां|वीं|वें){NO_LETTER}|[लरथठ][ाीे]{NO_LETTER}|\sवे{NO_LETTER}")
# 1 ला may be the first or a verb
_ORDINAL_OR_VERB = re.compile(rf"[0०]?(?:[1१]\sल|[23२३]\s[स]?र|[6६]\sठ)[ाीे]{NO_LETTER}")
# पत्रांक 452/स्था, 15/बी
_SLASH_AFTER = re.compile(rf"\s?/\s?[{LETTER}]")
# 25°36', 5'6": minutes, seconds, feet or inches
_QUOTE_AFTER = re.compile("['’′\"”″]")
QUOTES = ("'", "’")
_PRIMES = "′″"
# 1993 बम धमाके is a year, 1993 कमरे a count, and both are said in hundreds and as a cardinal.
_EVENT_YEAR = re.compile(rf"[1१][89८९]{D}[1-9१-९]")
_NOUN_AFTER = compile_pattern(rf"\s[{LETTER}]{{2}}")
_POSTAL_CODE = re.compile(rf"[1-8१-८]{D}{{5}}")
# 5 मी/से, 50 किमी/घं: a unit divided by another
_DIVIDED_UNIT = re.compile(rf"\s?{UNIT}[.॰]?\s?/")
# यूपी 32 एबी 1234, एबीसीडी1234ई: vehicles and cards with letters
_LETTERS = f"(?:{'|'.join(sorted(LETTER_NAMES, key=len, reverse=True))})"
_VEHICLE_BEFORE = compile_pattern(rf"{D}{{1,2}}[ -]?{_LETTERS}{{1,3}}[ -]?\Z")
_LETTER_AFTER = compile_pattern(rf"{_LETTERS}{NO_LETTER}")
# जी-20: twenty, in the name of the summit
_SUMMIT_BEFORE = compile_pattern(rf"{NEW_WORD}जी[‐-]\Z")
# न. 5: number five, or the end of a sentence
_SHORT_BEFORE = compile_pattern(rf"{NEW_WORD}न\s?[.॰]\s?\Z")
_LONGEST_PREFIX = 24
# जून '23, without its century; '80 के दशक has one reading
_DECADE_AFTER = compile_pattern(r"\s(?:के|की|का)\sदशक")
# इंडिया 2.0: a version, said in English as often
_VERSION = re.compile("[1-9१-९][.][0०]")
_LONE_YEAR = re.compile(rf"[1१][7-9७-९]{D}{{2}}")
_LONGEST_CITATION = 24  # characters of a name and its postposition
_LONG_DIGITS = 7


def is_cited(text: str, start: int, number: str) -> bool:
    """Whether the dot of a number that starts at `start` divides a chapter from a verse."""
    return "." in number and _CITED_BEFORE.search(text, max(0, start - _LONGEST_CITATION), start) is not None


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Whether the quote after a number closes one before it, as in '1984' and \"मिशन 2024\"."""
    quote = text[end]
    if quote in _PRIMES:
        return False
    opening = {"’": "‘", "”": "“"}.get(quote, quote)
    before = text[:start].count(opening)
    return before % 2 == 1 if opening == quote else before > text[:start].count(quote)


def is_ambiguous(match: re.Match[str]) -> bool:
    """Whether the plain number of a match, its group `number`, has several readings in its text."""
    text, number, start, end = match.string, match["number"], match.start("number"), match.end("number")
    place = (text, number, start, end)
    return _has_unclear_signs(*place) or _is_unclear_year(*place) or _is_name(*place) or _is_long(*place)


def _has_unclear_signs(text: str, number: str, start: int, end: int) -> bool:
    """Whether a suffix, a unit, a quote or a short word beside a number leaves its reading open."""
    if _ORDINAL_AFTER.match(text, end) or _ORDINAL_OR_VERB.match(text, start) or _SLASH_AFTER.match(text, end):
        return True
    if _DIVIDED_UNIT.match(text, end) or _SHORT_BEFORE.search(text, max(0, start - _LONGEST_PREFIX), start):
        return True
    return _QUOTE_AFTER.match(text, end) is not None and not _is_quoted(text, start, end)


def _is_unclear_year(text: str, number: str, start: int, end: int) -> bool:
    """Whether a number may be a year that nothing names: 1947 alone, 1993 तक्षक, जून '23."""
    if _LONE_YEAR.fullmatch(number) and (_QUOTE_AFTER.match(text, end) or not _has_words(text, start, end)):
        return True
    if _EVENT_YEAR.fullmatch(number) and _NOUN_AFTER.match(text, end):
        return _COUNTED_AFTER.match(text, end) is None
    is_short = len(number) == 2 and text[max(0, start - 1) : start] in QUOTES and text[end : end + 1] not in QUOTES
    return is_short and _DECADE_AFTER.match(text, end) is None


def _is_name(text: str, number: str, start: int, end: int) -> bool:
    """Whether a number belongs to a name: a verse, a version, a summit, a vehicle."""
    before = max(0, start - _LONGEST_PREFIX)
    if is_cited(text, start, number):
        return True
    if _VERSION.fullmatch(number) and _follows_word(text, start):
        return _COUNTED_AFTER.match(text, end) is None
    if number in ("20", "२०") and _SUMMIT_BEFORE.search(text, before, start):
        return True
    has_letters = _LETTER_AFTER.match(text, end) or _VEHICLE_BEFORE.search(text, before, start)
    return len(number) >= 4 and has_letters is not None


def _is_long(text: str, number: str, start: int, end: int) -> bool:
    """Whether digits without commas may be an identity number or a postal code."""
    if not number.isdigit() or len(number) < 6 or _COUNTED_AFTER.match(text, end) or _COUNT.search(text):
        return False
    if len(number) >= _LONG_DIGITS:
        return _has_words(text, start, end)
    is_postal = _POSTAL_CODE.fullmatch(number) and not number.endswith(("000", "०००"))
    return bool(is_postal and _CLAUSE_ENDS.match(text, end) and _follows_word(text, start))


def _has_words(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - _LONGEST_PREFIX) : start], text[end : end + _LONGEST_PREFIX]
    return bool(before.strip(" (") or after.strip(" ।.)"))


def _follows_word(text: str, start: int) -> bool:
    return _NAME_BEFORE.search(text, max(0, start - 4), start) is not None

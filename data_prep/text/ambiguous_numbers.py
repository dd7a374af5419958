"""Plain numbers that have several readings where they are, so that they stay and the line is rejected.

गीता 2.47 is a chapter and a verse, धारा 5.2 a section and a part; दिल्ली 110092 is a postal code or a count; ten digits
without commas are an identity number or an amount.
"""

import re

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

# Names of books and of their parts, and of versions: the dot after them is no decimal point.
_CITED = (
    "गीता|भगवद्गीता|भगवद्‌गीता|ऋग्वेद|यजुर्वेद|सामवेद|अथर्ववेद|वेद|उपनिषद|उपनिषद्|पुराण|रामायण|रामचरितमानस|मानस|महाभारत|मनुस्मृति|"
    "स्मृति|भागवत|सूत्र|योगसूत्र|बाइबल|बाइबिल|कुरान|क़ुरआन|कुरआन|सूरह|सूरा|आयत|यूहन्ना|मत्ती|मरकुस|लूका|रोमियों|उत्पत्ति|निर्गमन|"
    "अध्याय|श्लोक|मंडल|मण्डल|सर्ग|कांड|काण्ड|पर्व|पाठ|खंड|खण्ड|खंड|भाग|परिच्छेद|अनुभाग|धारा|उपधारा|अनुच्छेद|नियम|बिंदु|बिन्दु|"
    "तालिका|सारणी|चित्र|प्रश्न|प्रश्नावली|उदाहरण|समीकरण|अभ्यास|संस्करण|वर्जन|वर्शन|संस्करण"
)
_CITED_BEFORE = compile_pattern(rf"{NEW_WORD}(?:{_CITED})(?:\s(?:के|की|का|में|संख्या|नंबर))?\s\Z")
# Words that say that a long number is a count.
_COUNT = compile_pattern(
    rf"{NEW_WORD}(?:जनसंख्या|आबादी|कुल|राशि|रकम|रक़म|मतदाता|मत|मतों|वोट|वोटों|लोग|लोगों|मूल्य|कीमत|क़ीमत|लागत|बजट|करीब|क़रीब|लगभग|संख्या|"
    rf"अधिक|ज़्यादा|ज्यादा|बढ़कर|घटकर|योग|गुणा|बराबर){NO_LETTER}"
)
_COUNTED_AFTER = compile_pattern(rf"\s*(?:{CURRENCY_WORD}|{SCALE}|(?:{COUNTED}){NO_LETTER}|[%₹])")
_CLAUSE_ENDS = compile_pattern(r"\s*(?:[,।.!?;)]|\Z)")
_NAME_BEFORE = compile_pattern(rf"[{LETTER}]\s?,?\s\Z")
_ORDINAL_AFTER = compile_pattern(rf"-?(?:वाँ|वां|वीं|वें){NO_LETTER}|[लरथठ][ाीे]{NO_LETTER}")
_POSTAL_CODE = re.compile(rf"[1-8१-८]{D}{{5}}")
_LONGEST_CITATION = 24  # characters of a name and its postposition
_LONG_DIGITS = 9


def is_ambiguous(match: re.Match[str]) -> bool:
    """Whether the plain number of a match, its group `number`, has several readings in its text."""
    text, number, start, end = match.string, match["number"], match.start("number"), match.end("number")
    if _ORDINAL_AFTER.match(text, end):
        return True
    if "." in number and _CITED_BEFORE.search(text, max(0, start - _LONGEST_CITATION), start):
        return True
    if not number.isdigit() or len(number) < 6 or _COUNTED_AFTER.match(text, end) or _COUNT.search(text):
        return False
    has_words = text[:start].strip() or text[end:].strip(" ।.")
    if len(number) >= _LONG_DIGITS:
        return bool(has_words)
    is_postal = _POSTAL_CODE.fullmatch(number) and not number.endswith(("000", "०००"))
    return bool(is_postal and _CLAUSE_ENDS.match(text, end) and _NAME_BEFORE.search(text, 0, start))

"""Digits that are read one by one: telephone, card and account numbers, codes. Their form or nearby words show it."""

import re

from data_prep.text.number_patterns import (
    COUNTED,
    CURRENCY_WORD,
    DASH,
    DASHES,
    END,
    LETTER,
    NEW_WORD,
    NO_LETTER,
    SCALE,
    START,
    UNBOUND,
    UNSIGNED,
    D,
    Rule,
    compile_pattern,
    read,
)
from data_prep.text.number_words import say_digits

# Groups of ten digits and more that are a telephone, card or identity number wherever they appear.
PHONE_SHAPES = re.compile(
    r"\+91[ -]?[6-9]\d{4}[ -]?\d{5}|0?[6-9]\d{9}|[6-9]\d{4}[ -]\d{5}|[6-9]\d{2,3}[ -]\d{3}[ -]\d{3,4}|"
    r"0\d{2,4}[ -]\d{6,8}|\(0\d{2,4}\)[ -]?\d{6,8}|0 ?\(\d{2,4}\) ?\d{6,8}|1[89][06]0[ -]?\d{2,3}[ -]?\d{3,4}|"
    r"\+\d{1,3}[ -]?\(?\d{2,4}\)?(?:[ -]\d{3,4}){2}|\d{4}-\d{6}|\d{3}-\d{8}|\d{4}([ -])\d{4}\1\d{4}(\1\d{4})?"
)
_NUMBER_WORD = "(?:नंबर|नम्बर|संख्या|क्रमांक|कोड|आईडी)"
_COLON = r"(?:\s*(?:है|हैं|[-–:]))?"
# Names of short codes, whose digits follow at once: महिला हेल्पलाइन 1091, ओटीपी 458213.
_CODES = "कोड|आईडी|पीएनआर|हेल्पलाइन|टोल[ -]?फ़्री|टोल[ -]?फ्री|पिनकोड|पिन|ओटीपी|सीवीवी|पासवर्ड|पासकोड"
_PHONES = "मोबाइल|फ़ोन|फोन|दूरभाष|टेलीफ़ोन|टेलीफोन|व्हाट्सएप|व्हाट्सऐप|संपर्क|सम्पर्क"
_ACCOUNTS = "खाता|खाते|अकाउंट|आधार|कार्ड|ग्राहक|उपभोक्ता|पॉलिसी|पासपोर्ट|सिम|बैंक खाता|क्रेडिट कार्ड|डेबिट कार्ड"
# Anything that a number names: ऑर्डर नंबर 45892, शिकायत संख्या 20230456; मरीजों की संख्या 45892 is a count.
_IDENTITY = (
    rf"(?:{NEW_WORD}(?:नंबर|नम्बर|क्रमांक|यूटीआर|यूएएन|आईएमईआई)(?:\s(?:नंबर|नम्बर|संख्या))?|"
    rf"(?<![ीेा]\s)(?<!कुल\s){NEW_WORD}संख्या)"
)
_ADDRESS = compile_pattern(
    rf"{NEW_WORD}(?:सेक्टर|गली|मकान|मार्ग|रोड|प्लॉट|फ़्लैट|फ्लैट|वार्ड|ज़िला|जिला|डाकघर|पोस्ट|थाना|कॉलोनी|कालोनी|एन्क्लेव|तहसील|पता|पते|पिन|मोहल्ला|"
    rf"मुहल्ला|अपार्टमेंट|नगर|विहार|चौक|ब्लॉक|टावर){NO_LETTER}"
)
_CARD = compile_pattern(rf"{NEW_WORD}(?:कार्ड|खाता|खाते|नंबर|अकाउंट|मोबाइल){NO_LETTER}")
_LAST_DIGITS = rf"(?:आखिरी|आख़िरी|अंतिम|पहले|शुरुआती|आरंभिक)\s(?:(?:दो|तीन|चार|पाँच|पांच|छह|{D})\s)?(?:अंक|अंकों|डिजिट)"
_DIGITS = rf"{D}(?:[ -]?{D})"
_NO_AMOUNT = rf"(?!\s*(?:{CURRENCY_WORD}|{SCALE}|(?:{COUNTED}){NO_LETTER}|[%₹]))"


def _say_shape(match: re.Match[str]) -> str | None:
    number = re.sub("[०-९]", lambda digit: str(int(digit[0])), match[0])
    if not PHONE_SHAPES.fullmatch(number):
        return None
    return ("प्लस " if number.startswith("+") else "") + say_digits(number)


def _say_in_address(match: re.Match[str]) -> str | None:
    """Say the postal code of an address: सेक्टर 62, नोएडा 201301."""
    return say_digits(match["digits"]) if _ADDRESS.search(match.string) else None


def _say_after_name(match: re.Match[str]) -> str:
    return f"{match['name']} {say_digits(match['digits'])}"


DIGIT_STRING_RULES: tuple[Rule, ...] = (
    ("phone", read(rf"(?=[+0-9०-९]){UNBOUND}{UNSIGNED}\+?{_DIGITS}{{9,}}{END}{_NO_AMOUNT}", _say_shape)),
    (  # +91 …, (0522) …, 0 (80) …
        "phone_marked",
        read(
            rf"(?<![{LETTER}{D[1:-1]}])(?:\+{D}{{1,3}}[ -]?\({D}{{2,4}}\)[ -]?|\+|"
            rf"{D} ?\({D}{{2,4}}\) ?|\({D}{{3,5}}\)[ -]?)"
            rf"{_DIGITS}{{5,}}{END}",
            _say_shape,
            needs="+(",
        ),
    ),
    (
        "digits_after_a_code",
        read(
            rf"(?P<name>{NEW_WORD}(?:{_CODES})(?:\s{_NUMBER_WORD})?{_COLON})\s*(?P<digits>{_DIGITS}{{2,}}){END}{_NO_AMOUNT}",
            _say_after_name,
            needs=_CODES.replace("[ -]?फ़्री", "").replace("[ -]?फ्री", "").split("|"),
        ),
    ),
    (
        "digits_after_a_phone",
        read(
            rf"(?P<name>{NEW_WORD}(?:{_PHONES})\s*{_NUMBER_WORD}{_COLON})\s*(?P<digits>{_DIGITS}{{2,}}){END}{_NO_AMOUNT}|"
            rf"(?P<name_>{NEW_WORD}(?:{_PHONES})(?:\s*[-–:]|\sकरें)?)\s*(?P<digits_>{_DIGITS}{{5,}}){END}{_NO_AMOUNT}",
            lambda match: f"{match['name'] or match['name_']} {say_digits(match['digits'] or match['digits_'])}",
            needs=_PHONES.split("|"),
        ),
    ),
    (
        "digits_after_an_account",
        read(
            rf"(?P<name>{NEW_WORD}(?:{_ACCOUNTS})\s{_NUMBER_WORD}{_COLON})\s*(?P<digits>{_DIGITS}{{3,}}){END}{_NO_AMOUNT}",
            _say_after_name,
            needs=_ACCOUNTS.split("|"),
        ),
    ),
    (
        "digits_after_a_train",
        read(
            rf"(?P<name>{NEW_WORD}(?:गाड़ी|ट्रेन)(?:\s(?:नंबर|नम्बर|संख्या))?{_COLON})\s*(?P<digits>{D}{{5}}){END}{_NO_AMOUNT}",
            _say_after_name,
            needs=("गाड़ी", "ट्रेन"),
        ),
    ),
    (
        "digits_after_an_identity",
        read(
            rf"(?P<name>{_IDENTITY}{_COLON})\s*(?P<digits>{D}{{5,}}){END}{_NO_AMOUNT}",
            _say_after_name,
            needs=("नंबर", "नम्बर", "संख्या", "क्रमांक", "यूटीआर", "यूएएन", "आईएमईआई"),
        ),
    ),
    (
        "postal_code_in_an_address",
        read(
            rf"(?<=[{LETTER}]\s){START}(?P<digits>[1-8१-८]{D}{{5}}){END}{_NO_AMOUNT}(?=\s*(?:[,।.;)]|\Z))",
            _say_in_address,
        ),
    ),
    (  # 12301 हावड़ा राजधानी एक्सप्रेस
        "digits_before_a_train",
        read(
            rf"{START}(?P<digits>[012०१२]{D}{{4}}){END}(?=(?:\s[{LETTER}-]+){{1,3}}\s(?:एक्सप्रेस|मेल|पैसेंजर){NO_LETTER})",
            lambda match: say_digits(match["digits"]),
            needs=("एक्सप्रेस", "मेल", "पैसेंजर"),
        ),
    ),
    (
        "digits_that_end_a_card",
        read(
            rf"{START}(?P<digits>{D}{{3,4}}){END}(?=\s(?:से|पर|में)\s(?:समाप्त|ख़त्म|खत्म|अंत)\s?(?:होने|होता|होती){NO_LETTER})",
            lambda match: say_digits(match["digits"]) if _CARD.search(match.string) else None,
            needs=("समाप्त", "त्म", "अंत"),
        ),
    ),
    (
        "last_digits",
        read(
            rf"(?P<name>{NEW_WORD}{_LAST_DIGITS}{_COLON})\s*(?P<digits>{_DIGITS}{{1,7}}){END}",
            _say_after_name,
            needs=("अंक", "डिजिट"),
        ),
    ),
    (  # दिल्ली-110001
        "pin_code_after_its_place",
        read(
            rf"(?<=[{LETTER}])(?:{DASH}|\s{DASH}\s)(?P<digits>[1-8१-८]{D}{{5}}){END}{_NO_AMOUNT}",
            lambda match: say_digits(match["digits"]),
            needs=DASHES,
        ),
    ),
    (  # 112 पर कॉल करें
        "digits_to_call",
        read(
            rf"{START}(?P<digits>{D}{{3,4}}){END}(?=\sपर\s(?:कॉल|फ़ोन|फोन|डायल|संपर्क|सम्पर्क|सूचना|शिकायत))",
            lambda match: say_digits(match["digits"]),
            needs=[" पर "],
        ),
    ),
)

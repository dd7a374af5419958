"""Hindi words for plain numbers from indic_numtowords, corrected where its spelling is not the standard one.

Spelling: the Central Hindi Directorate's forms, छह, पाँच, हज़ार, अठारह, चवालीस, तिरपन, तिरसठ, छियासठ, सड़सठ, उनासी,
इक्यानवे; रुपये, not रुपए. Where indic_numtowords and nemo_text_processing agree (सत्तासी, सत्तानवे), their form is used.
"""

import re

from indic_numtowords import num2words

DIGIT = "[0-9०-९]"

# Another spelling of a number word → the spelling of this project. The output of both libraries passes through this.
SPELLINGS = {
    "छः": "छह",
    "अट्ठारह": "अठारह",
    "चौंतालीस": "चवालीस",
    "चौवालीस": "चवालीस",
    "तिरेपन": "तिरपन",
    "तिरेसठ": "तिरसठ",
    "छयासठ": "छियासठ",
    "सरसठ": "सड़सठ",
    "अट्ठासी": "अठासी",
    "उन्यासी": "उनासी",
    "इक्यानबे": "इक्यानवे",
    "बानबे": "बानवे",
    "तिरानबे": "तिरानवे",
    "चौरानबे": "चौरानवे",
    "पंचानबे": "पचानवे",
    "पचानबे": "पचानवे",
    "पंचानवे": "पचानवे",
    "छियानबे": "छियानवे",
    "सत्तानबे": "सत्तानवे",
    "अट्ठानबे": "अट्ठानवे",
    "निन्यानबे": "निन्यानवे",
    "रुपए": "रुपये",
}
# In names made of English letters, digits have their English names: 4जी, एच1एन1.
ENGLISH_DIGITS = ("ज़ीरो", "वन", "टू", "थ्री", "फोर", "फाइव", "सिक्स", "सेवन", "एट", "नाइन")
# Above a crore's hundreds, where indic_numtowords stops.
LARGE_SCALES = ((10**11, "खरब"), (10**9, "अरब"))
MAX_CARDINAL = 10**13 - 1

_WORD = re.compile(r"\S+")


def fix_spelling(words: str) -> str:
    """Write the number words of either library in this module's spelling."""
    return _WORD.sub(lambda match: SPELLINGS.get(match[0], match[0]), words)


def is_sayable(written: str) -> bool:
    """Whether a number is said as a cardinal: not 007, and at most `MAX_CARDINAL`."""
    whole = written.replace(",", "").partition(".")[0]
    return int(whole) <= MAX_CARDINAL and (len(whole) == 1 or int(whole[0]) != 0)


def say_cardinal(value: int) -> str:
    """Say a whole number, 0 … `MAX_CARDINAL`: 125000 → एक लाख पच्चीस हज़ार."""
    if not 0 <= value <= MAX_CARDINAL:
        raise ValueError(f"{value}: expected 0 … {MAX_CARDINAL}")
    words = []
    for scale, name in LARGE_SCALES:
        count, value = divmod(value, scale)
        if count:
            words += [num2words(count, lang="hi", variations=False), name]
    if value or not words:
        words.append(num2words(value, lang="hi", variations=False))
    return fix_spelling(" ".join(words))


def say_digits(digits: str) -> str:
    """Say ASCII or Devanagari digits one by one, anything else skipped: 007 → शून्य शून्य सात."""
    return " ".join(say_cardinal(int(digit)) for digit in re.findall(DIGIT, digits))


def say_year(year: int) -> str:
    """Say a year: from 1100 to 1999 in hundreds, 1947 → उन्नीस सौ सैंतालीस, otherwise as a cardinal."""
    if not 1100 <= year <= 1999:
        return say_cardinal(year)
    hundreds, rest = divmod(year, 100)
    return f"{say_cardinal(hundreds)} सौ" + (f" {say_cardinal(rest)}" if rest else "")


def say_number(written: str) -> str:
    """Say a number as written, with grouping commas and a decimal part: 1,25,000.5 → … हज़ार दशमलव पाँच."""
    whole, _, decimals = written.replace(",", "").partition(".")
    return say_cardinal(int(whole)) + (f" दशमलव {say_digits(decimals)}" if decimals else "")

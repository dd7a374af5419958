"""The contribution of one word to a number or an abbreviation: its value, scale or unit, or its meaning alone."""

import re
from dataclasses import dataclass
from functools import cache

from data_prep.text.number_words import DIGIT, MAX_CARDINAL, SPELLINGS, say_cardinal
from nemo_models.evaluation.spelling import spelling_key

SCALES = {"सौ": 10**2, "हज़ार": 10**3, "लाख": 10**5, "करोड़": 10**7, "अरब": 10**9, "खरब": 10**11}
_TO_ASCII = str.maketrans("०१२३४५६७८९", "0123456789")
_WHOLE = rf"{DIGIT}+(?:,{DIGIT}+)*"
_NUMERAL = re.compile(rf"(?P<sign>[₹$€£]?)(?P<whole>{_WHOLE})(?:\.(?P<decimals>{DIGIT}+))?(?P<unit>%|/-|\D*)")
_TIME = re.compile(rf"({DIGIT}{{1,2}})[:.]({DIGIT}{{2}})")
_DATE = re.compile(rf"({DIGIT}{{1,2}})[-/.]({DIGIT}{{1,2}})[-/.]({DIGIT}{{4}})")
_GROUPED = re.compile(r"\d{1,3}(,\d{2,3})*,\d{3}")
EDGES = "।॥,;:!?\"'`()[]{}“”‘’-–—|.…"
ORDINAL_ENDINGS = {"वां": "ा", "वाँ": "ा", "वीं": "ी", "वी": "ी", "वें": "े", "वे": "े", "वा": "ा"}
_SPECIAL_ORDINALS = {1: ("पहल", "ल"), 2: ("दूसर", "र"), 3: ("तीसर", "र"), 4: ("चौथ", "थ"), 6: ("छठ", "ठ")}

# Units: words that a sign or an abbreviation may be read as → these signs and abbreviations.
_UNITS = {
    ("प्रतिशत", "फ़ीसदी"): ("%",),
    ("रुपये", "रुपया", "रुपए", "रूपये", "रूपए"): ("₹", "रु", "रू", "/-"),
    ("डॉलर", "डालर"): ("$",),
    ("यूरो",): ("€",),
    ("पाउंड",): ("£",),
    ("किलोमीटर",): ("किमी", "कि मी", "km"),
    ("सेंटीमीटर",): ("सेमी", "से मी", "cm"),
    ("मिलीमीटर",): ("मिमी", "मि मी", "mm"),
    ("किलोग्राम",): ("किग्रा", "कि ग्रा", "kg"),
    ("मिलीग्राम",): ("मिग्रा", "मि ग्रा", "mg"),
    ("मिलीलीटर",): ("मिली", "मि ली", "ml"),
    ("मीटर",): ("मी", "m"),
    ("ग्राम",): ("ग्रा", "g"),
    ("डिग्री",): ("°",),
    ("सेल्सियस",): ("°c",),
}
# Abbreviations: one form → other forms of the same.
_ABBREVIATIONS = {
    "डॉक्टर": ("डॉ", "डा", "dr", "डाक्टर"),
    "प्रोफेसर": ("प्रो", "प्रोफ़ेसर", "prof"),
    "किलोमीटर": ("किमी", "कि मी", "km"),
    "सेंटीमीटर": ("सेमी", "से मी", "cm"),
    "किलोग्राम": ("किग्रा", "कि ग्रा", "kg"),
    "प्रतिशत": ("%",),
    "नंबर": ("नं", "no"),
    "पंडित": ("पं",),
    "लिमिटेड": ("लि", "ltd"),
    "कंपनी": ("कं", "co"),
    "एवं": ("&",),
}
_LETTER_SOUNDS = "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई जेड"
_LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER_SOUNDS.split(), strict=True))
LETTER_NAMES = frozenset(_LETTERS.values())
_ALL_LETTERS = re.compile(f"(?:{'|'.join(sorted(LETTER_NAMES, key=len, reverse=True))}){{2,}}")
# Letter names that are words, too: a run of these alone is not an abbreviation.
PLAIN_WORDS = {"ए", "के", "जी", "आई", "ओ", "ई"}


@dataclass(frozen=True)
class Token:
    """The contribution of one word to a number."""

    value: int = -1  # of a number word or numeral
    decimals: str = ""
    scale: int = 0
    units: tuple[str, ...] = ()  # keys of the words that its unit may be
    written: bool = False
    is_point: bool = False
    quarters: int = 0  # what साढ़े, सवा and पौने add to the number after them
    others: tuple[str, ...] = ()  # values that the word alone says: a time, a date, an ordinal, an abbreviation


@cache
def number_words() -> dict[str, int]:
    words = {spelling_key(say_cardinal(number)): number for number in range(100)}
    words |= {spelling_key(other): words[spelling_key(word)] for other, word in SPELLINGS.items() if _is_number(word)}
    return words


def _is_number(word: str) -> bool:
    return word not in ("रुपये",)


@cache
def _scales() -> dict[str, int]:
    return {spelling_key(word): scale for word, scale in SCALES.items()}


@cache
def _fractions() -> dict[str, Token]:
    words = {
        "डेढ़": Token(value=1, decimals="5"),
        "ढाई": Token(value=2, decimals="5"),
        "सवा": Token(quarters=1),
        "साढ़े": Token(quarters=2),
        "पौने": Token(quarters=-1),
    }
    return {spelling_key(word): token for word, token in words.items()}


@cache
def _unit_words() -> dict[str, tuple[str, ...]]:
    """Return for the key of each unit, written out or short, the keys of the words that it may be read as."""
    found: dict[str, tuple[str, ...]] = {}
    for words, short in _UNITS.items():
        keys = tuple(dict.fromkeys(map(spelling_key, words)))
        found |= {key: (key,) for key in keys} | {spelling_key(form): keys for form in short}
    return found


@cache
def abbreviations() -> dict[str, str]:
    return {spelling_key(other): name for name, others in _ABBREVIATIONS.items() for other in (name, *others)}


@cache
def read_token(word: str) -> Token | None:
    """Say what a raw word contributes to a number or abbreviation; `None`: nothing."""
    bare = word.strip(EDGES) or word
    key = spelling_key(bare)
    if key in number_words():
        return Token(value=number_words()[key], others=_ordinal_values(key))
    if key in _scales():
        return Token(scale=_scales()[key])
    if key == "दशमलव":
        return Token(is_point=True)
    if key in _fractions():
        return _fractions()[key]
    if re.search(DIGIT, bare):
        return _read_numeral(bare.translate(_TO_ASCII))
    if not re.search(DIGIT, bare):
        key = spelling_key(re.sub("[.॰]", "", bare))
    others = (*_ordinal_values(key), *_abbreviation_values(bare, key))
    units = _unit_words().get(key.lower(), ())
    if not others and not units:
        return None
    is_short_unit = bool(units) and key not in units
    return Token(units=units, others=others, written=is_short_unit or _is_short(bare, key))


def _is_short(bare: str, key: str) -> bool:
    """Tell an abbreviation from a word that is written out, however it is spelt (डाक्टर)."""
    is_known = key.lower() in abbreviations()
    return (
        bool(re.fullmatch("[A-Z]{2,6}", bare))
        or bool(re.search("[.॰]", bare))
        or (is_known and len(key) < len(abbreviations()[key.lower()]) - 1)
    )


def _abbreviation_values(bare: str, key: str) -> tuple[str, ...]:
    values = []
    if key.lower() in abbreviations():
        values.append(f"abbreviation {abbreviations()[key.lower()]}")
    if re.fullmatch(r"(?:[A-Z]\.?){2,6}", bare):
        values.append("letters " + "".join(_LETTERS[letter] for letter in bare if letter != "."))
    elif _ALL_LETTERS.fullmatch(key.replace("ज़", "ज")):
        values.append("letters " + key)
    return tuple(values)


def _ordinal_values(key: str) -> tuple[str, ...]:
    """पाँचवीं → ordinal 5 ी; key is a spelling key, so that वाँ is वां."""
    for number, (stem, _) in _SPECIAL_ORDINALS.items():
        for ending in "ाीे":
            if key in (stem + ending, *((f"छठव{ending}ं", f"छठ{ending}ं") if number == 6 else ())):
                return (f"ordinal {number} {ending}",)
    for suffix, ending in ORDINAL_ENDINGS.items():
        value = number_words().get(key.removesuffix(suffix)) if key.endswith(suffix) else None
        if value is not None:
            return (f"ordinal {value} {ending}",)
    return ()


def _read_numeral(bare: str) -> Token | None:
    if time := _TIME.fullmatch(bare):
        hour, minute = int(time[1]), int(time[2])
        clock = (f"time {hour}:{minute:02d}",) if hour <= 24 and minute < 60 else ()
        return (
            Token(value=hour, decimals=time[2], written=True, others=clock)
            if "." in bare
            else Token(written=True, others=clock)
        )
    if date := _DATE.fullmatch(bare):
        day, month, year = (int(part) for part in date.groups())
        return Token(written=True, others=(f"date {day} {month} {year}",)) if 1 <= month <= 12 else None
    match = _NUMERAL.fullmatch(bare)
    if match is None:
        return None
    whole, suffix = match["whole"], match["unit"].strip("-")
    if "," in whole and not _GROUPED.fullmatch(whole):
        return None
    value = int(whole.replace(",", ""))
    if value > MAX_CARDINAL:
        return None
    if suffix in ORDINAL_ENDINGS or _is_special_suffix(value, suffix):
        ending = ORDINAL_ENDINGS.get(suffix) or suffix[-1]
        return Token(written=True, others=(f"ordinal {value} {ending}",))
    unit = match["sign"] or spelling_key(suffix).lower()
    units = _unit_words().get(unit, ())
    if unit and not units:
        return None
    digits = f"digits {whole}" if len(whole) > 1 and "," not in whole and not match["decimals"] else ""
    return Token(
        value, match["decimals"] or "", units=units, written=True, others=(digits,) if digits and not unit else ()
    )


def _is_special_suffix(value: int, suffix: str) -> bool:
    return (
        value in _SPECIAL_ORDINALS
        and len(suffix) == 2
        and suffix[0] == _SPECIAL_ORDINALS[value][1]
        and suffix[1] in "ाीे"
    )

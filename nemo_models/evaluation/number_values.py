"""Numbers and abbreviations in either form: which spans of words say the same value (25 = पच्चीस, किमी = किलोमीटर).

Nothing is rewritten. Each text is searched for spans that say something exactly, each span gets a value, and spans of
reference and hypothesis with equal values may pass for each other. A number that neither side writes in digits is left
to the ordinary comparison of words.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from data_prep.text.number_words import DIGIT, MAX_CARDINAL, SPELLINGS, say_cardinal, say_year
from nemo_models.evaluation.spelling import spelling_key

LONGEST_NUMBER = 12
"""Words in the longest number that is read as one."""
SCALES = {"सौ": 10**2, "हज़ार": 10**3, "लाख": 10**5, "करोड़": 10**7, "अरब": 10**9, "खरब": 10**11}
_TO_ASCII = str.maketrans("०१२३४५६७८९", "0123456789")
_WHOLE = rf"{DIGIT}+(?:,{DIGIT}+)*"
_NUMERAL = re.compile(rf"(?P<sign>[₹$€£]?)(?P<whole>{_WHOLE})(?:\.(?P<decimals>{DIGIT}+))?(?P<unit>%|/-|\D*)")
_TIME = re.compile(rf"({DIGIT}{{1,2}})[:.]({DIGIT}{{2}})")
_DATE = re.compile(rf"({DIGIT}{{1,2}})[-/.]({DIGIT}{{1,2}})[-/.]({DIGIT}{{4}})")
_GROUPED = re.compile(r"\d{1,3}(,\d{2,3})*,\d{3}")
_EDGES = "।॥,;:!?\"'`()[]{}“”‘’-–—|.…"
ORDINAL_ENDINGS = {"वां": "ा", "वाँ": "ा", "वीं": "ी", "वी": "ी", "वें": "े", "वे": "े", "वा": "ा"}
_SPECIAL_ORDINALS = {1: ("पहल", "ल"), 2: ("दूसर", "र"), 3: ("तीसर", "र"), 4: ("चौथ", "थ"), 6: ("छठ", "ठ")}
_MONTHS = "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर"

# Units and abbreviations: every way of writing → the one that stands for all.
_UNITS = {
    "प्रतिशत": ("%", "फ़ीसदी"),
    "रुपये": ("₹", "रु", "रू", "/-", "रुपया", "रुपए", "रूपये", "रूपए"),
    "डॉलर": ("$",),
    "यूरो": ("€",),
    "पाउंड": ("£",),
    "किलोमीटर": ("किमी", "कि मी", "km"),
    "सेंटीमीटर": ("सेमी", "से मी", "cm"),
    "मिलीमीटर": ("मिमी", "मि मी", "mm"),
    "किलोग्राम": ("किग्रा", "कि ग्रा", "kg"),
    "मिलीग्राम": ("मिग्रा", "मि ग्रा", "mg"),
    "मिलीलीटर": ("मिली", "मि ली", "ml"),
    "मीटर": ("मी", "m"),
    "ग्राम": ("ग्रा", "g"),
    "डिग्री": ("°",),
    "सेल्सियस": ("°c",),
}
_ABBREVIATIONS = {
    "डॉक्टर": ("डॉ", "डा", "dr", "डाक्टर"),
    "प्रोफेसर": ("प्रो", "प्रोफ़ेसर", "prof"),
    "किलोमीटर": _UNITS["किलोमीटर"],
    "सेंटीमीटर": _UNITS["सेंटीमीटर"],
    "किलोग्राम": _UNITS["किलोग्राम"],
    "प्रतिशत": ("%",),
    "नंबर": ("नं", "no"),
    "पंडित": ("पं",),
    "लिमिटेड": ("लि", "ltd"),
    "कंपनी": ("कं", "co"),
    "एवं": ("&",),
}
_LETTER_SOUNDS = "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई जेड"
_LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER_SOUNDS.split(), strict=True))
_LETTER_NAMES = frozenset(_LETTERS.values())
_ALL_LETTERS = re.compile(f"(?:{'|'.join(sorted(_LETTER_NAMES, key=len, reverse=True))}){{2,}}")
_PLAIN_WORDS = {"ए", "के", "जी", "आई", "ओ", "ई"}
"""Letter names that are words, too: a run of these alone is not an abbreviation."""


@dataclass(frozen=True)
class Span:
    """Words that say a value.

    Attributes:
        start: First word.
        end: After the last word.
        value: What they say, in a form that is equal for every way of writing it.
        written: Whether digits, signs or abbreviations are used.
    """

    start: int
    end: int
    value: str
    written: bool


@dataclass(frozen=True)
class _Token:
    """What one word contributes to a number."""

    value: int = -1  # of a number word or numeral
    decimals: str = ""
    scale: int = 0
    unit: str = ""
    written: bool = False
    is_point: bool = False
    quarters: int = 0  # what साढ़े, सवा and पौने add to the number after them
    others: tuple[str, ...] = ()  # values that the word says by itself: a time, a date, an ordinal, an abbreviation


@cache
def _number_words() -> dict[str, int]:
    words = {spelling_key(say_cardinal(number)): number for number in range(100)}
    words |= {spelling_key(other): words[spelling_key(word)] for other, word in SPELLINGS.items() if _is_number(word)}
    return words


def _is_number(word: str) -> bool:
    return word not in ("रुपये",)


@cache
def _scales() -> dict[str, int]:
    return {spelling_key(word): scale for word, scale in SCALES.items()}


@cache
def _fractions() -> dict[str, _Token]:
    words = {
        "डेढ़": _Token(value=1, decimals="5"),
        "ढाई": _Token(value=2, decimals="5"),
        "सवा": _Token(quarters=1),
        "साढ़े": _Token(quarters=2),
        "पौने": _Token(quarters=-1),
    }
    return {spelling_key(word): token for word, token in words.items()}


def _add_quarters(run: Sequence[_Token]) -> Sequence[_Token]:
    """साढ़े तीन → 3.5, सवा सौ → 1.25 × 100."""
    if len(run) > 1 and run[0].quarters and run[1].scale:
        whole = 100 + 25 * run[0].quarters
        return [_Token(value=whole // 100, decimals=f"{whole % 100:02d}".rstrip("0")), *run[1:]]
    if len(run) < 2 or not run[0].quarters or run[1].value < 1 or run[1].decimals:
        return run
    hundredths = 100 * run[1].value + 25 * run[0].quarters
    decimals = f"{hundredths % 100:02d}".rstrip("0")
    return [_Token(value=hundredths // 100, decimals=decimals, written=run[1].written), *run[2:]]


@cache
def _unit_names() -> dict[str, str]:
    return {spelling_key(other): name for name, others in _UNITS.items() for other in (name, *others)}


@cache
def _abbreviations() -> dict[str, str]:
    return {spelling_key(other): name for name, others in _ABBREVIATIONS.items() for other in (name, *others)}


def number_key(key: str) -> str:
    """Return one key for every spelling of a number word: उन्यासी = उनासी."""
    number = _number_words().get(key)
    return key if number is None else f"#{number}"


@cache
def _classify(word: str) -> _Token | None:
    """Say what a raw word contributes to a number or abbreviation; `None`: nothing."""
    bare = word.strip(_EDGES) or word
    key = spelling_key(bare)
    if key in _number_words():
        return _Token(value=_number_words()[key], others=_ordinal_values(key))
    if key in _scales():
        return _Token(scale=_scales()[key])
    if key == "दशमलव":
        return _Token(is_point=True)
    if key in _fractions():
        return _fractions()[key]
    if re.search(DIGIT, bare):
        return _read_numeral(bare.translate(_TO_ASCII))
    if not re.search(DIGIT, bare):
        key = spelling_key(re.sub("[.॰]", "", bare))
    others = (*_ordinal_values(key), *_abbreviation_values(bare, key))
    unit = _unit_names().get(key.lower(), "")
    if not others and not unit:
        return None
    is_written = unit != "" and key != spelling_key(unit)
    return _Token(unit=unit, others=others, written=is_written or _is_short(bare, key))


def _is_short(bare: str, key: str) -> bool:
    """Tell an abbreviation from a word that is written out, however it is spelt (डाक्टर)."""
    is_known = key.lower() in _abbreviations()
    return (
        bool(re.fullmatch("[A-Z]{2,6}", bare))
        or bool(re.search("[.॰]", bare))
        or (is_known and len(key) < len(_abbreviations()[key.lower()]) - 1)
    )


def _abbreviation_values(bare: str, key: str) -> tuple[str, ...]:
    values = []
    if key.lower() in _abbreviations():
        values.append(f"abbreviation {_abbreviations()[key.lower()]}")
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
        value = _number_words().get(key.removesuffix(suffix)) if key.endswith(suffix) else None
        if value is not None:
            return (f"ordinal {value} {ending}",)
    return ()


def _read_numeral(bare: str) -> _Token | None:
    if time := _TIME.fullmatch(bare):
        hour, minute = int(time[1]), int(time[2])
        clock = (f"time {hour}:{minute:02d}",) if hour <= 24 and minute < 60 else ()
        return (
            _Token(value=hour, decimals=time[2], written=True, others=clock)
            if "." in bare
            else _Token(written=True, others=clock)
        )
    if date := _DATE.fullmatch(bare):
        day, month, year = (int(part) for part in date.groups())
        return _Token(written=True, others=(f"date {day} {month} {year}",)) if 1 <= month <= 12 else None
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
        return _Token(written=True, others=(f"ordinal {value} {ending}",))
    unit = _unit_names().get(match["sign"] or spelling_key(suffix).lower(), "") if match["sign"] or suffix else ""
    if (match["sign"] or suffix) and not unit:
        return None
    digits = f"digits {whole}" if len(whole) > 1 and "," not in whole and not match["decimals"] else ""
    return _Token(
        value, match["decimals"] or "", unit=unit, written=True, others=(digits,) if digits and not unit else ()
    )


def _is_special_suffix(value: int, suffix: str) -> bool:
    return (
        value in _SPECIAL_ORDINALS
        and len(suffix) == 2
        and suffix[0] == _SPECIAL_ORDINALS[value][1]
        and suffix[1] in "ाीे"
    )


def says_number(word: str) -> bool:
    """Tell whether a raw word may be part of a number or an abbreviation."""
    return _classify(word) is not None or spelling_key(word.strip(_EDGES) or word) in _LETTER_NAMES


def is_short_form(word: str) -> bool:
    """Tell whether a raw word is written in digits or signs, or is an abbreviation or a letter's name."""
    token = _classify(word)
    key = spelling_key(word.strip(_EDGES) or word)
    return (token is not None and token.written) or (key in _LETTER_NAMES and key not in _PLAIN_WORDS)


def find_spans(words: Sequence[str]) -> list[Span]:
    """Find every span of raw words that says a value, spans within spans included."""
    tokens = [_classify(word) for word in words]
    spans = [
        Span(at, at + 1, value, token.written) for at, token in enumerate(tokens) if token for value in token.others
    ]
    for start, token in enumerate(tokens):
        if token is not None and _begins_number(tokens, start):
            spans += _read_numbers(tokens, start)
    spans += _find_letters(words)
    spans += _find_split_units(words)
    return spans


def _begins_number(tokens: Sequence[_Token | None], start: int) -> bool:
    """Tell whether a number may be read from a word on: not from the सौ of दो सौ."""
    token, before = tokens[start], tokens[start - 1] if start else None
    if token is None or (token.scale and before is not None and before.value >= 0):
        return False
    return token.value >= 0 or token.scale > 0 or token.quarters != 0


def _read_numbers(tokens: Sequence[_Token | None], start: int) -> Iterator[Span]:
    """Read all numbers that begin at one word: with their units, as clock times, dates and digits said one by one."""
    run: list[_Token] = []
    for token in tokens[start : start + LONGEST_NUMBER]:
        if token is None or not (token.value >= 0 or token.scale or token.is_point or token.quarters):
            break
        run.append(token)
        end, written = start + len(run), any(part.written for part in run)
        value = _evaluate(run)
        if value is not None:
            unit = run[-1].unit
            yield Span(start, end, f"number {value} {unit}".strip(), written)
            following = tokens[end] if end < len(tokens) else None
            if not unit and following is not None and following.unit and following.value < 0:
                yield Span(start, end + 1, f"number {value} {following.unit}", written or following.written)
        if len(run) > 1 and all(0 <= part.value <= 9 and not part.written for part in run):
            yield Span(start, end, "digits " + "".join(str(part.value) for part in run), written)
        if run[-1].unit:
            break


def _evaluate(run: Sequence[_Token]) -> str | None:
    """Return the value of number words and numerals in a row, or `None` where they are not one number."""
    if run[0].scale and len(run) > 1:  # लाख पच्चीस
        return None
    run = _add_quarters(run)
    if any(token.quarters for token in run):
        return None
    point = next((at for at, token in enumerate(run) if token.is_point), None)
    decimals = ""
    if point is not None:
        said = run[point + 1 :]
        if not said or not all(0 <= token.value <= 9 and not token.decimals for token in said):
            return None
        decimals, run = "".join(str(token.value) for token in said), run[:point]
    if len(run) == 2 and run[0].decimals and run[1].scale:
        return _scale_decimals(run, decimals)
    total, hundreds, current, last_scale = 0, 0, None, 10**13
    for at, token in enumerate(run):
        if token.scale:
            if token.scale == 100:
                if current is None and hundreds == 0 and at > 0 and total == 0:
                    return None
                hundreds += 100 * (1 if current is None else current)
                if current is not None and current > 99:
                    return None
                current = None
            else:
                if token.scale >= last_scale:
                    return None
                amount = hundreds + (current or 0)
                total += (amount or 1) * token.scale
                hundreds, current, last_scale = 0, None, token.scale
        elif token.decimals:
            return f"{token.value}.{token.decimals}".rstrip("0").rstrip(".") if len(run) == 1 and not decimals else None
        else:
            if current is not None:
                return None
            current = token.value
            if at > 0 and current > 99:
                return None
    whole = total + hundreds + (current or 0)
    if not run or (not decimals and point is not None):
        return None
    return f"{whole}.{decimals}".rstrip("0").rstrip(".") if decimals else str(whole)


def _scale_decimals(run: Sequence[_Token], decimals: str) -> str | None:
    """2.5 लाख → 2.5 × 100000."""
    if decimals:
        return None
    scaled = int(f"{run[0].value}{run[0].decimals}") * run[1].scale
    divisor: int = 10 ** len(run[0].decimals)
    return str(scaled // divisor) if scaled % divisor == 0 else None


def _find_letters(words: Sequence[str]) -> Iterator[Span]:
    keys = [spelling_key(word.strip(_EDGES) or word).replace("ज़", "ज") for word in words]
    names = _LETTER_NAMES
    for start in range(len(words)):
        for end in range(start + 1, min(start + 6, len(words)) + 1):
            if keys[end - 1] not in names:
                break
            run = keys[start:end]
            if len(run) > 1 and not set(run) <= _PLAIN_WORDS:
                yield Span(start, end, "letters " + "".join(run), True)


def _find_split_units(words: Sequence[str]) -> Iterator[Span]:
    """कि मी, as normalising leaves कि.मी."""
    for at in range(len(words) - 1):
        pair = " ".join(word.strip(_EDGES) for word in words[at : at + 2])
        if pair in _abbreviations():
            yield Span(at, at + 2, f"abbreviation {_abbreviations()[pair]}", True)


def _say_times(hour: int, minute: int) -> list[str]:
    """10:30 → साढ़े दस, दस बजकर तीस मिनट, दस तीस."""
    said = [f"{say_cardinal(hour)} बजकर {say_cardinal(minute)} मिनट", f"{say_cardinal(hour)} {say_cardinal(minute)}"]
    quarters = {15: f"सवा {say_cardinal(hour)}", 30: f"साढ़े {say_cardinal(hour)}", 0: say_cardinal(hour)}
    if minute == 45:
        said.append(f"पौने {say_cardinal(hour % 12 + 1)}")
    return said + ([quarters[minute]] if minute in quarters else [])


def list_spoken_forms(value: str) -> list[str]:
    """Return the wordings of a value that no span of words is recognised for: times, dates, years, larger ordinals."""
    kind, *parts = value.split(" ")
    if kind == "time":
        hour, minute = map(int, parts[0].split(":"))
        return _say_times(hour, minute)
    if kind == "date":
        day, month, year = map(int, parts)
        return [
            f"{say_cardinal(day)} {_MONTHS.split()[month - 1]} {said}" for said in {say_year(year), say_cardinal(year)}
        ]
    if kind == "ordinal" and int(parts[0]) > 99:
        suffix = {"ा": "वां", "ी": "वीं", "े": "वें"}[parts[1]]
        return [say_cardinal(int(parts[0])) + suffix]
    return []


def find_equal_spans(
    reference: Sequence[str], hypothesis: Sequence[str], key: Callable[[str], str] = spelling_key
) -> list[tuple[int, int, int, int]]:
    """Find spans of two texts that say the same number or abbreviation, at least one of them in a written form.

    Args:
        reference: Raw words.
        hypothesis: Raw words.
        key: What makes words equal.

    Returns:
        Spans (from and to in the reference, from and to in the hypothesis).
    """
    found = set()
    left, right = find_spans(reference), find_spans(hypothesis)
    by_value: dict[str, list[Span]] = {}
    for span in right:
        by_value.setdefault(span.value, []).append(span)
    for span in left:
        for other in by_value.get(span.value, ()):
            if span.written or other.written:
                found.add((span.start, span.end, other.start, other.end))
    for spans, words, swap in ((left, hypothesis, False), (right, reference, True)):
        for span in spans:
            for start, end in _find_wordings(span.value, words, key):
                found.add((start, end, span.start, span.end) if swap else (span.start, span.end, start, end))
    return sorted(found)


def _find_wordings(value: str, words: Sequence[str], key: Callable[[str], str]) -> Iterator[tuple[int, int]]:
    forms = list_spoken_forms(value)
    if not forms:
        return
    keys = [key(word.strip(_EDGES) or word) for word in words]
    for form in forms:
        wanted = [key(word) for word in form.split()]
        for start in range(len(words) - len(wanted) + 1):
            if keys[start : start + len(wanted)] == wanted:
                yield start, start + len(wanted)

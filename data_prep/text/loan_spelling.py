"""English loan words in Devanagari, from their sounds and letters: meeting (m iː t ɪ ŋ) → मीटिंग.

Hindi writes an English word by its British sounds, but spells out what the English letters show: every r is heard
(कार्ड), an unstressed vowel keeps the letter's value (मैनेजर, एजेंट), t and d are ट and ड, a nasal before its stop is an
anusvara. RESULTS.md says how often the rules are right; they know no exceptions (पुलिस, अक्टूबर).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_prep.text.sound_letters import CONSONANTS, VOWELS, align_letters

_VIRAMA, _ANUSVARA = "\u094d", "\u0902"
_SIGNS = dict(zip("आइईउऊएऐऑओ", "ािीुूेैॉो", strict=True)) | {"अ": ""}
_CONSONANT_LETTERS = {
    **{"p": "प", "b": "ब", "t": "ट", "d": "ड", "k": "क", "ɡ": "ग", "f": "फ़", "v": "व", "w": "व", "θ": "थ", "ð": "द"},
    **{"s": "स", "z": "ज़", "ʃ": "श", "ʒ": "ज़", "tʃ": "च", "dʒ": "ज", "h": "ह", "m": "म", "n": "न", "l": "ल"},
    **{"ɹ": "र", "j": "य", "x": "ख"},
}
_VOWEL_LETTERS = {
    **{"iː": "ई", "ɛ": "ए", "e": "ए", "ʌ": "अ", "ɑː": "आ", "uː": "ऊ", "ɜː": "अ", "eɪ": "ए", "əʊ": "ओ", "oʊ": "ओ"},
}
_STOPS_OF_NASAL = {"न": "टडकगसशचजथतदफ", "म": "पब"}
_GLIDES = "यव"
_SCHWAS = ("ə", "ɐ")
_LONG_O = re.compile("o(?:ar|or|ur|re|rce|rd$|rse$)|port")  # sport, board; form has ऑ
# Consonants that join the one before by a virama within a word; elsewhere they begin a syllable (नेटवर्क).
_JOINS_BEFORE = {"र": "पबटडकगफथशसव", "व": "क", "ल": "पबकगफस"}
_JOINS_AFTER = {"ल": "टडचपबफज", "ट": "सश", "ड": "सश", "स": "टपकम", **dict.fromkeys("कगपबफ", "टशसनजच")}


@dataclass(frozen=True)
class _Unit:
    """A letter of the result, before it is known how it joins its neighbours."""

    letter: str
    is_vowel: bool = False
    stands_apart: bool = False  # an unstressed -er- does not join the next consonant: इंटरनेट
    joins_next: bool = False


@dataclass(frozen=True)
class _Place:
    """A sound among its neighbours."""

    word: str
    sounds: Sequence[str]
    letters: Sequence[str]
    at: int

    def sound(self, step: int = 0) -> str:
        """The sound so many places further; empty beyond the ends."""
        at = self.at + step
        return self.sounds[at] if 0 <= at < len(self.sounds) else ""

    @property
    def spelled(self) -> str:
        return self.letters[self.at]

    @property
    def is_last(self) -> bool:
        return self.at == len(self.sounds) - 1

    @property
    def is_first_vowel(self) -> bool:
        return not any(sound in VOWELS or sound == "əl" for sound in self.sounds[: self.at])

    @property
    def has_silent_r(self) -> bool:
        return "r" in self.spelled and self.sound(1) != "ɹ"

    @property
    def meets_vowel(self) -> bool:
        return self.sound(1) in VOWELS

    def is_before(self, *sounds: str) -> bool:
        """Whether these sounds follow."""
        return tuple(self.sounds[self.at + 1 : self.at + 1 + len(sounds)]) == sounds


def write_loan_word(word: str, sounds: Sequence[str]) -> str | None:
    """Write an English word in Devanagari.

    Args:
        word: The word in small letters a-z.
        sounds: Its sounds in British English, as eSpeak NG names them, without stress marks.

    Returns:
        The word; `None` if a sound has no rule.
    """
    if not sounds or not all(sound in VOWELS or sound in CONSONANTS for sound in sounds):
        return None
    letters = align_letters(word, sounds)
    places = [_Place(word, sounds, letters, at) for at in range(len(sounds))]
    return _compose([unit for place in places for unit in _write(place)])


def _write(place: _Place) -> Iterator[_Unit]:
    sound = place.sound()
    if sound == "ŋ":
        yield _Unit(_ANUSVARA)
        if place.sound(1) not in ("k", "ɡ"):
            yield _Unit("ग")
    elif sound == "əl":
        yield from (_Unit("इ" if place.spelled.startswith("i") else "अ", is_vowel=True), _Unit("ल"))
    elif sound in CONSONANTS:
        yield from _write_consonant(place)
    else:
        yield from _write_vowel(place)


def _write_consonant(place: _Place) -> Iterator[_Unit]:
    sound, spelled, before, after = place.sound(), place.spelled, place.sound(-1), place.sound(1)
    letter = _CONSONANT_LETTERS[sound]
    if sound == "z" and place.is_last and spelled in ("s", "es") and before and before not in VOWELS:
        letter = "स"  # a plural: रूल्स
    elif sound == "ʃ" and "rsion" in place.word:
        letter = "ज़"
    elif sound == "j" and before == "t" and place.sound(-2) == "s":
        return  # student: स्टूडेंट
    elif sound == "j" and spelled == "i" and before and before not in VOWELS and _next_letters(place)[:1] in ("o", "a"):
        yield _Unit("इ", is_vowel=True)  # million: मिलियन
    elif sound == "p" and spelled == "pp" and before == "æ" and after in ("ɪ", "əl"):
        yield _Unit("प", joins_next=True)  # happy: हैप्पी
    yield _Unit(letter)


def _next_letters(place: _Place) -> str:
    return "" if place.is_last else place.letters[place.at + 1]


def _write_vowel(place: _Place) -> Iterator[_Unit]:
    sound, after = place.sound(), place.sound(1)
    letters = _choose_vowels(place)
    for letter in letters:
        yield _Unit(letter, is_vowel=letter not in _GLIDES)
    if sound == "eɪ" and place.meets_vowel:
        yield _Unit("य")  # player: प्लेयर
    elif letters[-1] in _GLIDES and not (place.meets_vowel or after == "əl"):
        yield _Unit("आ" if sound in ("iə", "ɪə") and place.is_last and not place.has_silent_r else "अ", is_vowel=True)
    if place.has_silent_r:
        in_short_syllable = sound in _SCHWAS and not (place.is_first_vowel and after == "t")
        yield _Unit("र", stands_apart=sound == "eə" or in_short_syllable)


def _choose_vowels(place: _Place) -> str:
    """Choose the letters of a vowel; य and व are glides to the next."""
    sound, after = place.sound(), place.sound(1)
    before_r = after == "ɹ"
    if sound in _SCHWAS:
        return _choose_schwa(place)
    if sound in ("ɪ", "i"):
        return _choose_short_i(place)
    if sound == "iː" and after in _SCHWAS:
        return "इय"
    if sound in ("iə", "ɪə"):
        return "ई" if before_r else "इय"
    if sound in ("æ", "a"):
        return "ऐ" if place.at else "ए"  # बैंक, but एक्शन
    if sound in ("ɒ", "ɔ"):
        return "आ" if place.sound(-1) == "w" and place.sound(-2) == "k" else "ऑ"  # quality: क्वालिटी
    if sound in ("ɔː", "oː", "o"):
        return "ऊ" if "tour" in place.word else "ओ" if place.has_silent_r and _LONG_O.search(place.word) else "ऑ"
    if sound in ("ʊ", "u"):
        return "ऊ" if after in (*_SCHWAS, "əl") else "उ"
    if sound == "aɪ":
        return "आई" if place.is_last else "आय" if place.meets_vowel or before_r else "आइ"
    if sound == "aʊ":
        return "आव" if after in _SCHWAS else "आउ"
    if sound == "ɔɪ":
        return "ऑय" if place.is_last or place.meets_vowel or after in ("l", "əl") else "ऑइ"
    if sound == "eə":
        return "ए" if before_r else "एय"
    if sound == "ʊə":
        return "ओ" if place.sound(-1) in ("j", "ʃ") else "ऊ"
    return {"aɪə": "आय", "aʊə": "आव"}.get(sound) or _VOWEL_LETTERS[sound]


def _choose_short_i(place: _Place) -> str:
    spelled = place.spelled
    if place.meets_vowel or place.sound(1) == "əl":
        return "इय"  # radio: रेडियो
    if place.is_last or spelled == "ie":
        return "ई"
    if place.at == 0 and place.word.startswith("ex"):
        return "ए"
    if place.is_before("n") and place.at == len(place.sounds) - 2 and spelled[:1] in ("e", "a"):
        return "अ"  # chicken: चिकन
    return "ए" if spelled[:1] in ("e", "a") and not place.is_first_vowel else "इ"  # मैनेजर, but डिपार्टमेंट


def _choose_schwa(place: _Place) -> str:
    """Choose the letter of an unstressed vowel by how it is spelled."""
    spelled, word, after = place.spelled, place.word, place.sound(1)
    in_ending = place.is_before("n", "t") or place.is_before("n", "s")  # agent, balance
    is_in_end = place.at == len(place.sounds) - 2
    if place.has_silent_r or (spelled[:2] in ("io", "ia") and not place.is_last):
        return "अ"
    first = "e" if spelled[:2] == "ie" else spelled[:1]
    if place.is_last:
        return "आ" if first == "a" else "अ"
    if first == "a":
        if is_in_end and word.endswith("man") and after == "n":
            return "ऐ"
        return "ए" if in_ending or (is_in_end and word.endswith("ate") and after == "t") else "अ"
    if first == "e":
        return "ए" if (place.is_first_vowel and after != "ɹ") or in_ending or after in ("s", "t", "d") else "अ"
    if first == "o":
        if word.endswith("ology") or (place.at == 0 and word.startswith("off")):
            return "ऑ"
        is_short = after in ("m", "n", "ŋ", "l", "ɹ") or len(spelled) > 1 or place.sound(-1) == "k"
        return "अ" if is_short else "ओ"
    return "इ" if first in ("i", "y") and first else "अ"


def _compose(units: Sequence[_Unit]) -> str:
    """Join letters: vowel signs, viramas within a syllable, and nasals as anusvaras."""
    vowels = [at for at, unit in enumerate(units) if unit.is_vowel]
    first, last = (vowels[0], vowels[-1]) if vowels else (len(units), -1)
    text, is_open = "", False  # open: a consonant that waits for its vowel or a virama
    for at, unit in enumerate(units):
        if unit.is_vowel:
            text += _SIGNS[unit.letter] if is_open else unit.letter
            is_open = False
        elif unit.letter == _ANUSVARA or (at > first and not is_open and _is_nasal(unit, units[at + 1 : at + 2])):
            text += _ANUSVARA
            is_open = False
        else:
            if is_open and (at < first or at > last or _joins(units, at)):
                text += _VIRAMA
            text += unit.letter
            is_open = True
    return text


def _is_nasal(unit: _Unit, following: Sequence[_Unit]) -> bool:
    """Whether a nasal is written as an anusvara: before a stop or sibilant of any class but its own."""
    stops = _STOPS_OF_NASAL.get(unit.letter, "")
    return bool(following) and not following[0].is_vowel and following[0].letter[0] in stops


def _joins(units: Sequence[_Unit], at: int) -> bool:
    """Whether a consonant within a word joins the one before by a virama."""
    before, letter = units[at - 1], units[at].letter[0]
    earlier = units[at - 2].letter if at > 1 and not units[at - 2].is_vowel else ""
    if before.joins_next:
        return True
    if before.letter == "र":
        return not before.stands_apart
    if letter == "य":
        return True
    if letter in _JOINS_BEFORE:
        return before.letter[0] in _JOINS_BEFORE[letter]
    if before.letter == "स" and earlier:
        return letter == "ट"  # एक्स्ट्रा, but एक्सपर्ट
    if before.letter[0] in "कगपबफ" and earlier == "र" and letter not in "टस":
        return False  # workshop: वर्कशॉप
    return letter in _JOINS_AFTER.get(before.letter[0], "") and before.letter + letter != "बस"

"""Which letters of an English word spell which of its sounds: c·o·ll·e·ge for k ɒ l ɪ dʒ.

A cheapest alignment: letters that can spell a sound cost little, silent letters and sounds without letters more. Sounds
are eSpeak NG's for British English (RP), as IPA.
"""

from collections.abc import Sequence
from itertools import product

_SPELLINGS = {
    "p": "p pp pe",
    "b": "b bb be",
    "t": "t tt te ed th d bt",
    "d": "d dd de ed ld",
    "k": "c k ck ch cc q que x kh lk qu cch ke che",
    "ɡ": "g gg gh gu gue x",
    "f": "f ff ph gh fe",
    "v": "v ve vv f",
    "w": "w wh u o",
    "θ": "th",
    "ð": "th the",
    "s": "s ss c ce sc se x ps sse z st",
    "z": "z s zz se ze x es",
    "ʃ": "sh s ss c ch t x sci ssi ti ci si",
    "ʒ": "s g z ge si",
    "tʃ": "ch tch t che c",
    "dʒ": "g j dge ge d dg gg",
    "h": "h wh",
    "m": "m mm me mn mb lm",
    "n": "n nn ne kn gn en on",
    "ŋ": "n ng",
    "l": "l ll le el",
    "əl": "le al el il ol l ul",
    "ɹ": "r rr wr re rh",
    "j": "y i u e",
    "x": "ch kh",
}
CONSONANTS = {sound: frozenset(letters.split()) for sound, letters in _SPELLINGS.items()}
_LONG_VOWELS = "iː ɑː ɔː uː ɜː oː eɪ aɪ əʊ oʊ aʊ ɔɪ iə ɪə eə ʊə aɪə aʊə"
VOWELS = frozenset([*"ɪieɛæaʌɒʊuəɐɔo", *_LONG_VOWELS.split()])

_VOWEL_LETTERS = "aeiouy"
_VOWEL_ENDINGS = ("", "r", "rr", "re", "w", "gh", "h", "igh", "ugh", "ough")
_SILENT = "ehgubpwlkn"  # letters that are often silent
_MOST_LETTERS = 5
_NEVER = 3.0  # for each letter that cannot spell a sound


def align_letters(word: str, sounds: Sequence[str]) -> list[str]:
    """Find the letters of each sound.

    Args:
        word: An English word in small letters.
        sounds: Its sounds, each in `CONSONANTS` or `VOWELS`.

    Returns:
        The letters of each sound, possibly none; silent letters belong to no sound.
    """
    count, length = len(sounds), len(word)
    best = [[float("inf")] * (length + 1) for _ in range(count + 1)]
    back: dict[tuple[int, int], tuple[int, int]] = {}
    best[0][0] = 0.0

    def reach(at: tuple[int, int], start: tuple[int, int], cost: float) -> None:
        if cost < best[at[0]][at[1]]:
            best[at[0]][at[1]] = cost
            back[at] = start

    for place in product(range(count + 1), range(length + 1)):
        sound, letter = place
        cost = best[sound][letter]
        if letter < length:
            reach((sound, letter + 1), place, cost + (0.8 if word[letter] in _SILENT else 1.5))
        if sound < count:
            for end in range(letter, min(letter + _MOST_LETTERS, length) + 1):
                reach((sound + 1, end), place, cost + _rate(sounds[sound], word[letter:end]))
    found = [""] * count
    at = (count, length)
    while at != (0, 0):
        start = back[at]
        if start[0] < at[0]:
            found[start[0]] = word[start[1] : at[1]]
        at = start
    return found


def _rate(sound: str, letters: str) -> float:
    """Return the cost of letters for a sound."""
    if not letters:
        return 0.9 if sound in VOWELS else 0.2 if sound == "j" else 1.0
    if sound in CONSONANTS:
        return 0.1 * (len(letters) - 1) if letters in CONSONANTS[sound] else _NEVER * len(letters)
    if not _can_spell_vowel(letters):
        return _NEVER * len(letters)
    silent_e = letters[-1] == "e" and len(letters) > 1 and letters[-2] not in "aeiour" and sound in ("ɪ", "ɐ", "ə")
    return 0.05 * len(letters) + 0.25 * silent_e


def _can_spell_vowel(letters: str) -> bool:
    """Whether letters are vowel letters, with the consonants that lengthen them: ar, ow, igh, ere."""
    for text in {letters, letters.removesuffix("e")}:
        rest = text.lstrip(_VOWEL_LETTERS)
        if letters[0] in _VOWEL_LETTERS and text and rest in _VOWEL_ENDINGS:
            return True
    return False

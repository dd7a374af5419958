"""Sorts substitutions into classes of Hindi phonetics.

The classes are the usual confusions of Hindi recognisers: length of a vowel, quality of a vowel, aspiration, voice,
retroflex against dental, nasality, gemination, sibilants, word boundary.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

from rapidfuzz.distance import Levenshtein

from nemo_models.evaluation.spelling import spelling_key

VIRAMA = "\u094d"
_SHORT_LONG = (("अ", "आ"), ("इ", "ई"), ("उ", "ऊ"), ("ि", "ी"), ("ु", "ू"), ("", "ा"))
_VOWELS = frozenset("ािीुूृेैोौॉॅअआइईउऊऋएऐओऔऑऍ")
_ASPIRATION = ("कख", "गघ", "चछ", "जझ", "टठ", "डढ", "तथ", "दध", "पफ", "बभ")
_RETROFLEX = ("टत", "ठथ", "डद", "ढध", "णन", "षश", "षस", "डर", "ढर")
_VOICE = ("कग", "खघ", "चज", "छझ", "टड", "ठढ", "तद", "थध", "पब", "फभ")
_SIBILANTS = frozenset("शषस")
_NASALS = frozenset("ंँङञणनम")


def _pairs(pairs: Iterable[str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in pairs)


_TABLES = (
    ("aspiration", _pairs(_ASPIRATION)),
    ("retroflex", _pairs(_RETROFLEX)),
    ("voice", _pairs(_VOICE)),
)
CLASSES = (
    *("vowel_length", "vowel_quality", "aspiration", "retroflex", "voice", "nasality", "gemination", "sibilant"),
    *("word_boundary", "other"),
)


@cache
def classify_substitution(reference: str, hypothesis: str) -> str:
    """Return the phonetic class of a substitution.

    Args:
        reference: One word, normalised.
        hypothesis: What was recognised for it.

    Returns:
        One of `CLASSES`: the class that all differing letters share; `other` where they differ in several ways.
    """
    one, other = spelling_key(reference), spelling_key(hypothesis)
    if one == other:
        return "other"
    found = set()
    for code in Levenshtein.opcodes(one, other):
        if code.tag != "equal":
            found |= _classify_letters(one, other, code.src_start, code.src_end, code.dest_start, code.dest_end)
    if len(found) == 1:
        return found.pop()
    if found == {"vowel_length", "vowel_quality"}:
        return "vowel_quality"
    return "other"


def _classify_letters(one: str, other: str, a: int, b: int, c: int, d: int) -> set[str]:
    left, right = one[a:b], other[c:d]
    if _is_gemination(one, other, a, b, c, d):
        return {"gemination"}
    if len(left) != len(right) and left and right:
        return {"other"}
    if not left or not right:
        return {_classify_extra(letter) for letter in left + right}
    return {_classify_pair(x, y) for x, y in zip(left, right, strict=True)}


def _classify_pair(one: str, other: str) -> str:
    pair = frozenset((one, other))
    if any(pair == frozenset(letters) for letters in _SHORT_LONG if all(letters)):
        return "vowel_length"
    for name, table in _TABLES:
        if pair in table:
            return name
    if pair <= _VOWELS:
        return "vowel_quality"
    if pair <= _SIBILANTS:
        return "sibilant"
    return "nasality" if pair <= _NASALS else "other"


def _classify_extra(letter: str) -> str:
    if letter == "ा":
        return "vowel_length"  # a short a is not written
    if letter in _VOWELS:
        return "vowel_quality"
    return "nasality" if letter in "ंँ" else "other"


def _is_gemination(one: str, other: str, a: int, b: int, c: int, d: int) -> bool:
    """क + ् beside the same क, on one side only."""
    longer, start, end, shorter_is_empty = (one, a, b, c == d) if b - a > d - c else (other, c, d, a == b)
    extra = longer[start:end]
    if not shorter_is_empty or len(extra) != 2 or VIRAMA not in extra:
        return False
    consonant = extra.replace(VIRAMA, "")
    near = longer[max(0, start - 1) : start] + longer[end : end + 1]
    return consonant in near


def count_classes(pairs: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Count substitutions by class.

    Args:
        pairs: (reference, hypothesis) → how often.

    Returns:
        Class → substitutions, in the order of `CLASSES`, those of zero included.
    """
    counts: Counter[str] = Counter()
    for (reference, hypothesis), count in pairs.items():
        counts[classify_substitution(reference, hypothesis)] += count
    return {name: counts[name] for name in CLASSES}


def count_letters(pairs: Mapping[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    """Count which letter was taken for which, spelling apart; an empty text is a letter left out or put in."""
    counts: Counter[tuple[str, str]] = Counter()
    for words, count in pairs.items():
        reference, hypothesis = map(spelling_key, words)
        for code in Levenshtein.opcodes(reference, hypothesis):
            if code.tag == "equal":
                continue
            left = reference[code.src_start : code.src_end]
            right = hypothesis[code.dest_start : code.dest_end]
            width = max(len(left), len(right))
            for one, other in zip(left.ljust(width, "\0"), right.ljust(width, "\0"), strict=True):
                counts[one.strip("\0"), other.strip("\0")] += count
    return counts

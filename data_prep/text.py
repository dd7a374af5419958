"""The one text normaliser: transcripts, language-model text and scoring all pass through `normalize_text`.

It is an ordered list of small named rules. They remove or map punctuation and invisible characters and settle how a
letter is encoded; they never spell out, drop or replace letters, digits and symbols that are read aloud ("%", "₹",
"&"). Those stay, so that the alphabet check turns the utterance away with a reason instead of training on a wrong text.

Encoding: a letter with nukta is always two code points (क़ = क + ़). NFC alone is inconsistent there, it decomposes
U+0958–095F but composes U+0929, U+0931 and U+0934; two code points keep the alphabet small and let rare letters such as
ग़ share their statistics with ग. NFC also settles the order of marks: nukta before virama.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from importlib.metadata import version

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.alphabet import find_outside_alphabet as find_outside_alphabet
from data_prep.alphabet import load_alphabet

NORMALIZER_VERSION = 1

# Symbols that Unicode counts as punctuation but that a reader says aloud: the alphabet check has to see them.
READ_ALOUD = "%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§"
# Marks that Unicode counts as symbols but that nobody reads aloud: quotes, bars, dashes and bullets.
SILENT_SYMBOLS = "|¦｜`´^~<>−•●○■□▪▫◆◇★☆►▶"
# Format characters stand inside words and vanish, except these, which separate words.
ZERO_WIDTH_SPACE = "\u200b"
# Invisible characters that Unicode files under other categories: variation selectors, grapheme joiner, noncharacters.
INVISIBLE = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\ufffe\uffff]"

# Words whose visarga is often typed as a colon, and that are no words without it; every other colon is punctuation.
# fmt: off
VISARGA_WORDS = (
    "अंशत", "अत", "अधिकांशत", "अन्तत", "अंतत", "क्रमश", "छ", "पुन", "पूर्णत", "प्रात", "प्राय", "फलत", "मुख्यत", "मूलत",
    "वस्तुत", "विशेषत", "शब्दश", "संभवत", "सम्भवत", "साधारणत", "सामान्यत", "स्पष्टत", "स्वत",
)
# fmt: on
# The same inside a word: दु:ख, नि:शुल्क, प्रात:काल, अंत:करण.
VISARGA_PREFIXES = ("दु:(?=ख|स|श)", "नि:(?=श|स)", "प्रात:(?=काल)", "(?:अंत|अन्त):(?=करण|पुर|स्थ)", "पुन:(?=स्थाप|प्र)")

# Everything else that indic-nlp changes is gone by the time it is called (checked by the tests).
INDIC_NLP_TRIGGERS = "[\u0972\u0929\u0931\u0934\u0958-\u095f]"


class _CategoryTable(dict[int, int | str | None]):
    """A `str.translate` table that works out a character's entry when it first meets it."""

    def __init__(self, entry: Callable[[str], str | None]) -> None:
        super().__init__()
        self._entry = entry

    def __missing__(self, code_point: int) -> str | None:
        self[code_point] = value = self._entry(chr(code_point))
        return value


def _map_invisible(character: str) -> str | None:
    if character.isspace() or character == ZERO_WIDTH_SPACE:
        return " "
    invisible = unicodedata.category(character) in ("Cc", "Cf") or re.match(INVISIBLE, character)
    return None if invisible else character


def _map_punctuation(character: str) -> str:
    if character in READ_ALOUD:
        return character
    silent = unicodedata.category(character).startswith("P") or character in SILENT_SYMBOLS
    return " " if silent else character


_INVISIBLE_TABLE = _CategoryTable(_map_invisible)
_PUNCTUATION_TABLE = _CategoryTable(_map_punctuation)
_COLON_VISARGA = re.compile(
    rf"(?<![\u0900-\u097f])(?:(?:{'|'.join(VISARGA_WORDS)}):(?![\u0900-\u097f])|{'|'.join(VISARGA_PREFIXES)})"
)
_TRIGGER = re.compile(INDIC_NLP_TRIGGERS)
_INDIC_NORMALIZER = IndicNormalizerFactory().get_normalizer("hi")


def _remove_invisible(text: str) -> str:
    return text.translate(_INVISIBLE_TABLE)


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _restore_visarga(text: str) -> str:
    return _COLON_VISARGA.sub(lambda match: match[0][:-1] + "\u0903", text) if ":" in text else text


def _remove_punctuation(text: str) -> str:
    return text.translate(_PUNCTUATION_TABLE)


def _apply_indic_nlp(text: str) -> str:
    return _INDIC_NORMALIZER.normalize(text) if _TRIGGER.search(text) else text


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("remove_invisible", _remove_invisible),  # BOM, ZWJ, ZWNJ, control characters; every kind of white space → space
    ("compose", _compose),  # NFC
    ("restore_visarga", _restore_visarga),  # अत: → अतः for a closed list of words; समय: is left to the next rule
    ("remove_punctuation", _remove_punctuation),  # → space, so that indic-nlp never sees ":" or "|"
    ("apply_indic_nlp", _apply_indic_nlp),  # nukta as its own character, U+0972 → ए
    ("collapse_whitespace", _collapse_whitespace),
)


def normalize_text(text: str) -> str:
    """Bring a Hindi text into the form that the alphabet, the language model and scoring expect.

    Applying it twice changes nothing more. It never raises.

    Args:
        text: Any text, one utterance or line.

    Returns:
        The text with single spaces between words and none at its ends; possibly empty, possibly with characters outside
        the alphabet (see `find_outside_alphabet`).
    """
    for _, rule in RULES:
        text = rule(text)
    return text


def _fingerprint() -> str:
    tables = [
        READ_ALOUD,
        SILENT_SYMBOLS,
        ZERO_WIDTH_SPACE,
        INVISIBLE,
        VISARGA_WORDS,
        VISARGA_PREFIXES,
        INDIC_NLP_TRIGGERS,
    ]
    rules = [name for name, _ in RULES]
    made_of = [NORMALIZER_VERSION, rules, tables, load_alphabet(), version("indic-nlp-library")]
    return f"hi-{NORMALIZER_VERSION}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"


# Which normaliser made a text: changes with the rules, their tables, the alphabet and indic-nlp's version. A rule whose
# code changes without a table of its own needs a new NORMALIZER_VERSION.
NORMALIZER_FINGERPRINT: str = _fingerprint()

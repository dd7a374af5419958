"""The one text normaliser: transcripts, language-model text and scoring all pass through `normalize_text`.

It is an ordered list of small named rules. They remove or map punctuation, pictures and invisible characters and settle
how a letter is encoded; they never spell out, drop or replace letters, digits and symbols that are read aloud ("%",
"₹", "&"). Those stay, so that the alphabet check turns the utterance away with a reason instead of training on a wrong
text.
`normalize` adds what a text to train on needs beyond that: numbers said in words, if asked for, and a verdict.

Encoding: a letter with nukta is always two code points (क़ = क + ़). NFC alone is inconsistent there, it decomposes
U+0958–095F but composes U+0929, U+0931 and U+0934; two code points keep the alphabet small and let rare letters such as
ग़ share their statistics with ग. NFC also settles the order of nukta and virama; `devanagari.py` that of other marks.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.text import devanagari
from data_prep.text.alphabet import describe_character, load_alphabet
from data_prep.text.alphabet import find_outside_alphabet as find_outside_alphabet
from data_prep.text.number_rules import NUMBER_RULES, check_grammars

NORMALIZER_VERSION = 2

# Symbols that Unicode counts as punctuation but that a reader says aloud: the alphabet check has to see them.
READ_ALOUD = "%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§"
# Marks that Unicode counts as symbols but that nobody reads aloud: quotes, bars, dashes and bullets.
DANDAS = "।॥|¦｜"
QUOTES = "\"'`´"
DASHES = "−"
SILENT_SYMBOLS = "^~<>•●○■□▪▫◆◇★☆►▶"
# Pictures: symbols of these blocks; U+20E3 is the box around a keycap.
EMOJI = r"[\u2600-\u27bf\u2b00-\u2bff\u20e3\U0001f000-\U0001fbff]"
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

NUMBER_POLICIES = ("reject", "verbalize", "keep")
LATIN_POLICIES = ("reject", "keep")
_HOLDS_NUMBER = re.compile("[0-9०-९½¼¾⅓⅔⅛]")
_NUMBER_SIGNS = READ_ALOUD + "°+×÷=±"

Rule = tuple[str, Callable[[str], str]]


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


def _make_silent(is_silent: Callable[[str, str], bool]) -> Callable[[str], str]:
    """Make a rule that puts a space in place of each character for which `is_silent(character, category)`."""
    table = _CategoryTable(lambda char: " " if is_silent(char, unicodedata.category(char)) else char)
    return lambda text: text.translate(table)


_INVISIBLE_TABLE = _CategoryTable(_map_invisible)
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


def _apply_indic_nlp(text: str) -> str:
    return _INDIC_NORMALIZER.normalize(text) if _TRIGGER.search(text) else text


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


ENCODING_RULES: tuple[Rule, ...] = (
    ("remove_invisible", _remove_invisible),  # BOM, ZWJ, ZWNJ, control characters; every kind of white space → space
    ("compose", _compose),  # NFC
)
# Between these two stand the rules of numbers.py, where numbers are to be said: they need the punctuation.
PUNCTUATION_RULES: tuple[Rule, ...] = (
    ("restore_visarga", _restore_visarga),  # अत: → अतः for a closed list of words; समय: is left to the last of these
    (
        "remove_emoji",
        _make_silent(lambda char, kind: kind in ("So", "Sk", "Me") and re.match(EMOJI, char) is not None),
    ),
    ("remove_dandas", _make_silent(lambda char, kind: char in DANDAS)),
    ("remove_quotes", _make_silent(lambda char, kind: kind in ("Pi", "Pf") or char in QUOTES)),
    ("remove_dashes", _make_silent(lambda char, kind: kind == "Pd" or char in DASHES)),
    # All before indic-nlp, which would turn ":" into a visarga and "|" into a danda.
    (
        "remove_punctuation",
        _make_silent(lambda char, kind: (kind[0] == "P" and char not in READ_ALOUD) or char in SILENT_SYMBOLS),
    ),
    ("apply_indic_nlp", _apply_indic_nlp),  # nukta as its own character, U+0972 → ए
    ("collapse_whitespace", _collapse_whitespace),
)
# One repair may make room for another (ा + े + ो): these are applied until nothing changes.
REPAIR_RULES: tuple[Rule, ...] = (
    ("order_marks", devanagari.order_marks),
    ("move_early_i", devanagari.move_early_i),
    ("merge_doubled_marks", devanagari.merge_doubled_marks),
    ("merge_look_alikes", devanagari.merge_look_alikes),
)
RULES = ENCODING_RULES + PUNCTUATION_RULES + REPAIR_RULES
RULE_NAMES = tuple(name for name, _ in ENCODING_RULES + NUMBER_RULES + PUNCTUATION_RULES + REPAIR_RULES)


@dataclass(frozen=True)
class Change:
    """What one rule did to one text."""

    rule: str
    before: str
    after: str


@dataclass(frozen=True)
class NormalizedText:
    """A text as it would be trained on, and whether it should be.

    Attributes:
        text: The normalised text; of a rejected text too.
        reason: Why it is unfit: `latin`, `numbers`, `outside_alphabet`, `malformed` or `empty_text`; `None`: it is fit.
        offending: The characters that are the reason, as `describe_character` names them.
        changes: The rules that changed something, in the order in which they did.
    """

    text: str
    reason: str | None
    offending: tuple[str, ...]
    changes: tuple[Change, ...]


def normalize_text(text: str) -> str:
    """Bring a Hindi text into the form that the alphabet, the language model and scoring expect.

    Applying it twice changes nothing more. It never raises.

    Args:
        text: Any text, one utterance or line.

    Returns:
        The text with single spaces between words and none at its ends; possibly empty, possibly with characters outside
        the alphabet (see `find_outside_alphabet`).
    """
    return _apply_all(text, ())[0]


def normalize(
    text: str, numbers: str = "reject", latin: str = "reject", alphabet: Collection[str] | None = None
) -> NormalizedText:
    """Normalise a text and judge whether it is fit to train on.

    Args:
        text: Any text, one utterance or line.
        numbers: `reject` a text with digits or signs that are read aloud; `verbalize`: say the numbers in words, reject
            what cannot be said for sure; `keep` digits and signs as `normalize_text` leaves them.
        latin: `reject` a text with Latin letters, or `keep` them.
        alphabet: The characters that are allowed beside what is kept; `None` is the Hindi alphabet.

    Returns:
        The text, the verdict and what each rule changed. A text that was blank to begin with is fit, and empty.

    Raises:
        ValueError: There is no such policy, or numbers are to be said and the library for it is missing.
    """
    check_policies(numbers, latin)
    said, changes = _apply_all(text, NUMBER_RULES if numbers == "verbalize" and _HOLDS_NUMBER.search(text) else ())
    reason, offending = _judge(said, numbers, latin, _hindi_alphabet() if alphabet is None else alphabet)
    if not said and text.strip():
        reason = "empty_text"
    return NormalizedText(said, reason, offending, changes)


@cache
def check_policies(numbers: str, latin: str) -> None:
    """Check the two policies.

    Raises:
        ValueError: There is no such policy, or what it needs is not installed.
    """
    if numbers not in NUMBER_POLICIES:
        raise ValueError(f"numbers={numbers}: unknown policy; choose one of: {', '.join(NUMBER_POLICIES)}")
    if latin == "transliterate":
        raise ValueError(
            "latin=transliterate: no maintained library writes English words in Devanagari without a neural model to "
            "download, and a table of letters would write wrong words; use latin=reject, or write them so beforehand"
        )
    if latin not in LATIN_POLICIES:
        raise ValueError(f"latin={latin}: unknown policy; choose one of: {', '.join(LATIN_POLICIES)}")
    if numbers == "verbalize":
        check_grammars()


def _apply_all(text: str, number_rules: Sequence[Rule]) -> tuple[str, tuple[Change, ...]]:
    changes: list[Change] = []
    for rules in (ENCODING_RULES, number_rules, PUNCTUATION_RULES):
        text = _apply(rules, text, changes)
    while (repaired := _apply(REPAIR_RULES, text, changes)) != text:
        text = repaired
    return text, tuple(changes)


def _apply(rules: Sequence[Rule], text: str, changes: list[Change]) -> str:
    for name, rule in rules:
        after = rule(text)
        if after != text:
            changes.append(Change(name, text, after))
            text = after
    return text


@cache
def _hindi_alphabet() -> frozenset[str]:
    return frozenset(load_alphabet())


def _judge(text: str, numbers: str, latin: str, alphabet: Collection[str]) -> tuple[str | None, tuple[str, ...]]:
    found: dict[str, list[str]] = {"latin": [], "numbers": [], "outside_alphabet": []}
    for character in dict.fromkeys(text):
        if character not in alphabet:
            found[_classify(character)].append(character)
    kept = {"latin": latin == "keep", "numbers": numbers == "keep", "outside_alphabet": False}
    offending = [character for kind, characters in found.items() if not kept[kind] for character in characters]
    reason = next((kind for kind, characters in found.items() if characters and not kept[kind]), None)
    if reason is None and (mark := devanagari.find_malformed(text)):
        reason, offending = "malformed", [mark]
    return reason, tuple(map(describe_character, offending))


def _classify(character: str) -> str:
    if unicodedata.category(character)[0] == "L" and unicodedata.name(character, "").startswith(
        ("LATIN", "FULLWIDTH L")
    ):
        return "latin"
    is_number = unicodedata.category(character) in ("Nd", "Nl", "No", "Sc") or character in _NUMBER_SIGNS
    return "numbers" if is_number else "outside_alphabet"


def _fingerprint() -> str:
    silent = [READ_ALOUD, DANDAS, QUOTES, DASHES, SILENT_SYMBOLS, EMOJI, ZERO_WIDTH_SPACE, INVISIBLE]
    tables = [*silent, VISARGA_WORDS, VISARGA_PREFIXES, INDIC_NLP_TRIGGERS, devanagari.LOOK_ALIKES]
    rules = [name for name, _ in RULES]
    made_of = [NORMALIZER_VERSION, rules, tables, load_alphabet(), version("indic-nlp-library")]
    return f"hi-{NORMALIZER_VERSION}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"


# Which normaliser made a text: changes with the rules, their tables, the alphabet and indic-nlp's version. A rule whose
# code changes without a table of its own needs a new NORMALIZER_VERSION. How numbers are said is no part of it: words
# are words, whoever said them (see NUMBERS_FINGERPRINT).
NORMALIZER_FINGERPRINT: str = _fingerprint()

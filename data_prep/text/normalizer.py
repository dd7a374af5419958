"""The one text normaliser: transcripts, language-model text and scoring all pass through `normalize_text`.

It is an ordered list of small named rules. They remove or map punctuation, pictures and invisible characters and settle
how a letter is encoded; they never spell out, drop or replace letters, digits and symbols that are read aloud ("%",
"₹", "&"). Those stay, so that `data_prep.text.verdict.judge` rejects the text with a reason and nobody trains on a
wrong one. A `TextPolicy` adds rules: numbers in words, abbreviations in full, notes in brackets stripped or left to be
rejected.

Encoding: a letter with nukta is always two code points (क़ = क + ़). NFC alone is inconsistent there, it decomposes
U+0958–095F but composes U+0929, U+0931 and U+0934; two code points keep the alphabet small and let rare letters such as
ग़ share their statistics with ग. NFC also settles the order of nukta and virama; `devanagari.py` that of other marks.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.text import devanagari
from data_prep.text.abbreviations import expand_abbreviations, find_abbreviations, may_hold_abbreviations
from data_prep.text.alphabet import find_outside_alphabet as find_outside_alphabet
from data_prep.text.alphabet import load_alphabet
from data_prep.text.annotations import find_annotations, may_hold_annotations, strip_annotations
from data_prep.text.number_rules import NUMBER_RULES, NUMBERS_FINGERPRINT
from data_prep.text.policy import AS_WRITTEN, POLICY_VERSION
from data_prep.text.policy import TextPolicy as TextPolicy
from data_prep.text.visarga import restore_visarga

NORMALIZER_VERSION = 4

# Symbols that Unicode counts as punctuation but that readers speak: the verdict has to see them.
READ_ALOUD = "%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§"
# Marks that Unicode counts as symbols but that nobody reads aloud: quotes, bars, dashes and bullets.
DANDAS = "।॥|¦｜"
QUOTES = "\"'`´"
DASHES = "−"
SILENT_SYMBOLS = "^~<>•●○■□▪▫◆◇★☆►▶"
# Pictures: symbols of these blocks; U+20E3 is the box around a keycap.
EMOJI = r"[\u2600-\u27bf\u2b00-\u2bff\u20e3\U0001f000-\U0001fbff]"
# Format characters inside words are removed, except these, which separate words.
ZERO_WIDTH_SPACE = "\u200b"
# Invisible characters that Unicode files under other categories: variation selectors, grapheme joiner, noncharacters.
INVISIBLE = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\ufffe\uffff]"

# The earlier rules have done everything else that indic-nlp changes (checked by the tests).
INDIC_NLP_TRIGGERS = "[\u0972\u0929\u0931\u0934\u0958-\u095f]"

_HOLDS_NUMBER = re.compile("[0-9०-९½¼¾⅓⅔⅛]")
# A character of the private use area, which no rule touches, in place of what a verdict has to see as it was written.
_PLACEHOLDER = "\ue000"

Rule = tuple[str, Callable[[str], str]]


class _CategoryTable(dict[int, int | str | None]):
    """A `str.translate` table that computes a character's entry at its first use."""

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
_TRIGGER = re.compile(INDIC_NLP_TRIGGERS)
_INDIC_NORMALIZER = IndicNormalizerFactory().get_normalizer("hi")


def _remove_invisible(text: str) -> str:
    return text.translate(_INVISIBLE_TABLE)


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _apply_indic_nlp(text: str) -> str:
    return _INDIC_NORMALIZER.normalize(text) if _TRIGGER.search(text) else text


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


ENCODING_RULES: tuple[Rule, ...] = (
    ("remove_invisible", _remove_invisible),  # BOM, ZWJ, ZWNJ, control characters; every kind of white space → space
    ("compose", _compose),  # NFC
)
# Between these two come the rules of a policy and, for numbers=verbalize, those of number_rules.py: they need the
# punctuation.
PUNCTUATION_RULES: tuple[Rule, ...] = (
    ("restore_visarga", restore_visarga),  # अत: → अतः for known words; समय: is left to the last of these
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
    ("apply_indic_nlp", _apply_indic_nlp),  # nukta as a separate character, U+0972 → ए
    ("collapse_whitespace", _collapse_whitespace),
)
# One repair may allow another (ा + े + ो): these are applied until nothing changes.
REPAIR_RULES: tuple[Rule, ...] = (
    ("order_marks", devanagari.order_marks),
    ("move_early_i", devanagari.move_early_i),
    ("merge_doubled_marks", devanagari.merge_doubled_marks),
    ("merge_look_alikes", devanagari.merge_look_alikes),
)
RULES = ENCODING_RULES + PUNCTUATION_RULES + REPAIR_RULES
ANNOTATION_RULE: Rule = ("strip_annotations", strip_annotations)
ABBREVIATION_RULE: Rule = ("expand_abbreviations", expand_abbreviations)
POLICY_RULES: tuple[Rule, ...] = (ANNOTATION_RULE, ABBREVIATION_RULE)
RULE_NAMES = tuple(name for name, _ in ENCODING_RULES + POLICY_RULES + NUMBER_RULES + PUNCTUATION_RULES + REPAIR_RULES)


@dataclass(frozen=True)
class Change:
    """What one rule did to one text."""

    rule: str
    before: str
    after: str


def normalize_text(text: str, policy: TextPolicy = AS_WRITTEN) -> str:
    """Bring a Hindi text into the form that the alphabet, the language model and scoring expect.

    Applying it twice changes nothing more. It never raises.

    Args:
        text: Any text, one utterance or line.
        policy: What is rewritten beyond punctuation and encoding. Notes and abbreviations that it rejects stay as
            written, for `data_prep.text.verdict.judge` to see.

    Returns:
        The text with single spaces between words and none at its ends; possibly empty, possibly with characters outside
        the alphabet.
    """
    return trace_rules(text, policy)[0]


def trace_rules(text: str, policy: TextPolicy = AS_WRITTEN) -> tuple[str, tuple[Change, ...]]:
    """Normalise a text as `normalize_text` does, and list the rules that changed it, in the order in which they did."""
    changes: list[Change] = []
    text = _apply(ENCODING_RULES, text, changes)
    text, kept = _apply_policy(text, policy, changes)
    if policy.numbers == "verbalize" and _HOLDS_NUMBER.search(text):
        text = _apply(NUMBER_RULES, text, changes)
    text = _apply(PUNCTUATION_RULES, text, changes)
    while (repaired := _apply(REPAIR_RULES, text, changes)) != text:
        text = repaired
    return (_put_back(text, kept) if kept else text), tuple(changes)


def _apply_policy(text: str, policy: TextPolicy, changes: list[Change]) -> tuple[str, list[str]]:
    """Apply the policy's rules; take out what it rejects, so that the other rules leave it as it is written."""
    kept: list[str] = []
    has_notes = policy.annotations != "keep" and may_hold_annotations(text)
    has_short = policy.abbreviations != "keep" and may_hold_abbreviations(text)
    if not has_notes and not has_short:
        return text, kept
    rules = [ANNOTATION_RULE] if policy.annotations == "strip" else []
    rules += [ABBREVIATION_RULE] if policy.abbreviations == "expand" else []
    text = _apply(rules, text, changes)
    if _PLACEHOLDER in text:
        return text, kept
    notes = find_annotations(text) if has_notes else []
    found = list(notes)
    if has_short:
        inside = {at for match in notes for at in range(*match.span())}
        short = find_abbreviations(text, listed=policy.abbreviations == "reject")
        found += [match for match in short if match.start() not in inside]
    if not found:
        return text, kept
    parts, end = [], 0
    for match in sorted(found, key=lambda match: match.start()):
        parts += [text[end : match.start()], f" {_PLACEHOLDER} "]
        kept.append(" ".join(match[0].split()) if match in notes else _write_kept(match[0]))
        end = match.end()
    return "".join([*parts, text[end:]]), kept


def _write_kept(written: str) -> str:
    """The one form in which an abbreviation stays, so that normalising again finds the same."""
    pieces = [piece for piece in re.split(r"[\s.॰०]+", written) if piece]
    sign = "॰" if "॰" in written or "०" in written else "."
    return "".join(f"{piece}{sign}" for piece in pieces)


def _put_back(text: str, kept: Sequence[str]) -> str:
    for written in kept:
        text = text.replace(_PLACEHOLDER, written, 1)
    return text


def _apply(rules: Sequence[Rule], text: str, changes: list[Change]) -> str:
    for name, rule in rules:
        after = rule(text)
        if after != text:
            changes.append(Change(name, text, after))
            text = after
    return text


def _fingerprint() -> str:
    silent = [READ_ALOUD, DANDAS, QUOTES, DASHES, SILENT_SYMBOLS, EMOJI, ZERO_WIDTH_SPACE, INVISIBLE]
    tables = [*silent, INDIC_NLP_TRIGGERS, devanagari.LOOK_ALIKES]
    rules = [name for name, _ in RULES]
    made_of = [NORMALIZER_VERSION, rules, tables, load_alphabet(), version("indic-nlp-library")]
    return f"hi-{NORMALIZER_VERSION}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"


# Which normaliser made a text: changes with the rules, their tables, the alphabet and indic-nlp's version. A rule whose
# code changes, but no table, needs a new NORMALIZER_VERSION. How numbers are written in words is not
# part of it (see NUMBERS_FINGERPRINT).
NORMALIZER_FINGERPRINT: str = _fingerprint()


def fingerprint_policy(policy: TextPolicy) -> str:
    """Fingerprint everything that `normalize_text` does with a policy: for the keys of jobs that keep results."""
    rewrites = policy.annotations != "keep" or policy.abbreviations != "keep"
    numbers = NUMBERS_FINGERPRINT if policy.numbers == "verbalize" else ""
    return f"{NORMALIZER_FINGERPRINT}-{POLICY_VERSION if rewrites else 0}-{numbers}"

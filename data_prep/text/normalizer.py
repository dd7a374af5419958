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
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.languages.language import ENGLISH, WITH_ENGLISH, load_language
from data_prep.languages.union import is_several, join_languages, name_languages
from data_prep.text import devanagari
from data_prep.text.abbreviations import expand_abbreviations, find_abbreviations, may_hold_abbreviations
from data_prep.text.alphabet import find_outside_alphabet as find_outside_alphabet
from data_prep.text.alphabet import load_alphabet
from data_prep.text.annotations import find_annotations, may_hold_annotations, strip_annotations
from data_prep.text.character_rules import (
    DANDAS,
    DASHES,
    EMOJI,
    ENCODING_RULES,
    INVISIBLE,
    QUOTES,
    READ_ALOUD,
    SILENT_RULES,
    SILENT_SYMBOLS,
    ZERO_WIDTH_SPACE,
    Change,
    Rule,
    apply_rules,
    collapse_whitespace,
)
from data_prep.text.english_numbers import fingerprint_english_numbers
from data_prep.text.english_words import HIDE_NUMBERS, SHOW_NUMBERS, add_english
from data_prep.text.language_rules import RuleSet, make_rules
from data_prep.text.number_rules import NUMBER_RULES, NUMBERS_FINGERPRINT
from data_prep.text.plain_numbers import PLAIN_NUMBERS_VERSION
from data_prep.text.policy import AS_WRITTEN, POLICY_VERSION
from data_prep.text.policy import TextPolicy as TextPolicy
from data_prep.text.transliteration import TRANSLITERATION_RULE, fingerprint_transliteration
from data_prep.text.visarga import WIDE_COLON, find_unclear_colons, holds_colon, restore_visarga

NORMALIZER_VERSION = 5

# The earlier rules have done everything else that indic-nlp changes (checked by the tests).
INDIC_NLP_TRIGGERS = "[\u0972\u0929\u0931\u0934\u0958-\u095f]"

_HOLDS_NUMBER = re.compile("[0-9०-९½¼¾⅓⅔⅛]")
# A character of the private use area, which no rule touches, in place of what a verdict has to see as it was written.
_PLACEHOLDER = "\ue000"

_TRIGGER = re.compile(INDIC_NLP_TRIGGERS)
_INDIC_NORMALIZER = IndicNormalizerFactory().get_normalizer("hi")


def _apply_indic_nlp(text: str) -> str:
    return _INDIC_NORMALIZER.normalize(text) if _TRIGGER.search(text) else text


# Between ENCODING_RULES and these come the rules of a policy and, for numbers=verbalize, those of number_rules.py: they
# need the punctuation.
PUNCTUATION_RULES: tuple[Rule, ...] = (
    ("restore_visarga", restore_visarga),  # अत: → अतः for known words; समय: is left to the last of these
    *SILENT_RULES,  # all before indic-nlp, which would turn ":" into a visarga and "|" into a danda
    ("apply_indic_nlp", _apply_indic_nlp),  # nukta as a separate character, U+0972 → ए
    ("collapse_whitespace", collapse_whitespace),
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


def normalize_text(text: str, policy: TextPolicy = AS_WRITTEN) -> str:
    """Bring a text into the form that the alphabet, the language model and scoring expect.

    Applying it twice changes nothing more. It never raises.

    Args:
        text: Any text, one utterance or line.
        policy: The language, and what is rewritten beyond punctuation and encoding. Notes and abbreviations that it
            rejects stay as written, for `data_prep.text.verdict.judge` to see.

    Returns:
        The text with single spaces between words and none at its ends; possibly empty, possibly with characters outside
        the alphabet.
    """
    return trace_rules(text, policy)[0]


def trace_rules(text: str, policy: TextPolicy = AS_WRITTEN) -> tuple[str, tuple[Change, ...]]:
    """Normalise a text as `normalize_text` does, and list the rules that changed it, in the order in which they did."""
    rules = find_rules(policy.language)
    changes: list[Change] = []
    text = apply_rules(rules.encoding, text, changes)
    text, kept = _apply_policy(text, policy, rules, changes)
    if policy.numbers == "verbalize" and (rules is not HINDI_RULES or _HOLDS_NUMBER.search(text)):
        is_mixed = policy.latin == "transliterate"
        numbers = (HIDE_NUMBERS, *rules.numbers, SHOW_NUMBERS) if is_mixed else rules.numbers
        text = apply_rules(numbers, text, changes)
    if policy.latin == "transliterate":
        text = apply_rules((TRANSLITERATION_RULE,), text, changes)
    text = apply_rules(rules.punctuation, text, changes)
    while (repaired := apply_rules(rules.repair, text, changes)) != text:
        text = repaired
    return (_put_back(text, kept) if kept else text), tuple(changes)


@lru_cache(maxsize=64)
def find_rules(language: str) -> RuleSet:
    """Find the rules of a language by its code or the path of its file.

    Raises:
        ValueError: The language is unknown or refused.
    """
    found = load_language(language)
    if language.endswith(WITH_ENGLISH):
        return add_english(find_rules(language.removesuffix(WITH_ENGLISH)), load_language(ENGLISH), found)
    return HINDI_RULES if found.own_rules else make_rules(found)


def _apply_policy(text: str, policy: TextPolicy, rules: RuleSet, changes: list[Change]) -> tuple[str, list[str]]:
    """Apply the policy's rules; take out what it rejects, so that the other rules leave it as it is written."""
    kept: list[str] = []
    has_notes = policy.annotations != "keep" and may_hold_annotations(text)
    has_short = policy.abbreviations != "keep" and rules.may_hold_short(text)
    if not has_notes and not has_short:
        return text, kept
    chosen = [rules.strip_notes] if policy.annotations == "strip" else []
    chosen += [rules.expand] if policy.abbreviations == "expand" else []
    text = apply_rules(chosen, text, changes)
    if _PLACEHOLDER in text:
        return text, kept
    notes = rules.find_notes(text) if has_notes else []
    found = list(notes)
    if has_short:
        inside = {at for match in notes for at in range(*match.span())}
        short = rules.find_short(text) if policy.abbreviations == "reject" else rules.find_ambiguous(text)
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
    if holds_colon(written):
        return written.replace(WIDE_COLON, ":")
    pieces = [piece for piece in re.split(r"[\s.॰०]+", written) if piece]
    sign = "॰" if "॰" in written or "०" in written else "."
    return "".join(f"{piece}{sign}" for piece in pieces)


def _put_back(text: str, kept: Sequence[str]) -> str:
    for written in kept:
        text = text.replace(_PLACEHOLDER, written, 1)
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
HINDI_RULES = RuleSet(
    encoding=ENCODING_RULES,
    numbers=NUMBER_RULES,
    punctuation=PUNCTUATION_RULES,
    repair=REPAIR_RULES,
    strip_notes=ANNOTATION_RULE,
    expand=ABBREVIATION_RULE,
    find_notes=find_annotations,
    find_ambiguous=lambda text: [*find_abbreviations(text, listed=False), *find_unclear_colons(text)],
    find_short=lambda text: [*find_abbreviations(text), *find_unclear_colons(text)],
    may_hold_short=lambda text: holds_colon(text) or may_hold_abbreviations(text),
    fingerprint=NORMALIZER_FINGERPRINT,
)


def fingerprint_language(language: str) -> str:
    """Return the fingerprint of a language's normaliser; it begins with the language's code.

    That of several languages begins with their codes: `hi,mr,ta-1-5d41402a`.
    """
    if not is_several(language):
        return find_rules(language).fingerprint
    named = name_languages(language)
    made_of = [find_rules(part).fingerprint for part in named.values()]
    return f"{join_languages(named)}-1-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"


def fingerprint_policy(policy: TextPolicy) -> str:
    """Fingerprint everything that `normalize_text` does with a policy: for the keys of jobs that keep results."""
    rewrites = policy.annotations != "keep" or policy.abbreviations != "keep"
    version_of_policy = POLICY_VERSION if rewrites else 0
    made_of = f"{fingerprint_language(policy.language)}-{version_of_policy}-{fingerprint_numbers(policy)}"
    return f"{made_of}-{fingerprint_transliteration()}" if policy.latin == "transliterate" else made_of


def fingerprint_numbers(policy: TextPolicy) -> str:
    """Fingerprint how a policy says numbers; empty if it does not."""
    if policy.numbers != "verbalize":
        return ""
    language = load_language(policy.language)
    if language.own_rules:
        return NUMBERS_FINGERPRINT
    plain = f"plain-{PLAIN_NUMBERS_VERSION}"
    return f"{plain}-{fingerprint_english_numbers()}" if language.grammars == "en" else plain

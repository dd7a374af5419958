"""The normaliser's rules of a language that is described by data alone (`data_prep.languages`).

They follow Hindi's order: invisible characters, NFC, the policy's notes and abbreviations, numbers, punctuation,
indic-nlp's normaliser of the language, its look-alikes. indic-nlp comes after the punctuation, because it would turn
":" into a visarga and "|" into a danda, and after the joiners of old encodings have been read, because it deletes them.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep.languages.language import Language
from data_prep.text.annotations import find_annotations, may_hold_annotations
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
    Rule,
    collapse_whitespace,
    compose,
)
from data_prep.text.english_numbers import NOT_AFTER, NOT_BEFORE, make_english_rule
from data_prep.text.plain_numbers import make_number_rule

# Raise it when a rule here, or in character_rules.py, writes something else than before.
LANGUAGE_RULES_VERSION = 1

APOSTROPHES = "'’ʼ＇"
_KEPT_APOSTROPHE = "\ue001"  # of the private use area, which no rule touches

Find = Callable[[str], "list[re.Match[str]]"]


@dataclass(frozen=True)
class RuleSet:
    """The rules of `normalize_text` and `judge` for a language.

    Attributes:
        encoding: Rules before everything else.
        numbers: Rules of numbers=verbalize.
        punctuation: Rules of punctuation and letters.
        repair: Rules that are applied until nothing changes.
        strip_notes: Rule of annotations=strip.
        expand: Rule of abbreviations=expand.
        find_notes: Function that finds the notes that nobody speaks.
        find_ambiguous: Function that finds the abbreviations that `expand` leaves.
        find_short: Function that finds all abbreviations.
        may_hold_short: Function that tells whether a text can hold an abbreviation, quickly.
        fingerprint: Name and version of the rules.
    """

    encoding: tuple[Rule, ...]
    numbers: tuple[Rule, ...]
    punctuation: tuple[Rule, ...]
    repair: tuple[Rule, ...]
    strip_notes: Rule
    expand: Rule
    find_notes: Find
    find_ambiguous: Find
    find_short: Find
    may_hold_short: Callable[[str], bool]
    fingerprint: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all rules, in the order in which they are applied."""
        policy = (self.strip_notes, self.expand)
        rules = self.encoding + policy + self.numbers + self.punctuation + self.repair
        return tuple(name for name, _ in rules)


def make_rules(language: Language) -> RuleSet:
    """Make the rules of a language from its data."""
    notes = make_note_finder(language)
    ambiguous = [short for short, words in language.abbreviations.items() if not words]
    return RuleSet(
        encoding=tuple(_encoding_rules(language)),
        numbers=tuple(_number_rules(language)),
        punctuation=tuple(_punctuation_rules(language)),
        repair=tuple(_repair_rules(language)),
        strip_notes=("strip_annotations", make_stripper(notes)),
        expand=("expand_abbreviations", make_expander(language.abbreviations)),
        find_notes=notes,
        find_ambiguous=make_finder(ambiguous),
        find_short=make_finder(language.abbreviations),
        may_hold_short=lambda text: "." in text,
        fingerprint=_fingerprint(language),
    )


def find_malformed(text: str) -> str | None:
    """Find the first mark without a letter to belong to: at a word's start, or a vowel sign after another.

    Args:
        text: A normalised text of any script.

    Returns:
        The character, or `None` in a text that is well formed.
    """
    before = " "
    for character in text:
        stray = unicodedata.category(before)[0] not in "LM" or (_is_vowel_sign(character) and _is_vowel_sign(before))
        if stray and unicodedata.category(character) in ("Mc", "Mn"):
            return character
        before = character
    return None


def _is_vowel_sign(character: str) -> bool:
    return "VOWEL SIGN" in unicodedata.name(character, "")


def _encoding_rules(language: Language) -> Iterator[Rule]:
    if language.join:
        yield "read_joiners", _make_replacer(language.join)
    yield from ENCODING_RULES
    if language.case == "upper":
        yield "write_capitals", str.upper


def _punctuation_rules(language: Language) -> Iterator[Rule]:
    if language.case == "upper":
        yield "write_capitals", str.upper  # of number words
    if language.apostrophe:
        between = re.compile(rf"(?<=[^\W\d_])[{APOSTROPHES}](?=[^\W\d_])|(?<=[\u0900-\u0dff])[{APOSTROPHES}](?=\w)")
        yield "keep_apostrophe", lambda text: between.sub(_KEPT_APOSTROPHE, text)
        if language.apostrophe not in QUOTES:
            letter = language.apostrophe
            yield "keep_apostrophe_letter", lambda text: text.replace(letter, _KEPT_APOSTROPHE)
    if language.silent:
        silent = str.maketrans(dict.fromkeys(language.silent, " "))
        yield "remove_silent_signs", lambda text: text.translate(silent)
    yield from SILENT_RULES
    if language.apostrophe:
        yield "write_apostrophe", lambda text: text.replace(_KEPT_APOSTROPHE, language.apostrophe)
    if language.remove:
        removed = str.maketrans(dict.fromkeys(language.remove))
        yield "remove_marks", lambda text: text.translate(removed)
    yield "collapse_whitespace", collapse_whitespace


def _number_rules(language: Language) -> Iterator[Rule]:
    if language.grammars == "en":
        yield make_english_rule()
        yield make_number_rule(language, NOT_BEFORE, NOT_AFTER)
    elif language.numbers:
        yield make_number_rule(language)


def _repair_rules(language: Language) -> Iterator[Rule]:
    if language.replace:
        yield "merge_look_alikes", _make_replacer(language.replace)
    if language.indic_nlp:
        yield "apply_indic_nlp", _make_indic_nlp(language)
    if language.scripts != ("LATIN",):
        yield "merge_doubled_marks", _merge_doubled_marks
    yield "compose", compose
    if language.indic_nlp:  # NFC composes what indic-nlp takes apart (ऱ), which is two code points here
        yield "decompose_nukta", _make_indic_nlp(language)


def _merge_doubled_marks(text: str) -> str:
    """Remove a mark that was typed twice."""
    kept: list[str] = []
    for character in text:
        if not (kept and kept[-1] == character and unicodedata.category(character) in ("Mc", "Mn")):
            kept.append(character)
    return "".join(kept)


def _make_replacer(table: Mapping[str, str]) -> Callable[[str], str]:
    """Make a rule that replaces each sequence of a table, the longest first."""
    pattern = re.compile("|".join(re.escape(found) for found in sorted(table, key=len, reverse=True)))
    return lambda text: pattern.sub(lambda match: table[match[0]], text)


def _make_indic_nlp(language: Language) -> Callable[[str], str]:
    """Make a rule that applies indic-nlp's normaliser between the letters that it would replace wrongly."""
    factory = IndicNormalizerFactory()
    if not factory.is_language_supported(language.indic_nlp):
        raise ValueError(
            f"indic_nlp={language.indic_nlp}: expected a code of indic-nlp-library; correct the language file"
        )
    normalizer = factory.get_normalizer(language.indic_nlp)
    if not language.protect:
        return lambda text: str(normalizer.normalize(text))
    pieces = re.compile(f"([{re.escape(language.protect)}])")
    return lambda text: "".join(
        piece if at % 2 else str(normalizer.normalize(piece)) for at, piece in enumerate(pieces.split(text))
    )


def make_note_finder(language: Language) -> Find:
    """Make a finder of notes; where Latin letters are spoken, NOISE without brackets is a word."""
    bare = "LATIN" not in language.scripts

    def find(text: str) -> list[re.Match[str]]:
        found = find_annotations(text) if may_hold_annotations(text) else []
        return [match for match in found if bare or not match[0][0].isalnum()]

    return find


def make_stripper(find: Find) -> Callable[[str], str]:
    """Make a rule that puts a space in place of each note; a lone bracket stays."""

    def strip(text: str) -> str:
        for match in reversed(find(text)):
            if len(match[0]) > 1:
                text = f"{text[: match.start()]} {text[match.end() :]}"
        return text

    return strip


def make_expander(table: Mapping[str, str], flags: int = 0) -> Callable[[str], str]:
    """Make a rule that writes listed abbreviations in full; `flags` of `re` are those of `make_finder`."""
    find = make_finder([short for short, words in table.items() if words], flags)

    def expand(text: str) -> str:
        for match in reversed(find(text)):
            written = match[0].rstrip(".").replace(" ", "")
            words = table[written.upper() if flags else written]
            text = f"{text[: match.start()]} {words} {text[match.end() :]}"
        return text

    return expand


def make_finder(listed: "list[str] | Mapping[str, str]", flags: int = 0) -> Find:
    """Make a finder of abbreviations with their full stops; the longest first."""
    if not listed:
        return lambda text: []
    forms = "|".join(re.escape(form).replace(r"\.", r"\.\s?") for form in sorted(listed, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\S)(?:{forms})\.(?!\w)", flags)
    return lambda text: list(pattern.finditer(text))


def _fingerprint(language: Language) -> str:
    tables = [READ_ALOUD, DANDAS, QUOTES, DASHES, SILENT_SYMBOLS, EMOJI, INVISIBLE]
    data = [
        language.alphabet, language.indic_nlp, language.protect, language.join, language.replace, language.remove,
        language.silent, language.apostrophe, language.case, language.abbreviations, language.digits, language.numbers,
        language.number_spelling,
    ]  # fmt: skip
    made_of = [LANGUAGE_RULES_VERSION, tables, data, version("indic-nlp-library")]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    return f"{language.code}-{LANGUAGE_RULES_VERSION}-{digest}"

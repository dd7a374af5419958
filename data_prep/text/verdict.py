"""The one verdict on a text: `judge` serves data preparation, language-model text and the checks before training."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from data_prep.languages.language import load_language
from data_prep.text import devanagari, language_rules
from data_prep.text.alphabet import describe_character, load_alphabet
from data_prep.text.normalizer import find_rules
from data_prep.text.policy import TextPolicy

# Reason code → what it means, in the order in which a text is checked.
TEXT_REASONS = {
    "empty_text": "no letter is left after normalisation",
    "annotation": "a note that nobody speaks, such as [हँसी] or <noise>; annotations=strip removes it",
    "abbreviation": "an abbreviation with several readings or none (सं.), or a colon that may be a visarga (विषयत:)",
    "latin": "Latin letters",
    "numbers": "digits or signs that are read aloud; numbers=verbalize writes those with one reading in words",
    "outside_alphabet": "characters that the model has no label for",
    "spacing": "a space at an end, or several in a row: the text is not normalised",
    "malformed_text": "a mark without a letter to belong to (बंसीे)",
}
_NUMBER_SIGNS = frozenset("%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§°+×÷=±")
_BRACKETS_AND_DOTS = re.compile(r"[\[\]{}()<>*+A-Za-z.॰［］【】〔〕｛｝（）〈〉«»_~|=#/:]")


@dataclass(frozen=True)
class TextFault:
    """A reason for which a text is not used for training.

    Attributes:
        reason: A key of `TEXT_REASONS`.
        offending: What is at fault: characters as `describe_character` names them, annotations and abbreviations as
            written.
    """

    reason: str
    offending: tuple[str, ...]

    @property
    def detail(self) -> str:
        """One line for a report."""
        if self.reason == "empty_text":
            return "nothing is left after normalisation"
        if self.reason == "malformed_text":
            return f"{self.offending[0]} has no letter to belong to"
        return ", ".join(self.offending)


DEFAULT_POLICY = TextPolicy()


def judge(text: str, alphabet: Collection[str] | None = None, policy: TextPolicy = DEFAULT_POLICY) -> TextFault | None:
    """Judge whether a normalised text is fit to train on.

    Args:
        text: A text that `normalize_text` made with the same policy.
        alphabet: The characters that are allowed beside what the policy keeps; `None` is the alphabet of the policy's
            language.
        policy: The language, and what is kept.

    Returns:
        The first fault, in the order of `TEXT_REASONS`; `None` for a text that is fit.
    """
    if not text or text.isspace():
        return TextFault("empty_text", ())
    allowed = load_character_set(policy.language) if alphabet is None else frozenset(alphabet)
    if not allowed.issuperset(text):
        outside = [character for character in dict.fromkeys(text) if character not in allowed]
        if fault := _judge_outside(text, outside, policy):
            return fault
    if text[0] == " " or text[-1] == " " or "  " in text:
        return TextFault("spacing", (describe_character(" "),))
    own_rules = load_language(policy.language).own_rules
    mark = devanagari.find_malformed(text) if own_rules else language_rules.find_malformed(text)
    return TextFault("malformed_text", (describe_character(mark),)) if mark else None


@cache
def load_character_set(language: str) -> frozenset[str]:
    """Load the alphabet of a language as a set, once."""
    return frozenset(load_alphabet(language=language))


def _judge_outside(text: str, outside: list[str], policy: TextPolicy) -> TextFault | None:
    """Name the reason for characters outside the alphabet: the most specific one that explains any of them."""
    if any(map(_BRACKETS_AND_DOTS.match, outside)):
        rules = find_rules(policy.language)
        if policy.annotations != "keep" and (notes := [match[0] for match in rules.find_notes(text)]):
            return TextFault("annotation", tuple(dict.fromkeys(notes)))
        if policy.abbreviations != "keep" and (short := [match[0] for match in rules.find_short(text)]):
            return TextFault("abbreviation", tuple(dict.fromkeys(short)))
    found: dict[str, list[str]] = {"latin": [], "numbers": [], "outside_alphabet": []}
    for character in outside:
        found[_classify(character)].append(character)
    kept = {"latin": policy.latin == "keep", "numbers": policy.numbers == "keep", "outside_alphabet": False}
    offending = [character for kind, characters in found.items() if not kept[kind] for character in characters]
    if not offending:
        return None
    reason = next(kind for kind, characters in found.items() if characters and not kept[kind])
    return TextFault(reason, tuple(map(describe_character, offending)))


def _classify(character: str) -> str:
    name = unicodedata.name(character, "")
    if unicodedata.category(character)[0] == "L" and name.startswith(("LATIN", "FULLWIDTH L")):
        return "latin"
    is_number = unicodedata.category(character) in ("Nd", "Nl", "No", "Sc") or character in _NUMBER_SIGNS
    return "numbers" if is_number else "outside_alphabet"

"""`TextPolicy`: how numbers, Latin letters, notes and abbreviations are treated; one value for every reader and job."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from data_prep.arguments import require_choice
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language, with_english
from data_prep.text.grammars import check_grammars

# Raise it when the annotations or abbreviations that are found, or what is written for them, change.
POLICY_VERSION = 7

NUMBER_POLICIES = ("reject", "verbalize", "keep")
LATIN_POLICIES = ("reject", "keep")
ANNOTATION_POLICIES = ("reject", "strip", "keep")
ABBREVIATION_POLICIES = ("expand", "reject", "keep")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "numbers": NUMBER_POLICIES,
    "latin": LATIN_POLICIES,
    "annotations": ANNOTATION_POLICIES,
    "abbreviations": ABBREVIATION_POLICIES,
}


@dataclass(frozen=True)
class TextPolicy:
    """The choice of what `normalize_text` rewrites and what `judge` rejects.

    Attributes:
        numbers: `reject` a text with digits or signs that are read aloud; `verbalize`: write numbers in words, reject
            those with more than one reading; `keep` digits and signs.
        latin: `reject` a text with Latin letters that its language lacks, or `keep` them as they are. Texts to train on
            have English words by their language, see `choose_text_language`.
        annotations: `reject` a text with notes that nobody speaks ([हँसी], <noise>, SIL); `strip` the notes; `keep`
            their words as if they were spoken. `data_prep.text.annotations` lists the patterns.
        abbreviations: `expand` those with one reading (डॉ. → डॉक्टर) and reject the others; `reject` all; `keep` them
            without their dots. `data_prep.text.abbreviations` lists them.
        language: Code of the texts' language, or the path of a language file.

    Raises:
        ValueError: A policy or the language is unknown, or `numbers` is `verbalize` and its library is not installed or
            has no words of the language.
    """

    numbers: str = "reject"
    latin: str = "reject"
    annotations: str = "reject"
    abbreviations: str = "expand"
    language: str = DEFAULT_LANGUAGE

    def __post_init__(self) -> None:
        _check_latin(self.latin)
        for key, choices in _CHOICES.items():
            require_choice(key, getattr(self, key), choices)
        language = load_language(self.language)
        if self.numbers == "verbalize" and not language.numbers:
            raise ValueError(
                f"numbers=verbalize: expected reject with language={self.language}; {language.numbers_refused}"
            )
        if self.numbers == "verbalize" and language.grammars:
            _check_grammars()


_check_grammars = cache(check_grammars)


def choose_text_language(language: str, latin: str) -> str:
    """Choose the language of a job's texts: with `latin=keep` they are in `<language>+en`, with letters of both.

    Args:
        language: Code of the language, or the path of a language file.
        latin: `reject` or `keep`.

    Raises:
        ValueError: `latin` has another value.
    """
    _check_latin(latin)
    return with_english(language) if latin == "keep" else language


def _check_latin(latin: str) -> None:
    if latin == "transliterate":
        raise ValueError(
            "latin=transliterate: expected reject or keep; no maintained library writes English words in "
            "Devanagari without a neural model, so write them in Devanagari first"
        )
    require_choice("latin", latin, LATIN_POLICIES)


# Rewrites and rejects nothing beyond the alphabet: punctuation goes, everything else stays.
AS_WRITTEN = TextPolicy(numbers="keep", latin="keep", annotations="keep", abbreviations="keep")

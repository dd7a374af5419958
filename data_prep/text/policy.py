"""`TextPolicy`: how numbers, Latin letters, notes and abbreviations are treated; one value for every reader and job."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from data_prep.arguments import require_choice
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language, with_english
from data_prep.text.grammars import check_grammars
from data_prep.text.transliteration import check_program

# Raise it when the annotations or abbreviations that are found, or what is written for them, change.
POLICY_VERSION = 7

NUMBER_POLICIES = ("reject", "verbalize", "keep")
LATIN_POLICIES = ("reject", "keep", "transliterate")
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
            have English words by their language, see `make_text_policy`. `transliterate`: write English words in
            Devanagari by rule, see `transliteration`.
        annotations: `reject` a text with notes that nobody speaks ([हँसी], <noise>, SIL); `strip` the notes; `keep`
            their words as if they were spoken. `data_prep.text.annotations` lists the patterns.
        abbreviations: `expand` those with one reading (डॉ. → डॉक्टर) and reject the others; `reject` all; `keep` them
            without their dots. `data_prep.text.abbreviations` lists them.
        language: Code of the texts' language, or the path of a language file.

    Raises:
        FileNotFoundError: `latin` is `transliterate`, and eSpeak NG is not installed.
        ValueError: A policy or the language is unknown, or `numbers` is `verbalize` and its library is not installed or
            has no words of the language, or `latin` is `transliterate` and the language is not Hindi.
    """

    numbers: str = "reject"
    latin: str = "reject"
    annotations: str = "reject"
    abbreviations: str = "expand"
    language: str = DEFAULT_LANGUAGE

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            require_choice(key, getattr(self, key), choices)
        language = load_language(self.language)
        if self.latin == "transliterate":
            if language.code != DEFAULT_LANGUAGE:
                raise ValueError(
                    f"latin=transliterate: expected language={DEFAULT_LANGUAGE}, found {self.language}; only Hindi has "
                    "rules for English words"
                )
            check_program()
        if self.numbers == "verbalize" and not language.numbers:
            raise ValueError(
                f"numbers=verbalize: expected reject with language={self.language}; {language.numbers_refused}"
            )
        if self.numbers == "verbalize" and language.grammars:
            _check_grammars()


_check_grammars = cache(check_grammars)


def make_text_policy(
    numbers: str, latin: str, annotations: str, abbreviations: str, language: str = DEFAULT_LANGUAGE
) -> TextPolicy:
    """Make the policy of a job that writes texts to train on, see `TextPolicy`.

    With `latin=keep` the texts are in the language `<language>+en`, whose alphabet has the letters of both.

    Raises:
        FileNotFoundError: As `TextPolicy`.
        ValueError: As `TextPolicy`.
    """
    if latin == "keep":
        latin, language = "reject", with_english(language)
    return TextPolicy(numbers, latin, annotations, abbreviations, language)


# Rewrites and rejects nothing beyond the alphabet: punctuation goes, everything else stays.
AS_WRITTEN = TextPolicy(numbers="keep", latin="keep", annotations="keep", abbreviations="keep")

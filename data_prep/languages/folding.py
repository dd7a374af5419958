"""Scripts folded into one, for a model whose languages share its labels: `script=devanagari`.

The Brahmi scripts are encoded in parallel: অ, അ and अ are the same letter. Each letter of a language gets one label:
the Devanagari letter that indic-nlp's transliteration gives for it, or the one that its language file names (`fold`),
or, where Devanagari has none, the letter itself. No two letters of a language share a label. So a text that is folded
and unfolded is the same text. indic-nlp's own way back is not used: it has one Tamil letter for several labels.
"""

import unicodedata
from collections.abc import Mapping

from data_prep.languages.characters import describe_character
from data_prep.languages.language import load_language

SCRIPTS = ("devanagari",)
_BRAHMI = {
    "DEVANAGARI": "hi", "BENGALI": "bn", "GURMUKHI": "pa", "GUJARATI": "gu", "ORIYA": "or", "TAMIL": "ta",
    "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml",
}  # fmt: skip
"""Script -> indic-nlp's code of a language that is written in it."""


def check_script_choice(script: str | None, languages: Mapping[str, str]) -> None:
    """Check a value of `script`.

    Args:
        script: `devanagari`, or `None`: each language has its own letters.
        languages: What `name_languages` returned for `language`.

    Raises:
        ValueError: There is no such choice, or only one language.
    """
    if script is None:
        return
    if script not in SCRIPTS:
        raise ValueError(f"script={script}: expected {' or '.join(SCRIPTS)}, or null; choose one")
    if len(languages) < 2:
        raise ValueError(
            f"script={script}: expected several languages to write in one script, found language="
            f"{','.join(languages.values())}; add a language, or set script=null"
        )


def fold_letters(language: str) -> dict[str, str]:
    """Return label -> letter for a language, in the order of its alphabet.

    Args:
        language: Code of a language, or the path of a language file.

    Raises:
        ValueError: Its script is not a Brahmi one, or two of its letters have the same label.
    """
    found = load_language(language)
    if len(found.scripts) != 1 or found.scripts[0] not in _BRAHMI:
        scripts = " and ".join(script.capitalize() for script in found.scripts)
        raise ValueError(
            f"script={SCRIPTS[0]}: expected languages in scripts of India, found {found.code} ({found.name}), which is "
            f"written in {scripts}; leave it out, or set script=null"
        )
    letters: dict[str, str] = {}
    for letter in found.alphabet:
        label = found.fold.get(letter) or _fold_letter(letter, _BRAHMI[found.scripts[0]])
        if label in letters:
            raise ValueError(
                f"script={SCRIPTS[0]}: found the label {describe_character(label)} for two letters of {found.code}, "
                f"{describe_character(letters[label])} and {describe_character(letter)}, expected one each; name "
                "another for one of them (`fold` in the language file)"
            )
        letters[label] = letter
    return letters


def _fold_letter(letter: str, code: str) -> str:
    """Return indic-nlp's Devanagari letter; the letter itself where it has none that is one code point in NFC."""
    from indicnlp.transliterate.unicode_transliterate import UnicodeIndicTransliterator  # loads pandas

    folded = str(UnicodeIndicTransliterator.transliterate(letter, code, "hi"))
    return folded if len(folded) == 1 and unicodedata.normalize("NFC", folded) == folded else letter


def invert(letters: Mapping[str, str]) -> dict[str, str]:
    """Return letter -> label for label -> letter; a text is folded by `text.translate(str.maketrans(…))` with it."""
    return {letter: label for label, letter in letters.items()}


def join_folds(languages: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return letter -> label over the letters of several languages.

    Args:
        languages: Code -> what `fold_letters` returned for it.

    Raises:
        ValueError: Two languages fold the same letter differently.
    """
    joined: dict[str, str] = {}
    for code, letters in languages.items():
        for letter, label in invert(letters).items():
            if joined.setdefault(letter, label) != label:
                raise ValueError(
                    f"script={SCRIPTS[0]}: found the labels {describe_character(joined[letter])} and "
                    f"{describe_character(label)} (in {code}) for {describe_character(letter)}, expected one; "
                    "correct `fold` in a language file"
                )
    return joined

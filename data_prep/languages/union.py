"""Several languages at once, for one model over all their letters: `language=hi,mr,ta`.

A text is always in one language, with that language's rules. Only what belongs to the model is of several: its labels,
and the fingerprint of the normalisers.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.languages.folding import check_script_choice, fold_letters, join_folds
from data_prep.languages.language import DEFAULT_LANGUAGE, ENGLISH, SEPARATOR, WITH_ENGLISH, load_language

Letters = list[str] | dict[str, str]
"""The labels of a language; with the scripts folded into one, label -> the language's own letter."""

LANGUAGE_KEY = "lang"
"""Key of a manifest's row that names its language; a row without it is Hindi."""


def join_languages(languages: str | Iterable[str]) -> str:
    """Return languages as one text: `hi,mr,ta`, of a text or of a list."""
    parts = languages.split(SEPARATOR) if isinstance(languages, str) else map(str, languages)
    return SEPARATOR.join(part.strip() for part in parts)


def is_several(language: str) -> bool:
    """Whether a value of `language` names more than one."""
    return SEPARATOR in language


def name_languages(language: str) -> dict[str, str]:
    """Name the languages of a value of `language`.

    Args:
        language: Codes or paths of language files, joined by commas; or one of them.

    Returns:
        The code of each, in order, with what was given for it: a code or a path.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A language is unknown, refused or named twice.
    """
    named: dict[str, str] = {}
    for part in language.split(SEPARATOR):
        code = load_language(part).code
        if code in named:
            raise ValueError(f"language={language}: found {code} twice, expected each language once; remove one")
        named[code] = part
    return named


def list_labels(language: str, script: str | None = None) -> dict[str, Letters]:
    """List the labels of each language by its code; those of the model are all of them, each once, in this order.

    Args:
        language: Codes or paths of language files, joined by commas; or one of them.
        script: `devanagari`: the languages share its letters, see `folding`; `None`: each has its own.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A language is unknown, refused or named twice, or cannot be written in the script.
    """
    named = name_languages(language)
    check_script_choice(script, named)
    if script is None:
        return {code: list(load_language(part).alphabet) for code, part in named.items()}
    folded = {code: fold_letters(part) for code, part in named.items()}
    join_folds(folded)
    return dict(folded)


def join_labels(labels: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the labels of all languages, each once, in the order in which they come first."""
    return list(dict.fromkeys(label for own in labels.values() for label in own))


def find_member(codes: Iterable[str], code: str) -> str | None:
    """Find the language, among those of a model, by whose rules texts of a language are written.

    Args:
        codes: The model's languages, one or several.
        code: The texts' language.

    Returns:
        The language itself if it is there; else the first with English words that holds it, as `hi+en` holds `hi` and
        `en`; `None` if there is neither.
    """
    held = {code, f"{code}{WITH_ENGLISH}"}
    holders = [own for own in codes if own in held or (code == ENGLISH and own.endswith(WITH_ENGLISH))]
    return code if code in holders else next(iter(holders), None)


def language_of_row(row: Mapping[str, Any]) -> str:
    """Return the code of a manifest row's language."""
    return str(row.get(LANGUAGE_KEY) or DEFAULT_LANGUAGE)

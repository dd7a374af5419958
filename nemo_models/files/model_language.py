"""The languages of a model: its normaliser's fingerprint begins with their codes.

A model of several languages keeps, in its configuration's `languages`, which labels belong to which. If it writes them
in one script (see `data_prep.languages.folding`), it keeps there which letter of a language each label stands for.
"""

from collections.abc import Mapping
from typing import Any

from data_prep.languages.folding import invert, join_folds
from data_prep.languages.language import DEFAULT_LANGUAGE, SEPARATOR, is_known, list_languages, load_language
from data_prep.languages.union import Letters, find_member, is_several, list_labels

FINGERPRINT_KEY = "normalizer_fingerprint"
LANGUAGES_KEY = "languages"
"""Key of a model's configuration: code of each language -> its labels, or label -> letter if the languages share the
labels of one script. Models of one language have none."""


def choose_language(asked: str | None, fingerprint: str | None, model: str) -> str:
    """Choose the language of a job with a model: the model's, which an argument may only confirm, or one of several.

    Args:
        asked: What the user gave: a code, or the path of a language file; `None` for the model's language.
        fingerprint: The fingerprint of the normaliser of the model's transcripts; `None` for models of other tools.
        model: Name of the model, for messages.

    Returns:
        The language, as `load_language` takes it; all languages of a model of several where none was asked for. A model
        of `hi+en` that is asked for `hi` or `en` writes `hi+en`, see `find_member`.

    Raises:
        ValueError: The model writes another language, or its language is not known here.
    """
    own = read_languages(fingerprint)
    if asked is None:
        if unknown := [code for code in own if not is_known(code)]:
            raise ValueError(
                f"{model}: found a model of the language {unknown[0]}, expected one of {', '.join(list_languages())}; "
                "give its file with language=<path>.yaml"
            )
        return SEPARATOR.join(own) or DEFAULT_LANGUAGE
    if len(own) > 1 and asked == SEPARATOR.join(own):
        return asked
    code = load_language(str(asked)).code
    member = find_member(own, code)
    if len(own) > 1 and member is None:
        raise ValueError(f"language={asked}: expected one of {', '.join(own)}, the languages of {model}; choose one")
    if own and member is None:
        raise ValueError(
            f"language={asked}: expected {own[0]}, the language of {model}; leave it out, or choose a model of {code}"
        )
    return str(asked) if member in (None, code) else str(member)


def read_languages(fingerprint: str | None) -> tuple[str, ...]:
    """Read the languages' codes in a normaliser's fingerprint: `ta-1-8cd496a4` → (ta,)."""
    return tuple(fingerprint.partition("-")[0].split(SEPARATOR)) if fingerprint else ()


def describe_labels(language: str, script: str | None = None) -> dict[str, dict[str, Letters]]:
    """Return what a model's configuration says about the labels of several languages; nothing for one language.

    Args:
        language: A value of `language`.
        script: Script in which all of them are written; `None`: each in its own.

    Raises:
        ValueError: A language cannot be written in that script, or only one is given.
    """
    labels = list_labels(language, script)
    return {LANGUAGES_KEY: labels} if is_several(language) else {}


def read_folds(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Read code -> label -> letter of a model that writes several languages in one script; empty for other models."""
    languages = config.get(LANGUAGES_KEY) or {}
    folds = {str(code): dict(own) for code, own in languages.items() if isinstance(own, Mapping)}
    return folds if len(folds) == len(languages) else {}


def make_folding(config: Mapping[str, Any]) -> dict[int, str]:
    """Make the table with which `str.translate` writes a text with a model's labels; empty if they are its letters."""
    return str.maketrans(join_folds(read_folds(config)))


def read_letters(config: Mapping[str, Any], code: str) -> dict[str, str] | None:
    """Read letter -> label of one language of a model of several; `None` for other models."""
    own = (config.get(LANGUAGES_KEY) or {}).get(code)
    if own is None:
        return None
    return invert(own) if isinstance(own, Mapping) else {letter: letter for letter in own}

"""The languages of a model: its normaliser's fingerprint begins with their codes.

A model of several languages keeps, in its configuration's `languages`, which labels belong to which.
"""

from data_prep.languages.language import DEFAULT_LANGUAGE, SEPARATOR, is_known, list_languages, load_language
from data_prep.languages.union import is_several, list_labels

FINGERPRINT_KEY = "normalizer_fingerprint"
LANGUAGES_KEY = "languages"
"""Key of a model's configuration: code of each language -> its labels. Models of one language have none."""


def choose_language(asked: str | None, fingerprint: str | None, model: str) -> str:
    """Choose the language of a job with a model: the model's, which an argument may only confirm, or one of several.

    Args:
        asked: What the user gave: a code, or the path of a language file; `None` for the model's language.
        fingerprint: The fingerprint of the normaliser of the model's transcripts; `None` for models of other tools.
        model: Name of the model, for messages.

    Returns:
        The language, as `load_language` takes it; all languages of a model of several where none was asked for.

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
    if len(own) > 1 and code not in own:
        raise ValueError(f"language={asked}: expected one of {', '.join(own)}, the languages of {model}; choose one")
    if own and code not in own:
        raise ValueError(
            f"language={asked}: expected {own[0]}, the language of {model}; leave it out, or choose a model of {code}"
        )
    return str(asked)


def read_languages(fingerprint: str | None) -> tuple[str, ...]:
    """Read the languages' codes in a normaliser's fingerprint: `ta-1-43fab6d0` → (ta,)."""
    return tuple(fingerprint.partition("-")[0].split(SEPARATOR)) if fingerprint else ()


def describe_labels(language: str) -> dict[str, dict[str, list[str]]]:
    """Return what a model's configuration says about the labels of several languages; nothing for one language."""
    return {LANGUAGES_KEY: list_labels(language)} if is_several(language) else {}

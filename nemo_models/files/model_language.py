"""The language of a model: its normaliser's fingerprint begins with the language's code."""

from data_prep.languages.language import DEFAULT_LANGUAGE, list_languages, load_language


def choose_language(asked: str | None, fingerprint: str | None, model: str) -> str:
    """Choose the language of a job with a model: the model's, which an argument may only confirm.

    Args:
        asked: What the user gave: a code, or the path of a language file; `None` for the model's language.
        fingerprint: The fingerprint of the normaliser of the model's transcripts; `None` for models of other tools.
        model: Name of the model, for messages.

    Returns:
        The language, as `load_language` takes it.

    Raises:
        ValueError: The model writes another language, or its language is not known here.
    """
    own = read_language(fingerprint)
    if asked is None:
        if own is not None and own not in list_languages():
            raise ValueError(
                f"{model}: found a model of the language {own}, expected one of {', '.join(list_languages())}; "
                "give its file with language=<path>.yaml"
            )
        return own or DEFAULT_LANGUAGE
    code = load_language(str(asked)).code
    if own is not None and code != own:
        raise ValueError(
            f"language={asked}: expected {own}, the language of {model}; leave it out, or choose a model of {code}"
        )
    return str(asked)


def read_language(fingerprint: str | None) -> str | None:
    """Read the language's code in a normaliser's fingerprint: `ta-1-43fab6d0` → ta."""
    return fingerprint.partition("-")[0] if fingerprint else None

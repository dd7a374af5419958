"""The languages of the served model, by the names that clients use for them."""

from collections.abc import Sequence

from data_prep.languages.language import DEFAULT_LANGUAGE, WITH_ENGLISH, Language, load_language
from data_prep.languages.union import name_languages
from nemo_models.serving.api_errors import ApiError, bad_field

_HINDI_NAMES = ("hin",)  # of ISO 639-2, which some clients send


def load_languages(language: str = DEFAULT_LANGUAGE) -> tuple[Language, ...]:
    """Load the languages of a value of `language`."""
    return tuple(map(load_language, name_languages(language).values()))


def read_language(field: str, asked: str | None, languages: Sequence[Language], is_needed: bool = False) -> str | None:
    """Read a client's choice of a language.

    Args:
        field: Name of the field, for the message.
        asked: What the client wrote: a code, an English name, or a code with a country; empty or `None` for none.
        languages: The model's languages.
        is_needed: Whether the model cannot identify the language itself.

    Returns:
        The code to recognise in; `None` if there is nothing to choose, or nothing was chosen.

    Raises:
        ApiError: The model lacks the language, or one is needed and there is none.
    """
    if not asked and is_needed:
        codes = ", ".join(language.code for language in languages)
        message = f"{field}: found none, expected one of {codes}, which the model cannot tell apart; add it"
        raise ApiError(400, message, "missing_language", field)
    if not asked:
        return None
    found = [language.code for language in languages if _means(asked, language)]
    if not found:
        codes = ", ".join(language.code for language in languages)
        expected = f"{codes}, the model's language" if len(languages) == 1 else f"one of {codes}, the model's languages"
        raise bad_field(field, asked, f"{expected}; change or remove it")
    return found[0] if len(languages) > 1 else None


def name_language(code: str | None, languages: Sequence[Language]) -> str:
    """Return the English name of a text's language in lower case, as OpenAI's API writes it; by default the first."""
    return next((one.name for one in languages if one.code == code), languages[0].name).lower()


def _means(asked: str, language: Language) -> bool:
    """Whether a name means a language; a client that asks for Hindi may also have Hindi with English words."""
    name, code = asked.lower().replace("_", "-"), language.code
    if code.endswith(WITH_ENGLISH) and name != code:
        return _means(asked, load_language(code.removesuffix(WITH_ENGLISH)))
    return name in (code, language.name.lower(), f"{code}-in") or (code == DEFAULT_LANGUAGE and name in _HINDI_NAMES)

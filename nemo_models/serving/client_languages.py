"""The languages of the served model, by the names that clients use for them."""

import re
from collections.abc import Sequence

from data_prep.languages.language import DEFAULT_LANGUAGE, ENGLISH, WITH_ENGLISH, Language, is_known, load_language
from data_prep.languages.union import find_member, name_languages
from nemo_models.serving.api_errors import ApiError, bad_field

_HINDI_NAMES = ("hin",)  # of ISO 639-2, which some clients send


def load_languages(language: str = DEFAULT_LANGUAGE) -> tuple[Language, ...]:
    """Load the languages of a value of `language`."""
    return tuple(map(load_language, name_languages(language).values()))


def read_language(field: str, asked: str | None, languages: Sequence[Language], is_needed: bool = False) -> str | None:
    """Read a client's choice of a language.

    Args:
        field: Name of the field, for the message.
        asked: What the client wrote: a code, an English name, or a code with a country; empty or `None` for none. Who
            asks for Hindi or English may get Hindi with English words, see `find_member`.
        languages: The model's languages.
        is_needed: Whether the model cannot identify the language itself.

    Returns:
        The code to recognise in; `None` if there is nothing to choose, or nothing was chosen.

    Raises:
        ApiError: The model lacks the language, or one is needed and there is none.
    """
    if not asked and is_needed:
        known = ", ".join(language.code for language in languages)
        message = f"{field}: found none, expected one of {known}, which the model cannot tell apart; add it"
        raise ApiError(400, message, "missing_language", field)
    if not asked:
        return None
    codes = [language.code for language in languages]
    named = next((language.code for language in (*languages, *_list_parts(codes)) if _means(asked, language)), None)
    found = find_member(codes, named) if named else None
    if found is None:
        known = ", ".join(codes)
        expected = f"{known}, the model's language" if len(languages) == 1 else f"one of {known}, the model's languages"
        raise bad_field(field, asked, f"{expected}; change or remove it")
    return found if len(languages) > 1 else None


def name_language(code: str | None, languages: Sequence[Language]) -> str:
    """Return the English name of a text's language in lower case, as OpenAI's API writes it; by default the first."""
    return next((one.name for one in languages if one.code == code), languages[0].name).lower()


def _list_parts(codes: Sequence[str]) -> list[Language]:
    """List the languages that those with English words hold."""
    own = [code.removesuffix(WITH_ENGLISH) for code in codes if code.endswith(WITH_ENGLISH)]
    return [load_language(part) for code in own for part in (code, ENGLISH) if is_known(part)]


def _means(asked: str, language: Language) -> bool:
    """Whether a name means a language; any country may follow the code: hi-IN, ur-PK, en-US."""
    name, code = asked.lower().replace("_", "-"), language.code
    if re.fullmatch("[a-z]+-[a-z]{2}", name):
        name = name.partition("-")[0]
    return name in (code, language.name.lower()) or (code == DEFAULT_LANGUAGE and name in _HINDI_NAMES)

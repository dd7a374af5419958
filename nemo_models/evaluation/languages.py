"""A test set of several languages, divided: each language has its own rules, so each is scored on its own."""

from collections.abc import Sequence
from dataclasses import replace

from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.scripts import ScriptCount, describe_foreign_scripts
from data_prep.languages.union import (
    LANGUAGE_KEY,
    find_member,
    is_several,
    join_languages,
    language_of_row,
    name_languages,
)
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.rows import Row


def find_languages(rows: Sequence[Row]) -> str:
    """Return the languages that rows name (`lang`), in order, as a value of `language`; a row without one is Hindi."""
    return join_languages(dict.fromkeys(language_of_row(row.fields) for row in rows)) or DEFAULT_LANGUAGE


def choose_part(row: Row, language: str) -> str:
    """Return the code of the language that a row is scored in.

    Args:
        row: A reference.
        language: One language, or several: then a row without `lang` is Hindi.

    Raises:
        ValueError: The row is in another language.
    """
    codes = list(name_languages(language))
    code = str(language_of_row(row.fields) if is_several(language) else row.fields.get(LANGUAGE_KEY) or codes[0])
    own = find_member(codes, code)
    if own is None:
        raise ValueError(
            f"{row.place}: found lang {code}, expected {' or '.join(codes)} with language={language}; correct it, "
            f"remove the row, or give language={language},{code}"
        )
    return own


def divide_test_set(test_set: TestSet, language: str) -> dict[str, TestSet]:
    """Divide a test set by the languages of its references.

    Args:
        test_set: Utterances and predictions.
        language: See `choose_part`.

    Returns:
        What was given for each language that has a row -> its part.

    Raises:
        ValueError: A row is in another language.
    """
    named = name_languages(language)
    places: dict[str, list[int]] = {code: [] for code in named}
    for number, utterance in enumerate(test_set.utterances):
        places[choose_part(utterance.row, language)].append(number)
    if len(named) == 1:
        parts = {language: test_set}
    else:
        parts = {named[code]: _select(test_set, numbers) for code, numbers in places.items() if numbers}
    for part, own in parts.items():
        own.warnings.extend(_find_other_script(own, part))
    return parts


def _find_other_script(test_set: TestSet, language: str) -> list[str]:
    """Return a warning if most references are in another script than the language's."""
    found = load_language(language)
    scripts = ScriptCount(found)
    for utterance in test_set.utterances:
        scripts.add(utterance.reference.text, is_rejected=True)
    scripts.mixed = 0  # loan words in Latin letters are scored as they are
    return describe_foreign_scripts(found, language, scripts)


def _select(test_set: TestSet, numbers: Sequence[int]) -> TestSet:
    """Return some utterances of a test set; `warnings` become the part's own."""
    systems = [replace(system, rows=[system.rows[number] for number in numbers]) for system in test_set.systems]
    utterances = [test_set.utterances[number] for number in numbers]
    return replace(test_set, utterances=utterances, systems=systems, warnings=list(test_set.warnings))

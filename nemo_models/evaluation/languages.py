"""A test set of several languages, divided: each language has its own rules, so each is scored on its own."""

from collections.abc import Sequence
from dataclasses import replace

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.languages.union import LANGUAGE_KEY, is_several, join_languages, language_of_row, name_languages
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.rows import Row


def find_languages(rows: Sequence[Row]) -> str:
    """Return the languages that rows name (`lang`), in order, as a value of `language`; a row without one is Hindi."""
    return join_languages(dict.fromkeys(language_of_row(row.fields) for row in rows)) or DEFAULT_LANGUAGE


def divide_test_set(test_set: TestSet, language: str) -> dict[str, TestSet]:
    """Divide a test set by the languages of its references.

    Args:
        test_set: Utterances and predictions.
        language: One language, or several: then a row without `lang` is Hindi.

    Returns:
        What was given for each language that has a row -> its part.

    Raises:
        ValueError: A row is in another language.
    """
    named = name_languages(language)
    places: dict[str, list[int]] = {code: [] for code in named}
    for number, utterance in enumerate(test_set.utterances):
        row = utterance.row
        code = (
            language_of_row(row.fields) if is_several(language) else row.fields.get(LANGUAGE_KEY) or next(iter(named))
        )
        if code not in places:
            raise ValueError(
                f"{row.place}: found lang {code}, expected {' or '.join(named)} with language={language}; correct "
                f"it, remove the row, or give language={language},{code}"
            )
        places[str(code)].append(number)
    if len(named) == 1:
        return {language: test_set}
    return {named[code]: _select(test_set, numbers) for code, numbers in places.items() if numbers}


def _select(test_set: TestSet, numbers: Sequence[int]) -> TestSet:
    """Return some utterances of a test set; `warnings` become the part's own."""
    systems = [replace(system, rows=[system.rows[number] for number in numbers]) for system in test_set.systems]
    utterances = [test_set.utterances[number] for number in numbers]
    return replace(test_set, utterances=utterances, systems=systems, warnings=list(test_set.warnings))

"""Notes on texts that make an error rate less meaningful: empty hypotheses, digits or Latin letters on one side."""

import re
from collections.abc import Callable

from data_prep.arguments import name_some
from nemo_models.evaluation.matching import System, TestSet

_DIGIT = re.compile("[0-9०-९]")
_LATIN = re.compile("[A-Za-z]")


def note_texts(test_set: TestSet) -> list[str]:
    """Return one line for each kind of text that a reader of the report has to know of, for each system."""
    return [note for system in test_set.systems for note in _note_system(test_set, system)]


def _note_system(test_set: TestSet, system: System) -> list[str]:
    pairs = [
        (utterance.reference.text, row.hypothesis or "", utterance.row.audio)
        for utterance, row in zip(test_set.utterances, system.rows, strict=True)
    ]
    kinds: tuple[tuple[Callable[[str, str], bool], str], ...] = (
        (
            lambda reference, hypothesis: bool(reference.split()) and not hypothesis.split(),
            "hypotheses are empty: all their words count as deleted",
        ),
        (
            lambda reference, hypothesis: bool(_DIGIT.search(reference)) != bool(_DIGIT.search(hypothesis)),
            "utterances have digits on one side only: compare the layer numbers",
        ),
        (
            lambda reference, hypothesis: bool(_LATIN.search(reference)) != bool(_LATIN.search(hypothesis)),
            "utterances have Latin letters on one side only: words in another script count as errors, except those "
            "that the layer either_script lists",
        ),
    )
    return [
        f"{system.name}: {len(found)} {message} ({name_some(found)})"
        for applies, message in kinds
        if (found := [audio for reference, hypothesis, audio in pairs if applies(reference, hypothesis)])
    ]

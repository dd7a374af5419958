"""From predictions to a report: scores in layers, intervals, comparisons, and error rates by condition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from data_prep.arguments import require_number
from nemo_models.evaluation.audio_evidence import measure_evidence
from nemo_models.evaluation.breakdowns import read_vocabulary
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.options import EvaluationOptions
from nemo_models.evaluation.report import count_hours, describe_settings, describe_system, describe_test_set
from nemo_models.evaluation.statistics import (
    Comparison,
    Drawing,
    compare_systems,
    describe_comparison,
    group_blocks,
    holm,
    hours_to_decide,
    mapsswe,
)
from nemo_models.evaluation.text_notes import note_texts
from nemo_models.evaluation.word_errors import list_error_slots

REPORT_VERSION = 1
SIGNIFICANCE = 0.05


@dataclass
class Evaluation:
    """The result of an evaluation.

    Attributes:
        test_set: The utterances and predictions.
        scores: One for each system.
        comparisons: One for each pair of systems, in order.
        report: What `report.json` holds.
    """

    test_set: TestSet
    scores: list[LayeredScore]
    comparisons: list[Comparison]
    report: dict[str, Any]


def evaluate(test_set: TestSet, options: EvaluationOptions | None = None) -> Evaluation:
    """Score every system of a test set and compare them.

    Args:
        test_set: From `load_test_set`.
        options: How to evaluate.

    Raises:
        FileNotFoundError: The language model's words are not there.
        ValueError: The layer to compare is not computed.
    """
    options = options or EvaluationOptions()
    references = [utterance.reference for utterance in test_set.utterances]
    scores = [
        LayeredScore(references, [row.hypothesis or "" for row in system.rows], options.layers)
        for system in test_set.systems
    ]
    blocks, unit = group_blocks([utterance.row.speaker for utterance in test_set.utterances], len(references))
    if unit == "utterances":
        test_set.warnings.append(
            "intervals are over utterances, not speakers: found fewer than 5 speakers, or rows without one; "
            "expect them to be too narrow"
        )
    test_set.warnings += note_texts(test_set)
    drawing = Drawing(blocks, unit, options.replicates, options.seed)
    comparisons = _compare_all(test_set, scores, drawing, options.compare_layer)
    evidence = (
        measure_evidence(test_set.utterances, test_set.systems, scores, test_set.folder) if options.read_audio else None
    )
    vocabulary = read_vocabulary(options.lm_words) if options.lm_words else None
    report = {
        "report_version": REPORT_VERSION,
        "test_set": describe_test_set(test_set, scores[0]),
        "settings": describe_settings(options, drawing),
        "systems": [
            describe_system(test_set, number, score, drawing, options, evidence, vocabulary)
            for number, score in enumerate(scores)
        ],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
    }
    return Evaluation(test_set, scores, comparisons, report)


def _compare_all(
    test_set: TestSet, scores: Sequence[LayeredScore], drawing: Drawing, layer: str | None
) -> list[Comparison]:
    hours = count_hours(test_set)
    slots = [list_error_slots(score, layer) for score in scores] if len(scores) > 1 else []
    found = []
    for a, b in combinations(range(len(scores)), 2):
        name = layer or scores[a].layers[-1].name
        one, other = (_errors_of(score, name) for score in (scores[a], scores[b]))
        difference, interval, p_value, better = compare_systems(
            one, other, scores[a].words, drawing.blocks, drawing.unit, drawing.replicates, drawing.seed
        )
        test = mapsswe(slots[a], slots[b])
        needed = hours_to_decide(difference, interval.standard_error, hours)
        names = (test_set.systems[a].name, test_set.systems[b].name)
        found.append(
            Comparison(*names, name, difference, interval, p_value, p_value, better, test, test.p_value, needed)
        )
    bootstrap = holm([comparison.p_value_uncorrected for comparison in found])
    tests = holm([comparison.mapsswe.p_value for comparison in found])
    return [
        replace(
            comparison,
            p_value=p_value,
            mapsswe_p_value=test,
            sentence=describe_comparison(
                comparison.a,
                comparison.b,
                comparison.difference,
                comparison.interval,
                p_value,
                test,
                comparison.hours_needed,
            ),
        )
        for comparison, p_value, test in zip(found, bootstrap, tests, strict=True)
    ]


def _errors_of(score: LayeredScore, name: str) -> np.ndarray:
    return next(layer.errors for layer in score.layers if layer.name == name)


def check_gate(comparisons: Sequence[Comparison], gate: float) -> list[Comparison]:
    """Return the comparisons in which the second system is worse by more than a gate, and significantly so.

    Args:
        comparisons: Those against the first system count.
        gate: Percentage points of error rate, 0 or more.

    Raises:
        ValueError: The gate is negative, or there is only one system.
    """
    require_number("gate", gate, least=0)
    if not comparisons:
        raise ValueError(f"gate={gate}: expected two systems or more; name them: predictions=[base.jsonl,new.jsonl]")
    base = comparisons[0].a
    return [one for one in comparisons if one.a == base and 100 * one.difference > gate and one.p_value < SIGNIFICANCE]

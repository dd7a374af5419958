"""From predictions to a report: scores in layers, intervals, comparisons, and where the errors are."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from data_prep.arguments import require_choice, require_int, require_number
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from nemo_models.evaluation.audio_evidence import AudioEvidence, measure_audio
from nemo_models.evaluation.breakdowns import (
    break_down,
    measure_confidence,
    measure_unknown_words,
    read_snr,
    read_vocabulary,
)
from nemo_models.evaluation.layers import LAYERS, Layer, LayeredScore, LayerOptions
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.nbest import measure_oracle
from nemo_models.evaluation.phonetics import count_classes, count_letters
from nemo_models.evaluation.spelling import SPELLING_RULES_VERSION
from nemo_models.evaluation.statistics import (
    REPLICATES,
    Comparison,
    Interval,
    bootstrap_rate,
    compare,
    describe,
    group_blocks,
    holm,
    hours_to_decide,
    mapsswe,
)
from nemo_models.evaluation.word_errors import (
    count_boundary_errors,
    count_deletions,
    count_insertions,
    count_substitutions,
    list_error_slots,
)

REPORT_VERSION = 1
SIGNIFICANCE = 0.05
FORGIVEN_LISTED = 500
CONFUSIONS_LISTED = 200


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes:
        layers: Which layers to compute.
        replicates: Draws of each bootstrap.
        seed: Of its random numbers.
        compare_layer: The layer that comparisons look at; `None`: the last.
        lm_words: ARPA file or text of a language model, for words that it does not know; `None`: not looked at.
        read_audio: Whether to read the audio, for noise and for insertions at silences.

    Raises:
        ValueError: A value is out of range.
    """

    layers: LayerOptions = field(default_factory=LayerOptions)
    replicates: int = REPLICATES
    seed: int = 0
    compare_layer: str | None = None
    lm_words: Path | None = None
    read_audio: bool = True

    def __post_init__(self) -> None:
        require_int("replicates", self.replicates, 100)
        require_int("seed", self.seed, 0)
        if self.compare_layer is not None:
            require_choice("compare_layer", self.compare_layer, LAYERS)


@dataclass
class Evaluation:
    """What came of it.

    Attributes:
        test_set: The utterances and predictions.
        scores: One for each system.
        comparisons: Of each pair of systems, in order.
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
    drawing = _Drawing(blocks, unit, options.replicates, options.seed)
    comparisons = _compare_all(test_set, scores, drawing, options.compare_layer)
    evidence = (
        measure_audio(test_set.utterances, test_set.systems, scores, test_set.folder) if options.read_audio else None
    )
    vocabulary = read_vocabulary(options.lm_words) if options.lm_words else None
    report = {
        "report_version": REPORT_VERSION,
        "test_set": _describe_test_set(test_set, scores[0]),
        "settings": _describe_settings(options, drawing),
        "systems": [
            _describe_system(test_set, number, score, drawing, options, evidence, vocabulary)
            for number, score in enumerate(scores)
        ],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
    }
    return Evaluation(test_set, scores, comparisons, report)


@dataclass(frozen=True)
class _Drawing:
    """What every bootstrap of a report shares."""

    blocks: np.ndarray
    unit: str
    replicates: int
    seed: int

    def rate(self, errors: np.ndarray, words: np.ndarray) -> Interval:
        return bootstrap_rate(errors, words, self.blocks, self.unit, self.replicates, self.seed)


def _compare_all(
    test_set: TestSet, scores: Sequence[LayeredScore], drawing: _Drawing, layer: str | None
) -> list[Comparison]:
    hours = _count_hours(test_set)
    slots = [list_error_slots(score, layer) for score in scores] if len(scores) > 1 else []
    found = []
    for a, b in combinations(range(len(scores)), 2):
        name = layer or scores[a].layers[-1].name
        one, other = (_errors_of(score, name) for score in (scores[a], scores[b]))
        difference, interval, p_value, better = compare(
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
            sentence=describe(
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


def _count_hours(test_set: TestSet) -> float | None:
    durations = [utterance.row.duration_s for utterance in test_set.utterances]
    known = [duration for duration in durations if duration is not None]
    return sum(known) / 3600 if len(known) == len(durations) and known else None


def _describe_test_set(test_set: TestSet, score: LayeredScore) -> dict[str, Any]:
    speakers = {utterance.row.speaker for utterance in test_set.utterances} - {None}
    return {
        "utterances": len(test_set.utterances),
        "words": int(score.words.sum()),
        "normalized_words": int(score.normalized_words.sum()),
        "hours": _count_hours(test_set),
        "speakers": len(speakers) or None,
        "empty_references": sum(1 for one in test_set.utterances if not one.reference.text.split()),
        "unscorable": test_set.unscorable,
        "warnings": test_set.warnings,
    }


def _describe_settings(options: EvaluationOptions, drawing: _Drawing) -> dict[str, Any]:
    return {
        "layers": list(options.layers.layers),
        "spelling_rules": list(options.layers.spelling_rules),
        "variant_lists": [str(path) for path in options.layers.variant_lists],
        "spelling_rules_version": SPELLING_RULES_VERSION,
        "normalizer_fingerprint": NORMALIZER_FINGERPRINT,
        "replicates": options.replicates,
        "seed": options.seed,
        "interval": "95 % percentile bootstrap",
        "drawn": drawing.unit,
        "blocks": len(np.unique(drawing.blocks)),
    }


def _describe_system(
    test_set: TestSet,
    number: int,
    score: LayeredScore,
    drawing: _Drawing,
    options: EvaluationOptions,
    evidence: AudioEvidence | None,
    vocabulary: frozenset[str] | None,
) -> dict[str, Any]:
    system = test_set.systems[number]
    layers = [_describe_layer(score, layer, drawing) for layer in score.layers]
    substitutions = count_substitutions(score)
    snr = read_snr(test_set.utterances)
    if evidence is not None:
        snr = [known if known is not None else measured for known, measured in zip(snr, evidence.snr_db, strict=True)]
    boundary = count_boundary_errors(score)
    silent, placed = evidence.insertions_at_silence[number] if evidence else (0, 0)
    return {
        "name": system.name,
        "path": str(system.path),
        "wer": layers[0]["wer"],
        "interval": layers[0]["interval"],
        "cer": _count_characters(score),
        "layers": layers,
        "raw": dict(
            zip(("substitutions", "deletions", "insertions"), score.raw_errors.sum(axis=0).tolist(), strict=True)
        ),
        "normalized": _describe_normalized(score),
        "failed": sum(1 for row in system.rows if row.error),
        "analysis": {
            "phonetic_classes": count_classes(substitutions) | {"word_boundary": sum(boundary.values())},
            "substitutions": _list(substitutions),
            "deletions": _list(count_deletions(score)),
            "insertions": _list(count_insertions(score)),
            "letters": _list(count_letters(substitutions)),
            "word_boundaries": _list(boundary),
            "insertions_at_silence": {"silent": silent, "placed": placed} if placed else None,
            "breakdowns": break_down(test_set.utterances, score, snr),
            "unknown_words": measure_unknown_words(score, vocabulary) if vocabulary is not None else None,
            "confidence": measure_confidence(system, score),
            "nbest": measure_oracle(test_set.utterances, system, score, options.layers),
        },
    }


def _describe_layer(score: LayeredScore, layer: Layer, drawing: _Drawing) -> dict[str, Any]:
    interval = drawing.rate(layer.errors, score.words)
    row: dict[str, Any] = {
        "name": layer.name,
        "wer": score.rate(layer),
        "errors": int(layer.errors.sum()),
        "words": int(score.words.sum()),
        "forgiven": score.forgiven(layer),
        "interval": [interval.low, interval.high],
        "standard_error": interval.standard_error,
        "forgiven_pairs": _list(layer.forgiven, FORGIVEN_LISTED),
    }
    before = int(score.layers[score.layers.index(layer) - 1].errors.sum()) if layer.rules else 0
    rules = []
    for rule in layer.rules:
        errors = int(rule.errors.sum())
        rules.append(
            {
                "name": rule.name,
                "errors": errors,
                "forgiven": before - errors,
                "forgiven_pairs": _list(rule.forgiven, FORGIVEN_LISTED),
            }
        )
        before = errors
    return row | ({"rules": rules} if rules else {})


def _describe_normalized(score: LayeredScore) -> dict[str, Any]:
    """What the project's other commands print: rates over the words of the normalised references."""
    substitutions, deletions, insertions = score.normalized_errors.sum(axis=0).tolist()
    words = int(score.normalized_words.sum())
    errors = substitutions + deletions + insertions
    return {
        "wer": errors / words if words else None,
        "words": words,
        "errors": errors,
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
    }


def _count_characters(score: LayeredScore) -> float | None:
    """Character error rate of normalised texts, as the project's other commands print it."""
    references, hypotheses = score.pairs.join_words()
    characters = sum(map(len, references))
    return sum(map(Levenshtein.distance, references, hypotheses)) / characters if characters else None


def _list(counts: Any, most: int = CONFUSIONS_LISTED) -> list[list[Any]]:
    """List the most frequent, ties by text: equal inputs give equal reports."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [[*(key if isinstance(key, tuple) else (key,)), count] for key, count in ordered]


def check_gate(comparisons: Sequence[Comparison], gate: float) -> list[Comparison]:
    """Return the comparisons in which the second system is worse by more than a gate, and significantly so.

    Args:
        comparisons: Those against the first system count.
        gate: Percentage points of error rate, 0 or more.

    Raises:
        ValueError: The gate is no such number, or there is nothing to compare.
    """
    require_number("gate", gate, least=0)
    if not comparisons:
        raise ValueError(f"gate={gate}: expected two systems or more; name them: predictions=[base.jsonl,new.jsonl]")
    base = comparisons[0].a
    return [one for one in comparisons if one.a == base and 100 * one.difference > gate and one.p_value < SIGNIFICANCE]


def format_summary(report: dict[str, Any]) -> str:
    """Return what the command prints: rates by layer with intervals, comparisons, warnings."""
    test_set = report["test_set"]
    hours = f", {test_set['hours']:.2f} h" if test_set["hours"] else ""
    speakers = f", {test_set['speakers']} speakers" if test_set["speakers"] else ""
    lines = [f"{test_set['utterances']} utterances, {test_set['words']} words{hours}{speakers}"]
    for system in report["systems"]:
        lines.append(f"\n{system['name']}")
        for layer in system["layers"]:
            low, high = (100 * end for end in layer["interval"])
            most = ", ".join(f"{one}={other} {count}" for one, other, count in layer["forgiven_pairs"][:3])
            forgiven = f"  forgave {layer['forgiven']}" + (f" ({most})" if most else "") if layer["forgiven"] else ""
            lines.append(f"  {layer['name']:13s} {100 * layer['wer']:6.2f} %  [{low:.2f}, {high:.2f}]{forgiven}")
        normalized = system["normalized"]
        wer, cer = (
            f"{100 * rate:.2f} %" if rate is not None else "none" for rate in (normalized["wer"], system["cer"])
        )
        lines.append(f"  as other commands print it: WER {wer}, CER {cer}")
    lines += [f"\n{comparison['sentence']}" for comparison in report["comparisons"]]
    lines += [f"\nnote: {warning}" for warning in test_set["warnings"]]
    return "\n".join(lines)

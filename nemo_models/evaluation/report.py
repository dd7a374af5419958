"""The content of `report.json` for a test set and for each system, and the summary that the command prints."""

from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from data_prep.text.normalizer import fingerprint_language
from nemo_models.evaluation.audio_evidence import AudioEvidence
from nemo_models.evaluation.breakdowns import break_down, measure_confidence, measure_unknown_words, read_snr
from nemo_models.evaluation.layers import Layer, LayeredScore
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.nbest import measure_oracle
from nemo_models.evaluation.options import EvaluationOptions
from nemo_models.evaluation.phonetics import count_classes, count_letters
from nemo_models.evaluation.spelling import SPELLING_RULES_VERSION
from nemo_models.evaluation.statistics import Drawing
from nemo_models.evaluation.word_errors import (
    count_boundary_errors,
    count_deletions,
    count_insertions,
    count_substitutions,
)

FORGIVEN_LISTED = 500
CONFUSIONS_LISTED = 200


def count_hours(test_set: TestSet) -> float | None:
    """Return the hours of speech, or `None` if a duration is not known."""
    durations = [utterance.row.duration_s for utterance in test_set.utterances]
    known = [duration for duration in durations if duration is not None]
    return sum(known) / 3600 if len(known) == len(durations) and known else None


def describe_test_set(test_set: TestSet, score: LayeredScore) -> dict[str, Any]:
    """Return the report's part on the test set."""
    speakers = {utterance.row.speaker for utterance in test_set.utterances} - {None}
    return {
        "utterances": len(test_set.utterances),
        "words": int(score.words.sum()),
        "normalized_words": int(score.normalized_words.sum()),
        "hours": count_hours(test_set),
        "speakers": len(speakers) or None,
        "empty_references": sum(1 for one in test_set.utterances if not one.reference.text.split()),
        "unscorable": test_set.unscorable,
        "warnings": test_set.warnings,
    }


def describe_settings(options: EvaluationOptions, drawing: Drawing) -> dict[str, Any]:
    """Return the report's part on how it was made."""
    return {
        "language": options.layers.language,
        "layers": list(options.layers.used_layers),
        "spelling_rules": list(options.layers.spelling_rules),
        "variant_lists": [str(path) for path in options.layers.variant_lists],
        "english_words": [str(path) for path in options.layers.english_words],
        "spelling_rules_version": SPELLING_RULES_VERSION,
        "normalizer_fingerprint": fingerprint_language(options.layers.language),
        "replicates": options.replicates,
        "seed": options.seed,
        "interval": "95 % percentile bootstrap",
        "drawn": drawing.unit,
        "blocks": len(np.unique(drawing.blocks)),
    }


def describe_system(
    test_set: TestSet,
    number: int,
    score: LayeredScore,
    drawing: Drawing,
    options: EvaluationOptions,
    evidence: AudioEvidence | None,
    vocabulary: frozenset[str] | None,
) -> dict[str, Any]:
    """Return the report's part on one system.

    Args:
        test_set: The test set.
        number: Which of its systems.
        score: That system's score.
        drawing: For the intervals.
        options: How to evaluate.
        evidence: What the audio says; `None` if it was not read.
        vocabulary: Words that a language model knows; `None`: not looked at.
    """
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


def _describe_layer(score: LayeredScore, layer: Layer, drawing: Drawing) -> dict[str, Any]:
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
    """Return the rates that the project's other commands print: errors over the words of the normalised references."""
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

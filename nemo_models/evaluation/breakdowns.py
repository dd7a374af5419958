"""Error rates by speaker, length, speaking rate, noise, place in the recording, vocabulary and confidence."""

import gzip
import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.calibration import measure_calibration
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import ScoredUtterance, System
from nemo_models.evaluation.word_errors import mark_right_raw_words, mark_right_reference_words

DURATION_EDGES_S = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0)
RATE_EDGES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # words a second
SNR_EDGES_DB = (0.0, 10.0, 20.0, 30.0, 40.0)
_SNR_KEYS = ("snr_db", "snr")
_MOST_SPEAKERS = 1000


def break_down(
    utterances: Sequence[ScoredUtterance], score: LayeredScore, snr_db: Sequence[float | None]
) -> dict[str, Any]:
    """Compute error rates of parts of the test set, after all layers.

    Args:
        utterances: The test set.
        score: One system's score.
        snr_db: Signal-to-noise ratio of each utterance, where known.

    Returns:
        Name of the breakdown → rows of `value`, `utterances`, `words`, `errors`, `wer`; only breakdowns whose values
        are known.
    """
    durations = [utterance.row.duration_s for utterance in utterances]
    rates = [
        words / duration if duration else None for words, duration in zip(score.words.tolist(), durations, strict=True)
    ]
    columns: dict[str, list[str | None]] = {
        "speaker": [utterance.row.speaker for utterance in utterances],
        "duration_s": _bin(durations, DURATION_EDGES_S),
        "words_per_second": _bin(rates, RATE_EDGES),
        "snr_db": _bin(snr_db, SNR_EDGES_DB),
        "place_in_recording": _place_in_recording(utterances),
    }
    found = {}
    for name, values in columns.items():
        rows = _sum_by_value(values, score)
        if len(rows) > 1:
            found[name] = rows[:_MOST_SPEAKERS]
    return found


def read_snr(utterances: Sequence[ScoredUtterance]) -> list[float | None]:
    """Return the signal-to-noise ratios in the rows (`snr_db`, as prepare_data writes it)."""
    found: list[float | None] = []
    for utterance in utterances:
        value = next((utterance.row.fields[key] for key in _SNR_KEYS if key in utterance.row.fields), None)
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            number = math.nan
        found.append(number if math.isfinite(number) else None)
    return found


def _bin(values: Sequence[float | None], edges: Sequence[float]) -> list[str | None]:
    names = [
        f"below {edges[0]:g}",
        *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(edges)),
        f"{edges[-1]:g} or more",
    ]
    return [None if value is None else names[int(np.searchsorted(edges, value, side="right"))] for value in values]


def _place_in_recording(utterances: Sequence[ScoredUtterance]) -> list[str | None]:
    """First, middle or last third of a recording, where several utterances come from one."""
    ends: dict[str, float] = {}
    for utterance in utterances:
        row = utterance.row
        ends[row.audio] = max(ends.get(row.audio, 0.0), row.offset_s + (row.duration_s or 0.0))
    if len(ends) == len(utterances) or not any(ends.values()):
        return [None] * len(utterances)
    names = ("first third", "middle third", "last third")
    return [
        names[min(2, int(3 * utterance.row.offset_s / ends[utterance.row.audio]))]
        if ends[utterance.row.audio]
        else None
        for utterance in utterances
    ]


def _sum_by_value(values: Sequence[str | None], score: LayeredScore) -> list[dict[str, Any]]:
    sums: dict[str, list[int]] = {}
    for value, words, errors in zip(values, score.words.tolist(), score.errors.tolist(), strict=True):
        if value is not None:
            row = sums.setdefault(value, [0, 0, 0])
            row[0], row[1], row[2] = row[0] + 1, row[1] + words, row[2] + errors
    rows = [
        {"value": value, "utterances": n, "words": words, "errors": errors, "wer": errors / words if words else None}
        for value, (n, words, errors) in sums.items()
    ]
    order = {name: at for at, name in enumerate(("first third", "middle third", "last third"))}
    return sorted(
        rows, key=lambda row: (order.get(row["value"], 9), _leading_number(str(row["value"])), str(row["value"]))
    )


def _leading_number(name: str) -> float:
    try:
        return float(name.split()[0])
    except ValueError:
        return -1.0


def read_vocabulary(path: Path) -> frozenset[str]:
    """Read the words that a language model knows.

    Args:
        path: An ARPA file (`.arpa`, `.arpa.gz`) or a text whose words they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An ARPA file has no unigrams.
    """
    if not path.is_file():
        raise FileNotFoundError(f"lm_words={path}: no such file")
    words: set[str] = set()
    with (
        gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened,
        io.TextIOWrapper(cast(IO[bytes], opened), encoding="utf-8-sig") as lines,
    ):
        if ".arpa" not in path.suffixes:
            for line in lines:
                words.update(normalize_text(line).split())
            return frozenset(words)
        in_unigrams = False
        for line in lines:
            if line.startswith("\\"):
                if in_unigrams:
                    break
                in_unigrams = line.strip() == "\\1-grams:"
            elif in_unigrams and line.strip():
                words.add(line.split("\t")[1].strip())
    if not words:
        raise ValueError(f"lm_words={path}: found no \\1-grams:, expected an ARPA file or a text")
    return frozenset(words)


def measure_unknown_words(score: LayeredScore, vocabulary: frozenset[str]) -> dict[str, Any]:
    """Compare the words of the references that a language model knows with those that it does not."""
    known = np.array([word in vocabulary for word in score.pairs.normal_words], bool)[score.pairs.ref.ids]
    right = mark_right_reference_words(score)
    return {
        name: {"words": int(chosen.sum()), "wrong": int((chosen & ~right).sum()), "share": _share(chosen, right)}
        for name, chosen in (("known", known), ("unknown", ~known))
    }


def _share(chosen: np.ndarray, right: np.ndarray) -> float | None:
    return float((chosen & ~right).sum() / chosen.sum()) if chosen.any() else None


def collect_confidences(system: System, score: LayeredScore) -> tuple[list[float], list[bool]]:
    """Collect the confidence of each recognised word and whether the word is right, where confidences are known."""
    right, bounds = mark_right_raw_words(score)
    confidences: list[float] = []
    correct: list[bool] = []
    for number, row in enumerate(system.rows):
        begin, end = int(bounds[number]), int(bounds[number + 1])
        if len(row.words) == end - begin and all(word.confidence is not None for word in row.words):
            confidences += [float(word.confidence or 0.0) for word in row.words]
            correct += right[begin:end].tolist()
    return confidences, correct


def measure_confidence(system: System, score: LayeredScore) -> dict[str, Any] | None:
    """Measure the calibration of a system's word confidences; `None` if it gives none."""
    confidences, correct = collect_confidences(system, score)
    return measure_calibration(confidences, correct) if confidences else None

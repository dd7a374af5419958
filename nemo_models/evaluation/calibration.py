"""Calibration of word confidences: measures, and maps that improve it.

Confidences are calibrated if, for example, four in five words with confidence 0.8 are right. A map is fitted on words
whose correctness is known: one temperature on the log-odds, or a monotone step function (isotonic regression). The map
is plain data (`Calibration.to_dict`) that a model's configuration can store.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.stats import rankdata

from data_prep.arguments import require_choice

CALIBRATION_KEY = "confidence_calibration"
"""Where a model keeps its map (`Calibration.to_dict`) in its configuration."""
BINS = 10
KINDS = ("temperature", "isotonic")
_NEAR_ZERO = 1e-6
_MOST_STEPS = 50


@dataclass(frozen=True)
class Calibration:
    """A map from a confidence to the chance that the word is right.

    Attributes:
        kind: `temperature` or `isotonic`.
        temperature: What log-odds are divided by; with `temperature`.
        confidences: Ascending, with `isotonic`: linear in between.
        chances: Chance for each of these confidences, ascending.
    """

    kind: str
    temperature: float = 1.0
    confidences: tuple[float, ...] = ()
    chances: tuple[float, ...] = ()

    def apply(self, confidences: Sequence[float] | np.ndarray) -> np.ndarray:
        """Map confidences (0 … 1) to chances (0 … 1); the order of words by confidence stays."""
        values = np.asarray(confidences, float)
        if self.kind == "isotonic":
            return np.asarray(np.interp(values, self.confidences, self.chances))
        odds = _log_odds(values) / self.temperature
        return np.asarray(1 / (1 + np.exp(-odds)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a configuration."""
        if self.kind == "temperature":
            return {"kind": self.kind, "temperature": self.temperature}
        return {"kind": self.kind, "confidences": list(self.confidences), "chances": list(self.chances)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_dict` wrote.

        Raises:
            ValueError: The kind is not known.
        """
        require_choice("confidence_calibration.kind", data.get("kind"), KINDS)
        if data["kind"] == "temperature":
            return cls("temperature", float(data["temperature"]))
        return cls("isotonic", 1.0, tuple(map(float, data["confidences"])), tuple(map(float, data["chances"])))


def fit_calibration(confidences: Sequence[float], correct: Sequence[bool], kind: str = "temperature") -> Calibration:
    """Fit a map on words whose correctness is known, such as those of dev data.

    Args:
        confidences: (W,) 0 … 1.
        correct: (W,) whether each word is right.
        kind: One of `KINDS`.

    Raises:
        ValueError: The kind is not known, or there are no right words, or no wrong ones.
    """
    require_choice("calibration", kind, KINDS)
    values, right = np.asarray(confidences, float), np.asarray(correct, float)
    if not 0 < right.sum() < len(right):
        raise ValueError(
            f"calibration={kind}: found {int(right.sum())} right words of {len(right)}, expected right and wrong ones; "
            "use more dev data"
        )
    if kind == "temperature":
        odds = _log_odds(values)

        def loss(log_temperature: float) -> float:
            scaled = odds / math.exp(log_temperature)
            return float(np.logaddexp(0, np.where(right > 0, -scaled, scaled)).mean())

        return Calibration("temperature", float(math.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x)))
    levels, member, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = np.bincount(member, right) / counts
    steps = isotonic_regression(shares, weights=counts).x
    kept = np.unique(np.linspace(0, len(levels) - 1, min(_MOST_STEPS, len(levels))).round().astype(int))
    return Calibration("isotonic", 1.0, tuple(levels[kept].tolist()), tuple(steps[kept].tolist()))


def measure_calibration(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> dict[str, Any]:
    """Measure how well confidences say which words are right.

    Args:
        confidences: (W,) 0 … 1.
        correct: (W,) whether each word is right.
        bins: Bins of equal width.

    Returns:
        `words`; `ece`: expected calibration error, the mean distance of confidence and share of right words over bins,
        weighted by words; `auc`: chance that a right word has more confidence than a wrong one (`None` if there are
        only right or only wrong words); `bins`: from, to, words, mean confidence and share of right words of each.
    """
    values, right = np.asarray(confidences, float), np.asarray(correct, bool)
    number = np.clip((values * bins).astype(int), 0, bins - 1)
    rows, ece = [], 0.0
    for at in range(bins):
        chosen = number == at
        words = int(chosen.sum())
        mean, share = (float(values[chosen].mean()), float(right[chosen].mean())) if words else (None, None)
        if words:
            ece += words / len(values) * abs(values[chosen].mean() - right[chosen].mean())
        rows.append({"from": at / bins, "to": (at + 1) / bins, "words": words, "confidence": mean, "correct": share})
    return {"words": len(values), "ece": float(ece), "auc": _area(values, right), "bins": rows}


def _area(values: np.ndarray, right: np.ndarray) -> float | None:
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        return None
    ranks = rankdata(values)[right].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def _log_odds(values: np.ndarray) -> np.ndarray:
    clipped = np.clip(values, _NEAR_ZERO, 1 - _NEAR_ZERO)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))

"""Confidence intervals of error rates and tests of differences: bootstrap over speakers, MAPSSWE, Holm's correction.

Sources: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation" (ICASSP 2004), as
in Kaldi's `compute-wer-bootci`; Liu et al., "Statistical testing on ASR performance via blockwise bootstrap"
(arXiv 1912.09508): errors of one speaker are correlated, so that speakers are drawn, not utterances; Gillick and Cox,
"Some statistical issues in the comparison of speech recognition algorithms" (ICASSP 1989), as in NIST's `sc_stats`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

REPLICATES = 10_000
_DRAWN_AT_ONCE = 20_000_000  # numbers
# With fewer speakers a bootstrap over them says nothing: utterances are drawn.
FEWEST_SPEAKERS = 5
_MIN_GOOD_WORDS = 2  # correct in both systems, between two segments of MAPSSWE; as sc_stats
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low: Its lower end, a share such as 0.12.
        high: Its upper end.
        standard_error: Standard deviation over the replicates; Kaldi's half width is 1.96 of it.
        unit: What was drawn: `speakers` or `utterances`.
        blocks: How many there are.
        replicates: How many draws.
        seed: Seed of the random numbers.
    """

    low: float
    high: float
    standard_error: float
    unit: str
    blocks: int
    replicates: int
    seed: int


@dataclass(frozen=True)
class Mapsswe:
    """A matched-pairs sentence-segment word-error test.

    Attributes:
        segments: Stretches with an error of either system, parted by two words or more that both have right.
        mean: Errors of the first less errors of the second, for each segment.
        standard_deviation: Standard deviation of these differences.
        z: The statistic; 0 if the systems make equal errors everywhere, `None` if all segments differ by the same
            number, so that there is no deviation.
        p_value: Two-sided.
    """

    segments: int
    mean: float
    standard_deviation: float
    z: float | None
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same utterances.

    Attributes:
        a: The first system's name.
        b: The second's.
        layer: The layer that is compared.
        difference: Rate of `b` less rate of `a`: below 0, `b` is better.
        interval: Interval of the difference, by paired bootstrap.
        p_value: Two-sided, of the paired bootstrap, corrected by Holm's method where there are several comparisons.
        p_value_uncorrected: The same without the correction.
        probability_of_improvement: Share of replicates in which `b` makes fewer errors than `a`; ties count half.
        mapsswe: The other test.
        mapsswe_p_value: Its p-value after Holm's correction.
        hours_needed: Hours of such speech with which the difference measured would be shown four times in five; `None`
            where the duration is not known, or where the difference is zero.
        sentence: All that in a plain sentence.
    """

    a: str
    b: str
    layer: str
    difference: float
    interval: Interval
    p_value: float
    p_value_uncorrected: float
    probability_of_improvement: float
    mapsswe: Mapsswe
    mapsswe_p_value: float
    hours_needed: float | None = None
    sentence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds; intervals are pairs."""
        row = asdict(self)
        row["interval"] = [self.interval.low, self.interval.high]
        row["standard_error"] = self.interval.standard_error
        row["bootstrap"] = {key: getattr(self.interval, key) for key in ("unit", "blocks", "replicates", "seed")}
        return row


def group_blocks(speakers: Sequence[str | None], utterances: int) -> tuple[np.ndarray, str]:
    """Number the blocks that the bootstrap draws.

    Args:
        speakers: Each utterance's speaker; `None` if it is not known.
        utterances: How many there are.

    Returns:
        (N,) int64 block of each utterance, and `speakers` or `utterances`.
    """
    known = [speaker for speaker in speakers if speaker is not None]
    if len(known) < utterances or len(set(known)) < FEWEST_SPEAKERS:
        return np.arange(utterances), "utterances"
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(speaker, len(numbers)) for speaker in known]), "speakers"


def bootstrap_rate(
    errors: np.ndarray, words: np.ndarray, blocks: np.ndarray, unit: str, replicates: int = REPLICATES, seed: int = 0
) -> Interval:
    """Compute the interval of an error rate.

    Args:
        errors: (N,) errors of each utterance; for a difference of two systems, the differences.
        words: (N,) words of each reference.
        blocks: (N,) from `group_blocks`.
        unit: From there, too.
        replicates: How often as many blocks as there are get drawn.
        seed: Seed of the random numbers: equal seeds give equal intervals.

    Returns:
        Percentiles 2.5 and 97.5 of the replicates' rates.
    """
    rates = _draw_rates(np.stack([errors], 1), words, blocks, replicates, seed)[:, 0]
    low, high = np.percentile(rates, [2.5, 97.5]) if len(rates) else (math.nan, math.nan)
    return Interval(float(low), float(high), float(rates.std()), unit, len(np.unique(blocks)), replicates, seed)


@dataclass(frozen=True)
class Drawing:
    """Settings that all bootstraps of a report share.

    Attributes:
        blocks: (N,) int64 and `unit`, from `group_blocks`.
        unit: `speakers` or `utterances`.
        replicates: How many draws.
        seed: Seed of the random numbers.
    """

    blocks: np.ndarray
    unit: str
    replicates: int
    seed: int

    def rate(self, errors: np.ndarray, words: np.ndarray) -> Interval:
        """Compute the interval of an error rate, see `bootstrap_rate`."""
        return bootstrap_rate(errors, words, self.blocks, self.unit, self.replicates, self.seed)


def _draw_rates(errors: np.ndarray, words: np.ndarray, blocks: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Draw blocks with replacement: (N, S) errors → (replicates, S) rates.

    Blocks with equal counts are drawn as one with the sum of their chances, which gives the same distribution: a
    thousand hours of single utterances have no more than some thousand different counts.
    """
    number = int(blocks.max(initial=-1)) + 1
    sums = np.zeros((number, errors.shape[1] + 1), np.int64)
    np.add.at(sums, blocks, np.column_stack([errors, words]))
    rows, counts = np.unique(sums, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // max(1, len(rows)))
    parts = []
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn = generator.multinomial(number, counts / number, size=size) @ rows
        parts.append(drawn[:, :-1] / np.maximum(1, drawn[:, -1:]))
    return np.concatenate(parts) if parts else np.zeros((0, errors.shape[1]))


def compare_systems(
    a: np.ndarray, b: np.ndarray, words: np.ndarray, blocks: np.ndarray, unit: str, replicates: int, seed: int
) -> tuple[float, Interval, float, float]:
    """Compare two systems by paired bootstrap.

    Args:
        a: (N,) errors of the first.
        b: (N,) errors of the second.
        words: (N,) words of each reference.
        blocks: (N,) from `group_blocks`.
        unit: From there.
        replicates: How many draws.
        seed: Seed of the random numbers.

    Returns:
        Difference of the rates (b less a), its interval, the two-sided p-value, and the probability of improvement.
    """
    differences = b - a
    difference = float(differences.sum() / max(1, words.sum()))
    rates = _draw_rates(np.stack([differences], 1), words, blocks, replicates, seed)[:, 0]
    low, high = np.percentile(rates, [2.5, 97.5])
    interval = Interval(float(low), float(high), float(rates.std()), unit, len(np.unique(blocks)), replicates, seed)
    better, equal = float((rates < 0).mean()), float((rates == 0).mean())
    # One more on both sides: a smaller p-value needs more replicates.
    tail = min(better + equal, 1 - better)
    p_value = min(1.0, 2 * (tail * replicates + 1) / (replicates + 1))
    return difference, interval, p_value, better + equal / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of several tests by Holm's method; each stays in its place."""
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = largest
    return corrected


def mapsswe(slots_a: Sequence[np.ndarray], slots_b: Sequence[np.ndarray]) -> Mapsswe:
    """Test two systems by their errors in matched segments.

    Args:
        slots_a: For each utterance (2 · R + 1,) int64 errors at R reference words: insertions before the first word,
            error (0 or 1) at it, insertions after it, and so on.
        slots_b: The same of the second system.

    Returns:
        The test. Segments are NIST's: an utterance's end ends one, and so do two words in a row that both systems have
        right with nothing inserted between.
    """
    differences: list[int] = []
    for one, other in zip(slots_a, slots_b, strict=True):
        differences += _segment(one, other)
    number = len(differences)
    if number < 2:
        return Mapsswe(number, float(sum(differences)), 0.0, 0.0, 1.0)
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if deviation == 0 and mean:
        return Mapsswe(number, mean, deviation, None, 0.0)
    z = mean / (deviation / math.sqrt(number)) if deviation else 0.0
    return Mapsswe(number, mean, deviation, z, float(2 * norm.sf(abs(z))))


def _segment(one: np.ndarray, other: np.ndarray) -> list[int]:
    both = np.flatnonzero(one + other)
    if not len(both):
        return []
    found, left, right = [], int(one[both[0]]), int(other[both[0]])
    for before, at in zip(both[:-1].tolist(), both[1:].tolist(), strict=True):
        good_words = len(range(before + 1 + before % 2, at, 2))
        if good_words >= _MIN_GOOD_WORDS:
            found.append(left - right)
            left = right = 0
        left, right = left + int(one[at]), right + int(other[at])
    return [*found, left - right]


def hours_to_decide(difference: float, standard_error: float, hours: float | None) -> float | None:
    """Estimate the hours of speech with which a difference of this size would be shown (α 0.05, power 0.8)."""
    if not hours or not difference or not standard_error:
        return None
    needed = (norm.ppf(0.975) + norm.ppf(POWER)) * standard_error / abs(difference)
    return float(hours * needed**2)


def describe_comparison(
    a: str, b: str, difference: float, interval: Interval, p_value: float, test: float, hours: float | None
) -> str:
    """Say in a plain sentence what a comparison shows."""
    points = f"{abs(100 * difference):.2f} points"
    spread = f"95 % interval {100 * interval.low:+.2f} to {100 * interval.high:+.2f}"
    if not difference:
        return f"{b} and {a} make equally many errors ({spread})."
    better, worse = (b, a) if difference < 0 else (a, b)
    if p_value < 0.05 and test < 0.05:
        verdict = f"{better} is better than {worse} by {points}, and the difference is real"
    elif p_value < 0.05 or test < 0.05:
        verdict = f"{better} is probably better than {worse} by {points}: one test of two says so"
    else:
        verdict = f"{better} is ahead of {worse} by {points}, which may be chance"
    sentence = f"{verdict} ({spread}; bootstrap over {interval.unit} p = {p_value:.3g}, MAPSSWE p = {test:.3g})."
    if p_value >= 0.05 and hours is not None:
        sentence += f" About {_round_hours(hours)} of such speech would decide it."
    return sentence


def _round_hours(hours: float) -> str:
    if hours < 1:
        return f"{max(1, round(60 * hours))} minutes"
    return f"{hours:.1f} hours" if hours < 10 else f"{hours:,.0f} hours"

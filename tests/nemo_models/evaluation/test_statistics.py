"""Intervals and tests against Kaldi's published method and NIST's sc_stats."""

import math
import random
import re
import shutil
import subprocess

import numpy as np
import pytest

from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.options import LayerOptions
from nemo_models.evaluation.references import Reference
from nemo_models.evaluation.statistics import (
    bootstrap_rate,
    compare_systems,
    describe_comparison,
    group_blocks,
    holm,
    hours_to_decide,
    mapsswe,
)
from nemo_models.evaluation.word_errors import list_error_slots


def make_errors(count=400, seed=0):
    generator = np.random.default_rng(seed)
    words = generator.integers(3, 20, count)
    return generator.binomial(words, 0.2), words


def kaldi_interval(errors, words, replicates, seed):
    """Kaldi's compute-wer-bootci, written from its description: mean and 1.96 standard deviations of the replicates."""
    generator, rates = random.Random(seed), []
    for _ in range(replicates):
        chosen = [generator.randrange(len(errors)) for _ in errors]
        rates.append(sum(errors[n] for n in chosen) / sum(words[n] for n in chosen))
    mean = sum(rates) / replicates
    return mean, 1.96 * math.sqrt(sum(rate**2 for rate in rates) / replicates - mean**2)


def test_the_interval_agrees_with_kaldis():
    """The half width's Monte-Carlo error is 1/sqrt(2 · replicates): 1.6 % with 2,000, so 5 % is three of them."""
    errors, words = make_errors()
    mean, half_width = kaldi_interval(errors.tolist(), words.tolist(), 2000, seed=1)
    interval = bootstrap_rate(errors, words, np.arange(len(errors)), "utterances", 10_000)
    assert 1.96 * interval.standard_error == pytest.approx(half_width, rel=0.05)
    assert (interval.low + interval.high) / 2 == pytest.approx(mean, abs=0.1 * half_width)
    assert (interval.high - interval.low) / 2 == pytest.approx(half_width, rel=0.07)


def test_equal_seeds_give_equal_intervals():
    errors, words = make_errors()
    blocks = np.arange(len(errors))
    first, again, other = (bootstrap_rate(errors, words, blocks, "utterances", 500, seed) for seed in (1, 1, 2))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_speakers_that_differ_widen_the_interval():
    """Ten speakers, each with an error rate of their own: utterances of one are no independent evidence."""
    generator = np.random.default_rng(0)
    speakers = np.repeat(np.arange(10), 40)
    words = np.full(400, 10)
    errors = generator.binomial(words, np.linspace(0.05, 0.5, 10)[speakers])
    by_speaker = bootstrap_rate(errors, words, speakers, "speakers", 2000)
    by_utterance = bootstrap_rate(errors, words, np.arange(400), "utterances", 2000)
    assert by_speaker.high - by_speaker.low > 3 * (by_utterance.high - by_utterance.low)


def test_blocks_are_utterances_where_a_speaker_is_unknown_or_speakers_are_few():
    assert group_blocks(["a", "b", "c", "d", "e", "a"], 6)[1] == "speakers"
    assert group_blocks(["a", "b", "c", "d", "e", None], 6)[1] == "utterances"
    assert group_blocks(["a", "b", "a", "b"], 4)[1] == "utterances"


def test_an_interval_holds_the_true_rate_nineteen_times_in_twenty():
    """Of 200 test sets the count that holds it is binomial: outside 179 … 200 once in a hundred thousand times."""
    held = 0
    for seed in range(200):
        errors, words = make_errors(150, seed)
        interval = bootstrap_rate(errors, words, np.arange(150), "utterances", 400, seed)
        held += interval.low <= 0.2 <= interval.high
    assert held >= 176


def test_paired_bootstrap_and_probability_of_improvement():
    errors, words = make_errors()
    better = np.maximum(0, errors - (np.arange(400) % 4 == 0))
    difference, interval, p_value, improves = compare_systems(
        errors, better, words, np.arange(400), "utterances", 2000, 0
    )
    assert difference < interval.high < 0
    assert p_value < 0.01
    assert improves > 0.999
    difference, interval, p_value, improves = compare_systems(
        errors, errors, words, np.arange(400), "utterances", 200, 0
    )
    assert (difference, p_value, improves) == (0.0, 1.0, 0.5)


def test_the_paired_test_seldom_finds_a_difference_that_is_not_there():
    """At 5 % the number of false alarms in 200 is below 22 all but once in a thousand times."""
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        words = np.full(100, 10)
        one, other = generator.binomial(words, 0.2), generator.binomial(words, 0.2)
        alarms += compare_systems(one, other, words, np.arange(100), "utterances", 300, seed)[2] < 0.05
    assert alarms <= 22


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5]
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_hours_to_decide():
    """z of 1.4 has to become 1.96 + 0.84 = 2.80: four times the data."""
    assert hours_to_decide(0.014, 0.01, 10) == pytest.approx(40, rel=0.01)
    assert hours_to_decide(0.0, 0.01, 10) is None
    assert hours_to_decide(0.01, 0.01, None) is None


def test_sentences():
    errors, words = make_errors()
    interval = bootstrap_rate(errors, words, np.arange(400), "utterances", 200)
    assert describe_comparison("a", "b", -0.01, interval, 0.001, 0.001, 3.0).startswith(
        "b is better than a by 1.00 points, and the"
    )
    chance = describe_comparison("a", "b", 0.01, interval, 0.2, 0.3, 12.3)
    assert chance.startswith("a is ahead of b by 1.00 points, which may be chance")
    assert chance.endswith("About 12 hours of such speech would decide it.")
    assert "one test of two" in describe_comparison("a", "b", 0.01, interval, 0.01, 0.3, None)
    assert "equally many" in describe_comparison("a", "b", 0.0, interval, 1.0, 1.0, None)


def make_systems(count=300):
    """References, and two systems with errors of all kinds; every utterance ends with words that both know.

    sc_stats forgets words that only the second system inserts after the reference's last word; such ends have none.
    """
    chosen, words = random.Random(5), [f"w{number}" for number in range(200)]
    references, systems = [], ([], [])
    for _ in range(count):
        reference = [chosen.choice(words) for _ in range(chosen.randint(4, 14))]
        references.append([*reference, "end1", "end2"])
        for system, rate in zip(systems, (0.12, 0.2), strict=True):
            hypothesis = []
            for word in reference:
                kind = chosen.random()
                hypothesis += [] if kind < rate / 4 else ["x" + chosen.choice(words)] if kind < rate else [word]
                hypothesis += ["y" + chosen.choice(words)] if kind > 1 - rate / 6 else []
            system.append([*hypothesis, "end1", "end2"])
    return references, systems


@pytest.mark.skipif(shutil.which("sctk") is None, reason="sc_stats is not installed (Debian package sctk)")
def test_mapsswe_equals_sc_stats(tmp_path):
    """sc_stats prints three digits after the point; its segments, mean and deviation are ours."""
    references, systems = make_systems()
    for name, texts in (("ref", references), ("one", systems[0]), ("two", systems[1])):
        lines = [f"{' '.join(words)} (s-{number:05d})" for number, words in enumerate(texts)]
        (tmp_path / f"{name}.trn").write_text("\n".join(lines) + "\n", encoding="utf-8")
    aligned = ""
    for name in ("one", "two"):
        command = ["sctk", "sclite", "-s", "-i", "spu_id", "-r", "ref.trn", "trn", "-h", f"{name}.trn", "trn"]
        done = subprocess.run(
            [*command, "-o", "sgml", "stdout"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        aligned += done.stdout + "\n"
    command = ["sctk", "sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "-"]
    printed = subprocess.run(command, cwd=tmp_path, input=aligned, capture_output=True, text=True, check=True).stdout
    number = int(re.search(r"# segs: (\d+)", printed)[1])
    mean, deviation, z = (
        float(re.search(rf"{name}:\s*(-?[\d.]+)", printed)[1]) for name in ("mean", "std dev", "Z Stat")
    )
    slots = [score_slots(references, texts) for texts in systems]
    test = mapsswe(*slots)
    assert test.segments == number
    assert test.mean == pytest.approx(mean, abs=6e-4)
    assert test.standard_deviation == pytest.approx(deviation, abs=6e-4)
    assert test.z == pytest.approx(z, abs=6e-3)


def score_slots(references, hypotheses):
    texts = [" ".join(words) for words in hypotheses]
    return list_error_slots(LayeredScore([Reference(" ".join(words)) for words in references], texts, LayerOptions()))


def test_mapsswe_by_hand():
    references = [["a", "b", "c", "d", "e", "f", "g"]]
    slots = score_slots(references, [["a", "x", "c", "d", "e", "f"]])
    assert slots[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    other = score_slots(references, [["a", "b", "c", "d", "e", "f", "g", "h"]])
    assert other[0].tolist()[-1] == 1
    test = mapsswe(slots, other)
    assert (test.segments, test.mean) == (2, 0.5)
    assert mapsswe(slots, slots).p_value == 1.0

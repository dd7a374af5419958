"""Calibration against confidences whose truth is known by construction, and against scikit-learn's definitions."""

import numpy as np
import pytest

from nemo_models.evaluation.calibration import Calibration, fit_calibration, measure_calibration


def make_words(temperature, count=20_000, seed=0):
    """Words right with chance p, whose stated confidence has log-odds `temperature` times too large."""
    generator = np.random.default_rng(seed)
    chances = generator.uniform(0.05, 0.99, count)
    odds = np.log(chances / (1 - chances)) * temperature
    return 1 / (1 + np.exp(-odds)), generator.random(count) < chances


def test_honest_confidences_have_no_error():
    """With 2,000 words a bin the share of right ones is off by 0.011 at most in the mean."""
    assert measure_calibration(*make_words(1.0))["ece"] < 0.011


def test_the_temperature_is_found_again():
    """Its standard error with 20,000 words is below 0.03 (from ten seeds)."""
    confidences, correct = make_words(2.5)
    fitted = fit_calibration(confidences, correct)
    assert fitted.temperature == pytest.approx(2.5, abs=0.1)
    assert measure_calibration(confidences, correct)["ece"] > 0.1
    assert measure_calibration(fitted.apply(confidences), correct)["ece"] < 0.015


def test_isotonic_regression_mends_what_no_temperature_can():
    generator = np.random.default_rng(1)
    confidences = generator.random(20_000)
    correct = generator.random(20_000) < np.where(confidences < 0.5, 0.2, 0.7)
    fitted = fit_calibration(confidences, correct, "isotonic")
    assert measure_calibration(fitted.apply(confidences), correct)["ece"] < 0.03
    assert (np.diff(fitted.apply(np.linspace(0, 1, 101))) >= 0).all()


def test_words_of_equal_confidence_get_one_chance():
    fitted = fit_calibration([0.7, 0.7, 0.7, 0.7, 1.0], [False, True, False, True, True], "isotonic")
    assert fitted.apply([0.7, 1.0]).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_a_map_survives_being_stored(kind):
    confidences, correct = make_words(2.0, 500)
    fitted = fit_calibration(confidences, correct, kind)
    again = Calibration.from_dict(fitted.to_dict())
    assert (again.apply(confidences) == fitted.apply(confidences)).all()
    assert ((fitted.apply([0.0, 0.3, 1.0]) >= 0) & (fitted.apply([0.0, 0.3, 1.0]) <= 1)).all()


def test_auc_by_counting_pairs():
    confidences, correct = make_words(1.0, 300)
    pairs = [(a > b) + (a == b) / 2 for a in confidences[correct] for b in confidences[~correct]]
    assert measure_calibration(confidences, correct)["auc"] == pytest.approx(np.mean(pairs))
    assert measure_calibration([0.5, 0.6], [True, True])["auc"] is None


def test_ece_by_hand():
    measured = measure_calibration([0.95, 0.95, 0.15], [True, False, False])
    assert measured["ece"] == pytest.approx((2 * 0.45 + 1 * 0.15) / 3)
    assert [row["words"] for row in measured["bins"]] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]


def test_bad_input():
    with pytest.raises(
        ValueError, match=r"calibration=temperature: found 2 right words of 2, expected right and wrong"
    ):
        fit_calibration([0.5, 0.6], [True, True])
    with pytest.raises(ValueError, match=r"calibration=platt: expected one of temperature, isotonic"):
        fit_calibration([0.5, 0.6], [True, False], "platt")
    with pytest.raises(ValueError, match=r"confidence_calibration.kind=None"):
        Calibration.from_dict({})

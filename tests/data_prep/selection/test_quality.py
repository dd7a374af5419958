import math
from dataclasses import replace

import pytest

from data_prep.audio.measures import AudioMeasures
from data_prep.selection.quality import (
    ERROR_REASONS,
    POLICY_REASONS,
    REASONS,
    QualityLimits,
    check_alignment,
    check_duration,
    check_signal,
    check_speaking_rate,
    check_text,
    check_utterance,
)
from data_prep.text.alphabet import load_alphabet
from project import ROOT


def test_alignment_is_refused_by_one_frame():
    assert check_alignment(400 + 320, "कख") is None
    assert check_alignment(400 + 319, "कख") == (
        "ctc_infeasible",
        "1 encoder frames, 2 needed by 2 labels and their repeats",
    )
    assert check_alignment(400 + 320, "कक")[0] == "ctc_infeasible"


def test_durations_have_inclusive_limits():
    assert check_duration(8000, 0.5, 30.0) is None and check_duration(480_000, 0.5, 30.0) is None
    assert check_duration(7999, 0.5, 30.0) == ("too_short", "0.500 s, min_duration is 0.5 s")
    assert check_duration(480_001, 0.5, 30.0)[0] == "too_long"
    assert check_duration(0, 0.0, 30.0)[0] == "empty_audio"


def test_texts():
    assert check_text("नमस्ते दुनिया", load_alphabet()) is None
    assert check_text("", load_alphabet())[0] == "empty_text"
    assert check_text("१क1", load_alphabet()) == ("numbers", "U+0967 DEVANAGARI DIGIT ONE, U+0031 DIGIT ONE")
    assert check_text("बंसीे", load_alphabet()) == (
        "malformed_text",
        "U+0947 DEVANAGARI VOWEL SIGN E has no letter to belong to",
    )


def test_a_reason_is_an_error_or_policy_never_both_and_is_documented():
    assert not ERROR_REASONS.keys() & POLICY_REASONS.keys()
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    assert not [reason for reason in REASONS if f"`{reason}`" not in page]


GOOD = AudioMeasures(samples=32000, digest="", level_db=-20.0, clipped=0.0, snr_db=20.0)


@pytest.mark.parametrize(
    ("measures", "limits", "fault"),
    [
        ({"level_db": -60.1}, {}, ("silent_audio", "-60.1 dBFS, min_level is -60 dBFS")),
        ({"level_db": -math.inf}, {}, ("silent_audio", "every sample is 0, min_level is -60 dBFS")),
        ({"level_db": -60.0}, {}, None),
        ({"level_db": -math.inf}, {"min_level": None}, None),
        ({"clipped": 0.0201}, {}, ("clipped_audio", "2.01% of the samples, max_clipped is 2.00%")),
        ({"clipped": 0.02}, {}, None),
        ({"clipped": 1.0}, {"max_clipped": None}, None),
        ({"snr_db": 4.9}, {"min_snr": 5}, ("low_snr", "about 4.9 dB, min_snr is 5 dB")),
        ({"snr_db": 5.0}, {"min_snr": 5}, None),
        ({"snr_db": None}, {"min_snr": 5}, None),
        ({"snr_db": -20.0}, {}, None),
        ({"not_finite": 3}, {}, ("not_finite_audio", "3 samples are NaN or infinite")),
    ],
)
def test_signals(measures, limits, fault):
    assert check_signal(replace(GOOD, **measures), QualityLimits(**limits)) == fault


def test_the_speaking_rate_has_inclusive_limits():
    limits = QualityLimits(min_characters_per_second=2, max_characters_per_second=4)
    found = {length: check_speaking_rate(32000, "क" * length, limits) for length in (3, 4, 8, 9)}
    assert found[4] is found[8] is None
    assert found[3] == ("speaking_rate", "1.5 characters a second, expected 2 to 4") and found[9][0] == "speaking_rate"
    assert check_speaking_rate(32000, "", QualityLimits(min_characters_per_second=None)) is None


def test_the_first_check_in_order_is_the_reason():
    def check(text: str, **measures) -> str | None:
        fault = check_utterance(replace(GOOD, **measures), text, load_alphabet(), QualityLimits())
        assert fault is None or fault[0] in REASONS
        return fault and fault[0]

    assert check("कमल खिला") is None
    assert check("5", samples=800, level_db=-99.0) == "too_short"
    assert check("5", level_db=-99.0) == "silent_audio"
    assert check("5") == "numbers"
    assert check("क" * 80) == "ctc_infeasible"
    assert check("कमल" * 25) == "speaking_rate"


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ({"min_duration": None}, "min_duration=None"),
        ({"max_clipped": 1.5}, "max_clipped=1.5: expected a share from 0 to 1"),
        ({"min_snr": "high"}, "min_snr=high: expected a number of decibels"),
        ({"min_level": math.nan}, "min_level=nan"),
        ({"min_characters_per_second": 40}, "min_characters_per_second=40, max_characters_per_second=30"),
        ({"max_characters_per_second": True}, "max_characters_per_second=True"),
    ],
)
def test_wrong_limits_are_named(limits, fault):
    with pytest.raises(ValueError, match=fault):
        QualityLimits(**limits)

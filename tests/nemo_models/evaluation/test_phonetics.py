"""Classes of confusions, by examples."""

import pytest

from nemo_models.evaluation.phonetics import CLASSES, classify_substitution, count_classes, count_letters


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("दिन", "दीन", "vowel_length"),
        ("कम", "काम", "vowel_length"),
        ("सुना", "सूना", "vowel_length"),
        ("में", "मैं", "vowel_quality"),
        ("की", "के", "vowel_quality"),
        ("काल", "खाल", "aspiration"),
        ("बात", "भात", "aspiration"),
        ("टाल", "ताल", "retroflex"),
        ("गणना", "गनना", "retroflex"),
        ("काल", "गाल", "voice"),
        ("है", "हैं", "nasality"),
        ("नाम", "नान", "nasality"),
        ("बच्चा", "बचा", "gemination"),
        ("पता", "पत्ता", "gemination"),
        ("शाम", "साम", "sibilant"),
        ("किताब", "मकान", "other"),
        ("यहाँ", "वहां", "other"),
    ],
)
def test_classes(reference, hypothesis, expected):
    assert classify_substitution(reference, hypothesis) == expected
    assert classify_substitution(hypothesis, reference) == expected


def test_counts_cover_all_classes():
    counts = count_classes({("दिन", "दीन"): 3, ("काल", "खाल"): 2})
    assert list(counts) == list(CLASSES)
    assert (counts["vowel_length"], counts["aspiration"], counts["other"]) == (3, 2, 0)


def test_letters_that_a_rule_forgives_are_no_confusion():
    letters = count_letters({("दिन", "दीन"): 3, ("ज़मीन", "जमीना"): 2})
    assert letters == {("ि", "ी"): 3, ("", "ा"): 2}

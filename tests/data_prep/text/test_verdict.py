"""One verdict on a text, with one set of reason codes for every job."""

import pytest

from data_prep.selection.quality import REASONS, check_text
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import TEXT_REASONS, judge

UNFIT = {
    "empty_text": "।",
    "annotation": "[हँसी] राम",
    "abbreviation": "सं. राम",
    "latin": "OK राम",
    "numbers": "10 राम",
    "outside_alphabet": "राम ௐ",
    "malformed_text": "बंसीे",
}


def test_every_reason_has_a_text_and_is_a_reason_of_data_preparation():
    for reason, written in UNFIT.items():
        text = normalize_text(written, TextPolicy())
        fault = judge(text)
        assert fault.reason == reason and fault.detail
        assert check_text(text, frozenset("राम आया")) is not None
    assert set(UNFIT) | {"spacing"} == set(TEXT_REASONS) and TEXT_REASONS.keys() <= REASONS.keys()


def test_the_first_reason_in_order_is_given():
    for first, second in zip(list(UNFIT)[1:], list(UNFIT)[2:], strict=False):
        text = normalize_text(f"{UNFIT[second]} {UNFIT[first]}", TextPolicy())
        assert judge(text).reason == first


@pytest.mark.parametrize("text", [" राम", "राम ", "राम  आया"])
def test_spaces_that_the_normaliser_would_remove(text: str):
    assert judge(text).reason == "spacing" and judge(normalize_text(text)) is None


@pytest.mark.parametrize("collection", [list, tuple, set, frozenset, str])
def test_any_collection_is_an_alphabet(collection):
    labels = "".join("राम ") if collection is str else collection("राम ")
    assert judge("राम", labels) is None and judge("रात", labels).offending == ("U+0924 DEVANAGARI LETTER TA",)


def test_full_stops_of_a_text_that_is_not_normalised_are_outside_the_alphabet():
    assert judge("वह घर गया।").reason == "outside_alphabet"
    assert judge("वह घर गया.").offending == ("U+002E FULL STOP",)

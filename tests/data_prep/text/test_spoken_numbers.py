"""How often numbers, abbreviations and visargas are read rightly, on a table that was written before the rules were."""

import pytest

from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge
from project import ROOT

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")

TABLE = ROOT / "tests" / "assets" / "spoken_numbers.tsv"
MOST_WRONG, MOST_REJECTED = 0.01, 0.10
# Spellings of one word, which are not what is measured.
SAME_WORDS = (("ँ", "ं"), ("\u093c", ""), ("छः", "छह"), ("चौवालीस", "चवालीस"), ("रुपए", "रुपये"), ("फीट", "फुट"))


def fold(text: str) -> str:
    text = normalize_text(text)
    for written, kept in SAME_WORDS:
        text = text.replace(written, kept)
    return text


def read_table() -> list[tuple[str, list[str]]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [line.split("\t") for line in lines]
    return [(written, [fold(spoken) for spoken in readings.split(" / ")]) for written, readings in pairs]


def test_few_readings_are_wrong_and_few_texts_are_rejected():
    policy, pairs = TextPolicy(numbers="verbalize"), read_table()
    wrong, rejected = [], []
    for written, readings in pairs:
        text = normalize_text(written, policy)
        if fault := judge(text, policy=policy):
            rejected.append((written, fault.reason))
        elif fold(text) not in readings:
            wrong.append((written, text))
    assert len(pairs) >= 300
    assert len(wrong) <= MOST_WRONG * len(pairs), wrong
    assert len(rejected) <= MOST_REJECTED * len(pairs), rejected

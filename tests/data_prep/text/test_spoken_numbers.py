"""How often numbers, abbreviations and visargas are read rightly, on tables that were written before the rules were."""

from pathlib import Path

import pytest

from data_prep.text.normalizer import normalize_text
from data_prep.text.number_words import SPELLINGS
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge
from project import ROOT

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")

TABLES = [ROOT / "tests" / "assets" / name for name in ("spoken_numbers.tsv", "unseen_numbers.tsv")]
MOST_WRONG, MOST_REJECTED = 0.01, 0.10
NO_READING = "-"
# Spellings of one word, which are not what is measured.
SAME_WORDS = (("ँ", "ं"), ("\u093c", ""))
SAME = SPELLINGS | {"फीट": "फुट", "फीसदी": "प्रतिशत", "अट्ठावन": "अठावन", "प्वाइंट": "दशमलव"}


def strip_marks(text: str) -> str:
    for written, kept in SAME_WORDS:
        text = text.replace(written, kept)
    return text


SAME_FORMS = {strip_marks(normalize_text(written)): strip_marks(normalize_text(kept)) for written, kept in SAME.items()}
ORDINAL_ENDINGS = ("", *map(strip_marks, map(normalize_text, ("वां", "वीं", "वें"))))


def fold(text: str) -> str:
    return " ".join(map(fold_word, strip_marks(normalize_text(text)).split()))


def fold_word(word: str) -> str:
    for ending in ORDINAL_ENDINGS:
        stem = word.removesuffix(ending)
        if word.endswith(ending) and stem in SAME_FORMS:
            return SAME_FORMS[stem] + ending
    return word


def read_table(path: Path) -> list[tuple[str, list[str]]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [line.split("\t") for line in lines]
    return [(written, [fold(spoken) for spoken in readings.split(" / ")]) for written, readings in pairs]


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_few_readings_are_wrong_and_few_texts_are_rejected(path: Path):
    policy, pairs = TextPolicy(numbers="verbalize"), read_table(path)
    wrong, rejected = [], []
    for written, readings in pairs:
        text = normalize_text(written, policy)
        if fault := judge(text, policy=policy):
            if readings != [fold(NO_READING)]:
                rejected.append((written, fault.reason))
        elif fold(text) not in readings:
            wrong.append((written, text))
    assert len(pairs) >= 500
    assert len(wrong) <= MOST_WRONG * len(pairs), wrong
    assert len(rejected) <= MOST_REJECTED * len(pairs), rejected

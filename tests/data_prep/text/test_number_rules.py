"""Every way of writing a number, and how it is said; the expected words were written for this project."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.number_rules import NUMBER_RULES
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge
from project import ROOT

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")

READINGS = ROOT / "tests" / "assets" / "number_readings.txt"
LINES = [line for line in READINGS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
CASES = [tuple(line.split(" | ")) for line in LINES]

# More than one reading, or none: the line has to be rejected.
UNSAID = """
4:3 | 5.2.1 | 11/2 | 22/7 | 36-24-36 | 2+2 | 5×3 | 5 > 3 | 2^3 | 5*3 | 10 # 5 | #1 | @5 | -5 | .5 | 5/6/19 | 31/12/99
32/01/2019 | 25:61 | 1,00,00 | इड०४ | १ ९०७ | 1 9वें | 192.168.1.1 | ₹ | % | 5'6 | 12/0 | 5 & 6 | ٣ | 5² | 25/13/2019
6/2=3 | 30/02/2020 | 10:99 बजे | 2000-01 | 1999-00 | 250/7 | 1:1
बाइबल 3:16 में | गीता 2:47 का श्लोक | 9:58 सेकंड | >50 वर्ष | < 5 | 11-2024 | 2024-11 | 2/3 दिन | 5/6 को | 3/8 बजे | 5/12 को
11 / 2 मील | 10-12वीं | 10:75
10-12वीं कक्षा | १ , १०० सीढ़ियाँ | घटकर - 1.61 तक | 5:75 मिनट | >₹500 | 30 से. तक | 15 मि. में | 5 in
20/25 लोग | 1/3 | ₹1.500 | ¥100.48 | 1981वीं | दिल्ली 110092 | गीता 2.47 में | धारा 5.2 के तहत | संदर्भ 4521876390 देखें
पहली पारी में 245/8 | फ़ाइल 1234/2019 | 24x7 | बी12 | आई20 कार | जी-20 | 50 किमी/घं | जून'23 में | 32" टीवी
25°36' उत्तर | यूपी 32 एबी 1234 | फ़ोन 0522-2345678, 23456780 | 1947 | 1993 तक्षक | 3 , 200 मी | 5 वे दिन | गीता 4.7-8 पढ़ें
"1984" उपन्यास | 343 मी./से. की गति | न. 5 में | 01 ला | 3·5 | पत्रांक 452/स्था | 15/बी | 1234,567
5 सितंबर '62 को | इंडिया 2.0 लॉन्च
गेंदबाज़ ने 4/25 लिए | कोहली ने 3/42 झटके | वह 4/25 पर था | 12/15 छात्र पास हुए | 5/10 में से | रेटिंग 4/5
"""
REJECTED = [text.strip() for text in re.split(r"[|\n]", UNSAID.strip())]


VERBALIZE = TextPolicy(numbers="verbalize")


def say(text: str) -> str:
    return normalize_text(text, VERBALIZE)


def test_the_table_is_long_enough():
    assert len(CASES) == len({written for written, _ in CASES}) >= 150


@pytest.mark.parametrize(("written", "said"), CASES)
def test_said(written: str, said: str):
    assert say(written) == normalize_text(said)
    assert judge(say(written), policy=VERBALIZE) is None and not set(say(written)) - set(load_alphabet())


@pytest.mark.parametrize("written", REJECTED)
def test_numbers_with_several_readings_are_rejected(written: str):
    fault = judge(say(written), policy=VERBALIZE)
    assert fault and fault.reason in ("numbers", "outside_alphabet", "abbreviation", "latin") and fault.offending


@given(st.text(st.sampled_from("0123456789०१२५९,.:/-–+₹%° कमवीं½")))
@settings(max_examples=1000, deadline=None)
def test_said_once_or_rejected(text: str):
    once = say(text)
    if not judge(once, policy=VERBALIZE):
        assert say(once) == once
        assert not set(once) - set(load_alphabet())


@given(st.text(st.sampled_from("अआकखमरवाीोंँ़् ।,!?-")))
@settings(max_examples=500, deadline=None)
def test_text_without_numbers_is_left_alone(text: str):
    assert say(text) == normalize_text(text, TextPolicy())
    for _, rule in NUMBER_RULES:
        assert rule(text) == text

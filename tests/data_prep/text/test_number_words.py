"""Hindi words for plain numbers, against a list and against the grammars."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text import grammars
from data_prep.text.number_words import MAX_CARDINAL, say_cardinal, say_digits, say_year

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")

# The Central Hindi Directorate's list, in this project's spelling.
TO_NINETY_NINE = re.findall(
    r"\S+",
    """
    शून्य एक दो तीन चार पाँच छह सात आठ नौ
    दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस
    बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस
    तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस
    चालीस इकतालीस बयालीस तैंतालीस चवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास
    पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ
    साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर
    सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी
    अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अठासी नवासी
    नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे
    """,
)


def test_cardinals_to_ninety_nine():
    assert [say_cardinal(value) for value in range(100)] == TO_NINETY_NINE


def compose(value: int) -> str:
    """The reference: scales from the largest down, below a hundred from the list."""
    words = []
    for scale, name in (
        (10**11, "खरब"),
        (10**9, "अरब"),
        (10**7, "करोड़"),
        (10**5, "लाख"),
        (1000, "हज़ार"),
        (100, "सौ"),
    ):
        count, value = divmod(value, scale)
        words += [TO_NINETY_NINE[count], name] if count else []
    return " ".join([*words, TO_NINETY_NINE[value]] if value or not words else words)


@given(st.integers(0, MAX_CARDINAL) | st.integers(0, 100_000))
@settings(max_examples=500, deadline=None)
def test_cardinals_of_any_size(value: int):
    assert say_cardinal(value) == compose(value)
    with pytest.raises(ValueError, match="expected 0"):
        say_cardinal(MAX_CARDINAL + 1 + value)


def test_cardinals_agree_with_the_grammars():
    generator = random.Random(0)
    for value in [*range(0, 100, 7), *(generator.randrange(10**size) for size in range(3, 12) for _ in range(3))]:
        assert grammars.say_span(str(value)) == say_cardinal(value)


def test_years_agree_with_the_grammars():
    for year in (1100, 1526, 1857, 1900, 1905, 1947, 1999, 2000, 2019, 2024):
        assert grammars.say_span(f"सन् {year}") == f"सन् {say_year(year)}"


def test_digits_one_by_one():
    assert say_digits("1०-9") == "एक शून्य नौ"

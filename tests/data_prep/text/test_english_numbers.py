"""English numbers with signs: which spans are said, which are left, and what the grammars say."""

import pytest

from data_prep.text import english_numbers, grammars, policy
from data_prep.text.normalizer import fingerprint_numbers, normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The spans that the grammars are asked for; they say each with the same words."""
    asked: list[str] = []

    def say(span: str, language: str) -> str:
        asked.append(span)
        return "so many"

    monkeypatch.setattr(english_numbers, "say_span", say)
    return asked


@pytest.mark.parametrize(
    ("written", "expected", "asked"),
    [
        ("4.5 km long", "SO MANY LONG", "4.5 km"),
        ("50% of it", "SO MANY OF IT", "50%"),
        ("a 21st time", "A SO MANY TIME", "21st"),
        ("$1,000, he said", "SO MANY HE SAID", "$1,000"),
        ("£3 million", "SO MANY", "£3 million"),
        ("in the '90s", "IN THE SO MANY", "90s"),
        ("the 1990s", "THE SO MANY", "1990s"),
        ("at 10:30 a.m. we", "AT SO MANY A M WE", "10:30"),
        ("20°C.", "SO MANY", "20°c"),
    ],
)
def test_a_span_with_one_reading_is_said(spans: list[str], written: str, expected: str, asked: str):
    text = normalize_text(written, TextPolicy("verbalize", language="en"))
    assert (text, spans) == (expected, [asked])
    assert normalize_text(text, TextPolicy("verbalize", language="en")) == text


@pytest.mark.parametrize(
    "written",
    [
        *("25 May", "May 25, 2019", "21 ft", "5 m", "$5.20", "10:30", "9:05 pm", "13:30 pm", "1th", "11st", "5%-6%"),
        *("-5.5", "3.14.15", "the 2000s", "1/2", "555-1234", "₹500"),
    ],
)  # fmt: skip
def test_a_number_with_several_readings_or_none_rejects_the_text(spans: list[str], written: str):
    chosen = TextPolicy("verbalize", language="en")
    fault = judge(normalize_text(f"at {written} there", chosen), None, chosen)
    assert fault and fault.reason == "numbers"
    assert not spans


def test_words_of_the_grammars_that_are_no_words_are_not_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(english_numbers, "say_span", lambda span, language: span)
    chosen = TextPolicy("verbalize", language="en")
    fault = judge(normalize_text("50% of it", chosen), None, chosen)
    assert fault and fault.reason == "numbers"


def test_without_the_extra_it_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy, "_check_grammars", grammars.check_grammars)
    monkeypatch.setattr(grammars.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"numbers=verbalize: expected nemo_text_processing.*'\.\[numbers\]'"):
        TextPolicy("verbalize", language="en")
    assert TextPolicy("verbalize", language="ta").numbers == "verbalize"  # needs no grammars


def test_the_fingerprint_of_numbers_names_the_library():
    assert fingerprint_numbers(TextPolicy("verbalize", language="en")).startswith("plain-1-en-1-")
    assert fingerprint_numbers(TextPolicy("verbalize", language="ta")) == "plain-1"
    assert fingerprint_numbers(TextPolicy(language="en")) == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("4.5 km", "FOUR POINT FIVE KILOMETERS"),
        ("50%", "FIFTY PERCENT"),
        ("112th", "ONE HUNDRED TWELFTH"),
        ("$5", "FIVE DOLLARS"),
        ("the 1990s", "THE NINETEEN NINETIES"),
        ("10:30 PM", "TEN THIRTY P M"),
        ("60 mph", "SIXTY MILES PER HOUR"),
    ],
)
def test_the_grammars_say_these(written: str, expected: str):
    if not all((grammars.find_grammar_cache("en") / name).is_file() for name in grammars.list_archives("en")):
        pytest.skip("building the English grammars takes a minute; numbers=verbalize with language=en does it once")
    chosen = TextPolicy("verbalize", language="en")
    text = normalize_text(written, chosen)
    assert text == expected and judge(text, None, chosen) is None

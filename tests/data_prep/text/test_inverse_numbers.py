"""Numbers written in digits: what the grammars say is kept apart from what a reader wants."""

import pytest

from data_prep.text import inverse_numbers
from data_prep.text.grammars import find_grammar_cache
from data_prep.text.inverse_numbers import ARCHIVE, make_number_writer, write_numbers

# What nemo_text_processing 1.2.0 writes for the words around numbers.
GRAMMARS = {
    "एक लाख पच्चीस हज़ार रुपये मिले": "₹१२५००० मिले",
    "पच्चीस मई दो हज़ार उन्नीस को": "२५ मई, २०१९ को",
    "साढ़े दस बजे": "१०:३०",
    "मेरा नंबर नौ आठ सात छह पाँच चार तीन दो एक शून्य है": "मेरा नंबर ९८७६५४३२१० है",
    "उन्नीस सौ सैंतालीस में भारत": "१९४७ में भारत",
    "मुझे पाँच किताबें दो": "मुझे ५ किताबें २",
    "वह एक अच्छा लड़का": "वह १ अच्छा लड़का",
    "मुझे डेढ़ किलो आटा": "मुझे १.५ kg आटा",
}


class Recorded:
    def inverse_normalize(self, text: str, verbose: bool) -> str:
        return GRAMMARS[text]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("एक लाख पच्चीस हज़ार रुपये मिले", "₹१२५००० मिले"),
        ("साढ़े दस बजे", "१०:३०"),
        ("पच्चीस मई दो हज़ार उन्नीस को", "२५ मई, २०१९ को"),
        ("उन्नीस सौ सैंतालीस में भारत आज़ाद हुआ", "१९४७ में भारत आज़ाद हुआ"),
        ("मेरा नंबर नौ आठ सात छह पाँच चार तीन दो एक शून्य है", "मेरा नंबर ९८७६५४३२१० है"),
        ("मुझे डेढ़ किलो आटा दीजिए", "मुझे १.५ kg आटा दीजिए"),
        ("मुझे पाँच किताबें दो", "मुझे पाँच किताबें दो"),
        ("वह एक अच्छा लड़का है", "वह एक अच्छा लड़का है"),
    ],
)
def test_numbers_are_written_and_lone_small_ones_stay_words(spoken, written):
    """`दो` is "two" and "give", `एक` "one" and "a": a lone number below ten stays a word."""
    assert write_numbers(Recorded(), spoken) == written
    assert write_numbers(Recorded(), spoken, "ascii") == written.translate(str.maketrans("०१२३४५६७८९", "0123456789"))


def test_text_without_numbers_never_reaches_the_grammars():
    for text in ("", "आज मौसम बहुत अच्छा है", "शब्द " * 10_000):
        assert write_numbers(None, text) == text.strip()


def test_an_hour_of_text_is_written_span_by_span():
    spoken = " ".join(["साढ़े दस बजे", *["और"] * 1000] * 20)
    grammars = {"और और साढ़े दस बजे और": "और और १०:३० और", "साढ़े दस बजे और": "१०:३० और"}

    class Spans:
        def inverse_normalize(self, text: str, verbose: bool) -> str:
            return grammars[text]

    assert write_numbers(Spans(), spoken) == spoken.replace("साढ़े दस बजे", "१०:३०")


def test_spans_with_too_many_readings_stay_as_they_were_spoken():
    class Failing:
        def inverse_normalize(self, text: str, verbose: bool) -> str:
            raise ValueError("Could not split token list")

    assert write_numbers(Failing(), "दस बीस") == "दस बीस"


def test_unknown_digits_and_missing_grammars_are_errors(monkeypatch):
    with pytest.raises(ValueError, match="itn_digits=roman: expected one of devanagari, ascii"):
        make_number_writer("roman")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="itn=true: expected nemo_text_processing"):
        make_number_writer()


def test_the_grammars_say_what_was_recorded():
    pytest.importorskip("nemo_text_processing")
    folder = find_grammar_cache("hi-inverse")
    if not (folder / ARCHIVE).is_file():
        pytest.skip("building the inverse grammars takes more than a minute; itn=true does it once")
    grammars = inverse_numbers._make_normalizer(folder)
    assert {spoken: grammars.inverse_normalize(spoken, verbose=False) for spoken in GRAMMARS} == GRAMMARS

"""References with several wordings, in brackets and as OIWER's lists."""

import pytest

from nemo_models.evaluation.references import Choice, Reference, read_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("शोर [बंद/बन्द] करना", Reference("शोर बंद करना", (Choice(1, 2, ("बन्द",)),))),
        ("[सौंदर्य/[सौन्दरय/सौन्दर्य]] है", Reference("सौंदर्य है", (Choice(0, 1, ("सौन्दरय", "सौन्दर्य")),))),
        ("वह [रेल गाड़ी/रेलगाड़ी] है", Reference("वह रेल गाड़ी है", (Choice(1, 3, ("रेलगाड़ी",)),))),
        ("[1/2] भाग", Reference("[1/2] भाग")),
        ("[ क / ख ]", Reference("[ क / ख ]")),
        ("10/12 [नोट]", Reference("10/12 [नोट]")),
        ("", Reference("")),
    ],
)
def test_brackets(text, reference):
    assert read_reference({"text": text}) == reference


def test_lists_of_wordings():
    row = {"text": "कुल 25 रुपए", "variations": [["कुल"], ["पच्चीस", "25"], ["रुपये", "रुपए"]]}
    assert read_reference(row) == Reference("कुल 25 रुपए", (Choice(1, 2, ("पच्चीस",)), Choice(2, 3, ("रुपये",))))


def test_lists_that_are_no_words_of_the_text_count_by_their_first_wording():
    row = {"text": "उत्तरप्रदेश में", "variations": [["उत्तर प्रदेश", "उत्तरप्रदेश"], ["में"], ["", "है"]]}
    assert read_reference(row) == Reference("उत्तर प्रदेश में", (Choice(0, 2, ("उत्तरप्रदेश",)),))


@pytest.mark.parametrize("variations", ["बंद", [["क"], "ख"], [[1]], [[]]])
def test_other_variations_are_refused(variations):
    with pytest.raises(ValueError, match=r"variations: found .*, expected a list of lists of wordings"):
        read_reference({"text": "क", "variations": variations})


def test_a_missing_text_is_refused():
    with pytest.raises(ValueError, match="text: found None, expected a text"):
        read_reference({})

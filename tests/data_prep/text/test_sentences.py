"""Paragraphs into sentences."""

import pytest

from data_prep.text.normalizer import normalize_text
from data_prep.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("वह गया। वह आया", ["वह गया।", "वह आया"]),
        ("क्या? हाँ! ठीक है॥", ["क्या?", "हाँ!", "ठीक है॥"]),
        ("वह गया . वह आया .", ["वह गया .", "वह आया ."]),
        ("यह है. वह था.", ["यह है.", "वह था."]),
        ("डॉ. राम आए. वे के. एल. राहुल से मिले.", ["डॉ. राम आए.", "वे के. एल. राहुल से मिले."]),
        ("पाँच कि.मी. दूर. उ.प्र. में.", ["पाँच कि.मी. दूर.", "उ.प्र. में."]),
        ("सं. राम आया", ["सं. राम आया"]),
        ("3.5 लोग. 2.5 दिन", ["3.5 लोग.", "2.5 दिन"]),
        ('उसने कहा "चलो।" फिर गया', ['उसने कहा "चलो।"', "फिर गया"]),
        ("एक|दो", ["एक|", "दो"]),
        ("राम आया; 5 लोग थे … फिर", ["राम आया;", "5 लोग थे …", "फिर"]),
        ("राम आया||5 लोग||सीता", ["राम आया||", "5 लोग||", "सीता"]),
        ("hello world. राम आया. Dr. राम", ["hello world.", "राम आया.", "Dr. राम"]),
        ("सन 1947. वह 10. 30 बजे J. K. Rowling", ["सन 1947.", "वह 10. 30 बजे J. K. Rowling"]),
        ("", []),
        ("।", ["।"]),
    ],
)
def test_sentences(text: str, sentences: list[str]):
    assert split_sentences(text) == sentences
    assert normalize_text(" ".join(sentences)) == normalize_text(text), "no word is lost"

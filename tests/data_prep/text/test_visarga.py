"""A visarga typed as a colon is one where a known word needs it."""

import pytest

from data_prep.text.normalizer import normalize_text
from data_prep.text.visarga import FINAL, INSIDE

_RESTORED = (
    "अध:पतन अधःपतन | नम: शिवाय नमः शिवाय | अक्षरश: सत्य अक्षरशः सत्य | मन:स्थिति मनःस्थिति | नि:संदेह निःसंदेह | दु:ख दुःख | "
    "अंत:करण अंतःकरण | अन्त:पुर अन्तःपुर | पुन:प्रयास पुनःप्रयास | चतु:षष्टि चतुःषष्टि | स्वभावत: स्वभावतः | "
    "शनै: शनै: शनैः शनैः | यश:काय यशःकाय | "
    "सहजत: सहजतः | तत: ततः | पंक्तिश: पंक्तिशः | चतु:पक्षीय चतुःपक्षीय | अत： अतः"
)
RESTORED = _RESTORED.split(" | ")
_COLONS = (
    "देश:मोदी | समय: दस | भारत: एक | बात: यह | रात: दस | मन:मोहन | मन: शांत है | कुछ: नहीं | दु:राम | परत: एक | "
    "समय： दस | संकेत: यह"
)
COLONS = _COLONS.split(" | ")


@pytest.mark.parametrize("pair", RESTORED)
def test_known_words_get_their_visarga(pair: str):
    words = pair.split()
    written, meant = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    assert normalize_text(written) == meant == normalize_text(meant)


@pytest.mark.parametrize("written", COLONS)
def test_other_colons_are_punctuation(written: str):
    assert normalize_text(written) == " ".join(written.replace(":", " ").replace("：", " ").split())


def test_the_lists_hold_each_word_once():
    assert len(FINAL) == len(set(FINAL)) > 80
    assert all(letters and set(letters) <= set("कखपफशषसतथ") for letters in INSIDE.values())

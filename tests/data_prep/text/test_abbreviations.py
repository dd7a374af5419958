"""Abbreviations: those with one reading are expanded, the others rejected, none left as a fragment."""

import pytest

from data_prep.text.abbreviations import AMBIGUOUS, BARE, EXPANSIONS, LETTER_NAMES, SHORT_WORDS, TITLES
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge

EXPANDED = """
डॉ. राम आए | डॉक्टर राम आए
डॉ॰ राम | डॉक्टर राम
डॉ० राम | डॉक्टर राम
डॉ राम | डॉक्टर राम
डॉ . राम | डॉक्टर राम
डा. राम | डॉक्टर राम
प्रो. यशपाल, पं. नेहरू | प्रोफ़ेसर यशपाल पंडित नेहरू
इं. राम | इंजीनियर राम
मो. नं. दस | मोबाइल नंबर दस
लेफ्टि. कर्नल सिंह | लेफ़्टिनेंट कर्नल सिंह
प्रो.(डॉ.) राम | प्रोफ़ेसर डॉक्टर राम
छ.ग. में | छत्तीसगढ़ में
ले. जनरल सिंह | लेफ़्टिनेंट जनरल सिंह
उ.प्र. और म. प्र. में | उत्तर प्रदेश और मध्य प्रदेश में
उ०प्र० में | उत्तर प्रदेश में
दस कि.मी. दूर | दस किलोमीटर दूर
दस कि .मी . दूर | दस किलोमीटर दूर
दस किमी दूर | दस किलोमीटर दूर
टाटा प्रा. लि. कंपनी | टाटा प्राइवेट लिमिटेड कंपनी
कमरा नं. दस | कमरा नंबर दस
गाड़ी सं. दस | गाड़ी संख्या दस
क्र.सं. दस | क्रम संख्या दस
दस डिग्री से. तापमान | दस डिग्री सेल्सियस तापमान
सौ रु. मिले | सौ रुपये मिले
तीन सौ ई.पू. में | तीन सौ ईसा पूर्व में
उन्नीस सौ ई. में | उन्नीस सौ ईस्वी में
भा.ज.पा. की जीत | भाजपा की जीत
"""
REJECTED = (
    "सं. राम | मो. राम | भा.क.पा. का | र. कुमार | ह. प्र. द्विवेदी | दि. राम | उ० और द० | जैतो० का | राम॰ आया | मी. ऊँचा"
)
# Letter names are said as written; full stops end sentences.
UNTOUCHED = "एम. एस. धोनी | बी.ए. पास | टी.वी. देखा | ई. श्रीधरन | घर गया. वह आया. | है. न. | वह गया .तो क्या | पी.वी. सिंधु"


def split(table: str) -> list[tuple[str, str]]:
    return [tuple(part.strip() for part in line.split(" | ")) for line in table.strip().splitlines()]


@pytest.mark.parametrize(("written", "said"), split(EXPANDED))
def test_one_reading_is_written_in_full(written: str, said: str):
    text = normalize_text(written, TextPolicy())
    assert text == normalize_text(said) and not judge(text)


@pytest.mark.parametrize("written", REJECTED.split(" | "))
def test_several_readings_are_rejected(written: str):
    text = normalize_text(written, TextPolicy())
    fault = judge(text)
    assert fault and fault.reason == "abbreviation" and fault.offending[0][-1] in ".॰"
    assert normalize_text(text, TextPolicy()) == text
    assert not judge(normalize_text("राम आया", TextPolicy()))


@pytest.mark.parametrize("written", UNTOUCHED.split(" | "))
def test_letter_names_and_sentence_ends_are_untouched(written: str):
    text = normalize_text(written, TextPolicy())
    assert text == normalize_text(written) and not judge(text)


def test_all_are_rejected_or_kept_where_that_is_asked_for():
    reject, keep = TextPolicy(abbreviations="reject"), TextPolicy(abbreviations="keep")
    for written in ("डॉ. राम", "डॉ राम", "दस किमी दूर", "सं. राम"):
        assert judge(normalize_text(written, reject), policy=reject).reason == "abbreviation"
        text = normalize_text(written, keep)
        assert text == normalize_text(written) and not judge(text, policy=keep)


def test_each_form_has_one_reading_in_the_alphabet():
    tables = [*TITLES, *EXPANSIONS, *BARE]
    assert len(tables) == len(set(tables)) + 1  # डॉ is in two: with a sign before a name, without one anywhere
    for words in (*TITLES.values(), *EXPANSIONS.values(), *BARE.values()):
        assert not set(normalize_text(words)) - set(load_alphabet())
    assert AMBIGUOUS.isdisjoint(LETTER_NAMES) and AMBIGUOUS.isdisjoint(SHORT_WORDS) and AMBIGUOUS.isdisjoint(tables)

"""English words in Hindi sentences, `language=hi+en`: each word by its own language's rules, with nothing lost."""

import pytest

from data_prep.languages.language import load_language
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT, fingerprint_language, normalize_text
from data_prep.text.policy import TextPolicy, make_text_policy
from data_prep.text.verdict import judge

MIXED = TextPolicy(language="hi+en")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        pytest.param("आज मेरी Meeting है।", "आज मेरी MEETING है", id="capitals"),
        pytest.param("मैं Don’t बोला, 'Rama's' नहीं", "मैं DON'T बोला RAMA'S नहीं", id="apostrophe"),
        pytest.param("उसने 'ठीक' कहा", "उसने ठीक कहा", id="quotes"),
        pytest.param("e-mail भेजो, Mr. Rao", "E MAIL भेजो MISTER RAO", id="hyphen-and-title"),
        pytest.param("डॉ. राम ने WhatsApp किया", "डॉक्टर राम ने WHATSAPP किया", id="hindi-abbreviation"),
        pytest.param("बहुत noise और music है", "बहुत NOISE और MUSIC है", id="words-that-are-notes-elsewhere"),
        pytest.param("आज बाज़ार में भीड़ थी।", "आज बाज़ार में भीड़ थी", id="hindi-alone"),
    ],
)
def test_each_word_by_its_own_rules(written, wanted):
    text = normalize_text(written, MIXED)
    assert text == wanted == normalize_text(text, MIXED)
    assert judge(text, policy=MIXED) is None
    assert load_alphabet(language="hi+en")[:65] == load_alphabet()


@pytest.mark.parametrize(
    ("written", "reason", "offending"),
    [
        pytest.param("Dr. राम आए", "abbreviation", "Dr.", id="title-with-several-readings"),
        pytest.param("café में", "latin", "U+00C9 LATIN CAPITAL LETTER E WITH ACUTE", id="foreign-accent"),
        pytest.param("Meetingों में", "malformed_text", "U+094B DEVANAGARI VOWEL SIGN O", id="hindi-ending"),
        pytest.param("मीटिंग [noise] में", "annotation", "[noise]", id="note"),
        pytest.param("வணக்கம் राम", "outside_alphabet", "U+0BB5 TAMIL LETTER VA", id="third-script"),
    ],
)
def test_what_is_refused(written, reason, offending):
    fault = judge(normalize_text(written, MIXED), policy=MIXED)
    assert fault is not None and (fault.reason, fault.offending[0]) == (reason, offending)


def test_a_number_beside_an_english_word_has_two_readings():
    pytest.importorskip("nemo_text_processing", reason="needs the extra `numbers`")
    policy = TextPolicy(numbers="verbalize", language="hi+en")
    said = {"5 लोग meeting में": "पाँच लोग MEETING में", "Rs 500 का phone": "पाँच सौ रुपये का PHONE"}
    assert {written: normalize_text(written, policy) for written in said} == said
    assert normalize_text("10 km दूर", policy) == "दस किलोमीटर दूर"
    for written in ("iPhone 15 लो", "5G का network", "शाम को 5 pm", "B2B काम"):
        fault = judge(normalize_text(written, policy), policy=policy)
        assert fault is not None and fault.reason == "numbers"


def test_its_name_is_in_the_fingerprint_and_hindi_alone_has_its_own():
    mixed, tamil = fingerprint_language("hi+en"), fingerprint_language("ta+en")
    assert mixed.startswith("hi+en-") and tamil.startswith("ta+en-")
    assert fingerprint_language("hi") == NORMALIZER_FINGERPRINT


def test_latin_keep_names_the_language():
    others = ("reject", "reject", "expand")
    given = {("hi", "keep"): "hi+en", ("hi+en", "keep"): "hi+en", ("en", "keep"): "en", ("hi", "reject"): "hi"}
    for (language, latin), wanted in given.items():
        policy = make_text_policy(others[0], latin, *others[1:], language)
        assert (policy.language, policy.latin) == (wanted, "reject")
    assert load_language("hi+en").scripts == ("DEVANAGARI", "LATIN")
    with pytest.raises(ValueError, match=r"language=en\+en: expected a language in another script than Latin; set en"):
        load_language("en+en")
    with pytest.raises(ValueError, match="language=hj: expected one of as, bn,"):
        load_language("hj+en")


def test_every_language_can_have_english_words():
    for code in ("mr", "bn", "ta", "ur", "brx"):
        policy, hindi = TextPolicy(language=f"{code}+en"), TextPolicy(language=code)
        sentence = load_language(code).sentences[0]
        text = normalize_text(f"{sentence} Don't stop", policy)
        assert text == f"{normalize_text(sentence, hindi)} DON'T STOP" == normalize_text(text, policy)
        assert judge(text, policy=policy) is None

"""Spelling rules: pairs that are one word, and pairs that stay apart."""

import pytest

from data_prep.text.devanagari import MATRAS
from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.spelling import (
    SPELLING_RULES,
    STAY_APART_PATH,
    load_stay_apart,
    make_keys,
    spelling_key,
)

EQUAL = {
    "nukta": "ज़िंदगी/जिंदगी क़िस्मत/किस्मत दाग/दाग़ फल/फ़ल ख़बर/खबर",
    "anusvara": "हिंदी/हिन्दी संबंध/सम्बन्ध लंदन/लन्दन पंडित/पण्डित कॉन्फ़्रेंस/कॉंफ़्रेंस गंगा/गङ्गा",
    "chandrabindu": "यहाँ/यहां हूँ/हूं पहुँच/पहुंच",
    "y_glide": "चाहिए/चाहिये आए/आये सिलाई/सिलायी हुई/हुयी गई/गयी जाएंगे/जायेंगे जाएँ/जायें स्थाई/स्थायी",
    "visarga": "छः/छह दुःख/दुख निःशुल्क/निशुल्क निःसंदेह/निस्संदेह अतः/अत",
    "gemination": "तत्त्व/तत्व महत्त्व/महत्व कर्त्ता/कर्ता अर्द्ध/अर्ध मूर्च्छा/मूर्छा चिट्ठी/चिठ्ठी",
}
APART = (
    "राज/राज़ सजा/सज़ा जी/ज़ी गायें/गाएँ निसार/निस्सार हंस/हँस भाई/भायी तेज/तेज़ अन्य/अंय निम्न/निंन पड़/पड बच्चा/बचा सत्ता/सता अंत/अंतः "
    "पुन/पुनः कि/की में/मे है/हैं उन्हें/उंहें ये/ए किया/किआ दिन/दीन सुना/सूना पढ़ना/पड़ना जन्म/जंम बॉल/बाल"
)


def couples(text):
    return [tuple(normalize_text(word) for word in pair.split("/")) for pair in text.split()]


@pytest.mark.parametrize("rule", SPELLING_RULES)
def test_a_rule_makes_its_pairs_equal_and_is_needed_for_them(rule):
    others = [name for name in SPELLING_RULES if name != rule]
    for one, other in couples(EQUAL[rule]):
        assert spelling_key(one) == spelling_key(other), (one, other)
        assert key_of(one, others) != key_of(other, others), f"{one}/{other}: equal with {rule} off"


def key_of(word, rules):
    for _, rule in make_keys(rules):
        word = rule(word)
    return word


@pytest.mark.parametrize("pair", couples(APART))
def test_words_that_differ_in_meaning_stay_apart(pair):
    one, other = pair
    assert spelling_key(one) != spelling_key(other)


def test_every_listed_pair_stays_apart_and_would_be_merged_without_the_list():
    rows = [line.split("\t") for line in STAY_APART_PATH.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    assert len(rows) > 40
    for rule, *words, meanings in rows:
        one, other = map(normalize_text, words)
        assert "/" in meanings
        assert merged(one, rule) == merged(other, rule), f"{one}/{other}: {rule} does not merge them"
        assert spelling_key(one) != spelling_key(other), f"{one}/{other}"


def merged(word, rule):
    """Apply the rules up to one, without the list."""
    for name, apply in SPELLING_RULES.items():
        word = apply(word)
        if name == rule:
            return word


def test_no_rule_takes_away_a_vowel_sign_or_a_lone_virama():
    words = {word for text in EQUAL.values() for pair in couples(text) for word in pair}
    words |= {word for pair in couples(APART) for word in pair} | {"कर्म", "विद्या", "क्षत्रिय", "स्त्री", "उज्ज्वल", "गद्य"}
    for word in map(normalize_text, words):
        for name, rule in make_keys():
            after = rule(word)
            if name != "visarga" or word != "छः":
                assert sum(sign in MATRAS for sign in after) >= sum(sign in MATRAS for sign in word) - word.count(
                    "ये"
                ) - word.count("यी")
            if name not in ("anusvara", "gemination", "visarga"):
                assert after.count("\u094d") == word.count("\u094d")
    assert spelling_key("कर्म") != spelling_key("करम")
    assert spelling_key("की") != spelling_key("क")


def test_keys_of_keys_change_no_more():
    for text in EQUAL.values():
        for pair in couples(text):
            for word in pair:
                assert spelling_key(spelling_key(word)) == spelling_key(word)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"spelling_rules=schwa: expected one of nukta, anusvara"):
        make_keys(["schwa"])


@pytest.mark.parametrize(("line", "message"), [("nukta\tराज", "2 columns"), ("vowels\tअ\tआ\tx / y", "vowels")])
def test_a_wrong_line_of_the_list_is_named(tmp_path, line, message):
    path = tmp_path / "list.tsv"
    path.write_text(f"# head\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"list.tsv:2.*{message}"):
        load_stay_apart(path)

"""Layers of the score: never a higher rate, every forgiven word listed, words of other meaning apart."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.options import LayerOptions
from nemo_models.evaluation.references import Choice, Reference
from nemo_models.evaluation.scoring import score_texts
from nemo_models.evaluation.spelling import SPELLING_RULES
from nemo_models.evaluation.steps import list_steps

_VARIED = (
    "ज़िंदगी जिन्दगी जिंदगी हिन्दी हिंदी यहाँ यहां चाहिये चाहिए छः छह 25 पच्चीस 1,25,000 एक लाख हज़ार रेलगाड़ी रेल गाड़ी उसने उस ने "
    "डॉक्टर डाक्टर डॉ. राज राज़ हंस हँस माता-पिता माता पिता है। है । समय: , कि.मी. किलोमीटर ₹500 पाँच सौ रुपये 50% प्रतिशत "
    "ज\u200dनता BBC बीबीसी [x] abc क़लम दुःख दुख"
)
VARIED = _VARIED.split(" ")
TEXTS = st.lists(st.sampled_from(VARIED), max_size=9).map(" ".join)


def score(references, hypotheses, **options):
    return LayeredScore([Reference(text) for text in references], hypotheses, LayerOptions(**options))


def rates(result):
    return {layer.name: int(layer.errors.sum()) for layer in result.layers}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_no_layer_ever_raises_an_error_rate(pairs):
    result = score(*zip(*pairs, strict=True))
    errors = [layer.errors for layer in result.layers]
    for before, after in itertools.pairwise(errors):
        assert (after <= before).all()
    rules = [rule.errors for rule in next(layer for layer in result.layers if layer.name == "spelling").rules]
    for before, after in itertools.pairwise(rules):
        assert (after <= before).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
def test_forgiven_words_are_listed_wherever_errors_fall(pairs):
    result = score(*zip(*pairs, strict=True))
    for layer in result.layers[2:]:
        assert bool(layer.forgiven) == (result.forgiven(layer) > 0)


def test_layers_in_order_with_what_they_forgive():
    result = score(["माता-पिता यहाँ हिन्दी 25 डॉक्टर रेल गाड़ी किताब।"], ["माता पिता यहां हिंदी पच्चीस डाक्टर रेलगाड़ी किताब"])
    assert rates(result) == {"raw": 8, "encoding": 6, "spelling": 4, "numbers": 3, "loan_words": 2, "compounds": 0}
    listed = {layer.name: dict(layer.forgiven) for layer in result.layers}
    assert listed["encoding"] == {("माता-पिता", "माता पिता"): 1, ("किताब।", "किताब"): 1}
    assert listed["spelling"] == {("यहाँ", "यहां"): 1, ("हिन्दी", "हिंदी"): 1}
    assert listed["numbers"] == {("25", "पच्चीस"): 1}
    assert listed["loan_words"] == {("डॉक्टर", "डाक्टर"): 1}
    assert listed["compounds"] == {("रेल गाड़ी", "रेलगाड़ी"): 1}


@pytest.mark.parametrize("rule", SPELLING_RULES)
def test_a_switch_turns_one_rule_off(rule):
    pairs = {
        "nukta": ("ज़मीन", "जमीन"),
        "anusvara": ("हिन्दी", "हिंदी"),
        "chandrabindu": ("यहाँ", "यहां"),
        "y_glide": ("गयी", "गई"),
        "visarga": ("दुःख", "दुख"),
        "gemination": ("तत्त्व", "तत्व"),
    }
    one, other = pairs[rule]
    others = tuple(name for name in SPELLING_RULES if name != rule)
    assert rates(score([one], [other]))["spelling"] == 0
    assert rates(score([one], [other], spelling_rules=others))["spelling"] == 1


@pytest.mark.parametrize(
    "pair",
    [
        "राज राज़",
        "सजा सज़ा",
        "हंस हँस",
        "भाई भायी",
        "शर्मा शरमा",
        "कीमत की|मत",
        "हमका हम|का",
        "कामकर काम|कर",
        "मनाकर मना|कर",
        "नही न|ही",
    ],
)
def test_pairs_stay_apart_with_every_layer_on(pair):
    one, other = (side.replace("|", " ") for side in pair.split(" "))
    for reference, hypothesis in ((one, other), (other, one)):
        result = score([reference], [hypothesis])
        assert rates(result)["compounds"] == rates(result)["encoding"] > 0


@pytest.mark.parametrize(
    "pair",
    ["उत्तर प्रदेश|उत्तरप्रदेश", "उस ने|उसने", "देख कर|देखकर", "घर वाले|घरवाले", "जान बूझकर|जानबूझकर", "विश्व विद्यालय|विश्वविद्यालय"],
)
def test_compounds_join_and_split_beside_real_errors(pair):
    apart, together = pair.split("|")
    for one, other in ((apart, together), (together, apart)):
        assert rates(score([f"कल {one} मिला"], [f"आज {other} मिला"]))["compounds"] == 1


def test_layers_can_be_left_out():
    names = [layer.name for layer in score(["क"], ["क"], layers=("numbers",)).layers]
    assert names == ["raw", "encoding", "numbers"]
    with pytest.raises(ValueError, match=r"layers=sandhi: expected one of spelling, numbers"):
        LayerOptions(layers=("sandhi",))


def test_wordings_that_the_reference_allows():
    reference = Reference("यह बंद ही है", (Choice(1, 2, ("बन्द पड़ा",)), Choice(2, 3, ("",))))
    result = LayeredScore([reference, reference], ["यह बन्द पड़ा है", "यह बंद है"], LayerOptions())
    assert rates(result)["encoding"] == 3
    assert rates(result)["alternatives"] == 0


def test_the_layer_encoding_is_what_other_commands_print():
    chosen = random.Random(0)
    texts = [[" ".join(chosen.choices(VARIED, k=chosen.randint(1, 8))) for _ in range(50)] for _ in range(2)]
    result, scores = score(*texts), score_texts(*texts)
    assert result.normalized_errors.sum(axis=0).tolist() == [scores.substitutions, scores.deletions, scores.insertions]
    assert result.normalized_words.sum() == scores.words


def test_steps_say_which_layer_forgave_a_word():
    result = score(["यह 25 यहाँ रेल गाड़ी नहीं है"], ["यह पच्चीस यहां रेलगाड़ी कल है तो"])
    steps = list_steps(result, 0)
    assert [(step.kind, step.reference, step.hypothesis, step.layer) for step in steps] == [
        ("match", "यह", "यह", ""),
        ("match", "25", "पच्चीस", "numbers"),
        ("match", "यहाँ", "यहां", "spelling: chandrabindu"),
        ("match", "रेल गाड़ी", "रेलगाड़ी", "compounds"),
        ("substitution", "नहीं", "कल", ""),
        ("match", "है", "है", ""),
        ("insertion", "", "तो", ""),
    ]
    assert [step.hyp_word for step in steps] == [0, 1, 2, 3, 4, 5, 6]


def test_digits_against_words_mixed_scripts_and_empty_texts():
    result = score(["२०१९ में office", "", "सब कुछ"], ["2019 में office", "कुछ", ""])
    assert result.layers[-1].errors.tolist() == [0, 1, 2]


def test_a_users_list_of_variants(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("loan\tरेस्तराँ रेस्टोरेंट\tours\n", encoding="utf-8")
    assert rates(score(["रेस्तरां"], ["रेस्टोरेंट"]))["loan_words"] == 1
    assert rates(score(["रेस्तरां"], ["रेस्टोरेंट"], variant_lists=(path,)))["loan_words"] == 0
    path = tmp_path / "wrong.tsv"
    path.write_text("loan\tरेस्तराँ\tours\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"wrong.tsv:1: found .*expected class, two spellings or more"):
        score(["क"], ["क"], variant_lists=(path,))


def test_an_alignment_of_any_layer_has_that_layers_errors():
    chosen = random.Random(1)
    texts = [[" ".join(chosen.choices(VARIED, k=chosen.randint(1, 8))) for _ in range(80)] for _ in range(2)]
    result = score(*texts)
    for layer in result.layers:
        alignment = result.align_at(layer.name)[0]
        assert (alignment.totals >= layer.errors).all()  # normalising can part a word: raw counts less there
        if layer.name == "raw":
            assert (alignment.totals == layer.errors).all()
    with pytest.raises(ValueError, match=r"compare_layer=alternatives: expected a layer that is computed"):
        result.align_at("alternatives")

"""Notes that nobody speaks: found, rejected, stripped or kept by one setting."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text.annotations import find_annotations
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge

_NOTES = (
    "[हँसी] | [ हँसी ] | [अज्ञात शब्द] | [12] | {संगीत} | <noise> | </noise> | <खाँसी> | <baby_crying> | "
    "(खाँसते हुए) | (हँसी) | (तालियाँ) | "
    "(तेज़ संगीत) | (ज़ोर से बोलते हुए) | (धीमी आवाज़ में) | (laughs) | (background noise) | ((अस्पष्ट शब्द)) | "
    "[[चित्र]] | *विराम* | "
    "**संगीत** | SIL | sil | <s> | NOISE | ++noise++ | (फ़ोन की घंटी) | "
    "【हँसी】 | ［संगीत］ | 〔अज्ञात〕 | ｛शोर｝ | （हँसी） | 〈शोर〉 | «संगीत» | _विराम_ | ~हँसी~ | =हँसी= | #हँसी# | "
    "/noise/ | |विराम| | "
    "(पीछे से शोर) | (तालियाँ बजती हैं) | (2 सेकंड विराम) | (0.5) | (.8)"
)
NOTES = _NOTES.split(" | ")
# Spoken words in the same signs, and signs that hold no note.
_SPOKEN = (
    "(सीता) | (1986) | (वह बहुत हँसी) | *बहुत* | 5 > 3 | क < ख | (भारत सरकार) | (गाते बच्चे आए) | सिल | (अ) | "
    "/सीता/ | «गीता» | （भारत） | (2.5) | |राम|"
)
SPOKEN = _SPOKEN.split(" | ")


@pytest.mark.parametrize("note", NOTES)
def test_notes_are_rejected_stripped_or_kept(note: str):
    text = f"राम {note} आया"
    rejected = normalize_text(text, TextPolicy())
    fault = judge(rejected)
    assert fault and fault.reason == "annotation" and len(fault.offending) == 1
    assert normalize_text(rejected, TextPolicy()) == rejected
    stripped = TextPolicy(annotations="strip")
    assert normalize_text(text, stripped) == "राम आया"
    kept = TextPolicy(annotations="keep")
    assert normalize_text(text, kept) == normalize_text(text)
    fault = judge(normalize_text(text, kept), policy=kept)
    assert not fault or fault.reason in ("latin", "numbers", "outside_alphabet")


@pytest.mark.parametrize("spoken", SPOKEN)
def test_spoken_words_are_no_notes(spoken: str):
    assert not find_annotations(f"राम {spoken} आया")
    assert normalize_text(f"राम {spoken} आया", TextPolicy(annotations="strip")) == normalize_text(f"राम {spoken} आया")


def test_a_numbered_speaker_at_the_start_is_a_note():
    for label in ("वक्ता 1:", "स्पीकर २ :", "Speaker 1:", "S2:", "वक्ता_1:"):
        assert judge(normalize_text(f"{label} राम आया", TextPolicy())).reason == "annotation"
        assert normalize_text(f"{label} राम आया", TextPolicy(annotations="strip")) == "राम आया"
        assert normalize_text(f"राम {label} आया", TextPolicy(annotations="strip")) != "राम आया"
    assert normalize_text("राम: आया", TextPolicy()) == "राम आया"


def test_a_bracket_without_its_counterpart_cannot_be_stripped():
    for text in ("राम [हँसी आया", "राम संगीत} आया"):
        policy = TextPolicy(annotations="strip")
        assert judge(normalize_text(text, policy), policy=policy).reason == "annotation"


def test_a_bracket_that_can_hold_nothing_is_stripped():
    for text in ("} राम आया", "राम आया [", "}] राम आया {"):
        assert normalize_text(text, TextPolicy(annotations="strip")) == "राम आया"
        assert judge(normalize_text(text, TextPolicy())).reason == "annotation"


def test_several_notes_are_each_named_once():
    text = normalize_text("<noise> राम [हँसी] आया <noise>", TextPolicy())
    assert judge(text).offending == ("<noise>", "[हँसी]")
    assert normalize_text("<noise>राम[हँसी]आया", TextPolicy(annotations="strip")) == "राम आया"


@pytest.mark.slow
@given(st.text(st.sampled_from("कखरमा हँसी[]{}()<>*+ASILnoise.॰०5:।\ue000")))
@settings(max_examples=1000, deadline=None)
def test_a_second_time_changes_nothing_for_any_policy(text: str):
    for policy in (TextPolicy(), TextPolicy(annotations="strip"), TextPolicy(abbreviations="reject")):
        once = normalize_text(text, policy)
        if not judge(once, policy=policy):
            assert normalize_text(once, policy) == once
        elif judge(once, policy=policy).reason in ("annotation", "abbreviation") and "\ue000" not in text:
            again = normalize_text(once, policy)
            assert judge(again, policy=policy) and normalize_text(again, policy) == again

"""Several languages at once: their labels, their fingerprint, and the jobs that take one only."""

import pytest

from data_prep.languages.language import load_language
from data_prep.languages.union import find_member, join_languages, language_of_row, list_labels, name_languages
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT, fingerprint_language
from data_prep.text.policy import TextPolicy


def test_the_labels_are_those_of_each_language_once_in_order():
    labels, own = load_alphabet(language="hi,mr,ta"), list_labels("hi,mr,ta")
    assert labels[: len(own["hi"])] == list(load_language("hi").alphabet)
    assert len(labels) == len(set(labels)) and set(labels) == {label for part in own.values() for label in part}
    assert labels.count(" ") == 1 and "ள" in labels and "ळ" in labels
    assert load_alphabet(language="hi") == list(load_language("hi").alphabet)  # one language is as before


def test_the_fingerprint_names_the_languages_and_depends_on_each():
    assert fingerprint_language("hi,ta").startswith("hi,ta-1-")
    assert len({fingerprint_language(several) for several in ("hi,ta", "hi,te", "ta,hi", "hi,ta,te")}) == 4
    assert fingerprint_language("hi") == NORMALIZER_FINGERPRINT


def test_a_list_and_a_text_name_the_same_languages():
    assert join_languages(["hi", "ta"]) == join_languages("hi, ta") == "hi,ta"
    assert join_languages("hi") == "hi" and name_languages("hi,ta") == {"hi": "hi", "ta": "ta"}
    assert language_of_row({}) == "hi" and language_of_row({"lang": "ta"}) == "ta"


@pytest.mark.parametrize(
    ("codes", "code", "member"),
    [
        ("hi+en", "hi+en", "hi+en"),
        ("hi+en", "hi", "hi+en"),
        ("hi+en,ta", "en", "hi+en"),
        ("hi+en,ta", "ta", "ta"),
        ("hi+en,hi,en", "hi", "hi"),  # the language itself comes before one that holds it
        ("hi+en,hi,en", "en", "en"),
        ("ta+en,hi+en", "en", "ta+en"),  # of several that hold it, the first
        ("ta+en,hi+en", "hi", "hi+en"),
        ("hi+en,ta", "mr", None),
        ("hi", "hi+en", None),
        ("en", "hi+en", None),
    ],
)
def test_a_language_with_english_words_holds_both(codes: str, code: str, member: str | None):
    assert find_member(codes.split(","), code) == member


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("hi,ta,hi", "language=hi,ta,hi: found hi twice, expected each language once; remove one"),
        ("hi,tamil", r"language=tamil: expected one of .*did you mean ta \(Tamil\)"),
        ("hi,ks", "language=ks: expected a language with a checked alphabet"),
    ],
)
def test_a_wrong_list_is_one_clear_line(language: str, message: str):
    with pytest.raises(ValueError, match=message):
        load_alphabet(language=language)


def test_what_takes_one_language_says_so():
    with pytest.raises(ValueError, match="language=hi,ta: expected one language here; name one of them"):
        TextPolicy(language="hi,ta")
    with pytest.raises(ValueError, match=r"alphabet=letters\.txt: expected null with language=hi,ta"):
        load_alphabet("letters.txt", "hi,ta")

"""The language of a model: read from its fingerprint, confirmed or refused by an argument."""

from pathlib import Path

import pytest

from data_prep.text.normalizer import fingerprint_language
from nemo_models.files.model_language import choose_language, read_languages


def test_the_fingerprint_names_the_language():
    assert read_languages("kok-1-0123abcd") == ("kok",) and read_languages(None) == ()


@pytest.mark.parametrize(
    ("asked", "fingerprint", "chosen"),
    [(None, "ta-1-0", "ta"), ("ta", "ta-1-0", "ta"), (None, None, "hi"), ("mr", None, "mr"), (None, "hi-3-0", "hi")],
)
def test_the_language_is_the_models(asked: str | None, fingerprint: str | None, chosen: str):
    assert choose_language(asked, fingerprint, "x.nemo") == chosen


def test_a_language_that_the_model_lacks_is_refused():
    with pytest.raises(ValueError, match=r"language=ta: expected hi, the language of x\.nemo; leave it out"):
        choose_language("ta", "hi-3-0", "x.nemo")
    with pytest.raises(ValueError, match=r"did you mean ta \(Tamil\)"):
        choose_language("tamil", "ta-1-0", "x.nemo")


def test_a_model_of_an_unknown_language_asks_for_its_file(tmp_path: Path):
    with pytest.raises(
        ValueError, match=r"x\.nemo: found a model of the language xx, expected one of .*language=<path>"
    ):
        choose_language(None, "xx-1-0", "x.nemo")
    path = tmp_path / "xx.yaml"
    path.write_text("code: xx\nname: X\nscripts: [LATIN]\ndirection: ltr\nsources: [me]\nalphabet: |\n  U+0020 SPACE\n")
    assert choose_language(str(path), "xx-1-0", "x.nemo") == str(path)


def test_a_model_of_several_languages_is_asked_for_one_of_them_or_all():
    fingerprint = fingerprint_language("hi,mr,ta")
    assert read_languages(fingerprint) == ("hi", "mr", "ta")
    assert choose_language(None, fingerprint, "x.nemo") == choose_language("hi,mr,ta", fingerprint, "x.nemo")
    assert choose_language(None, fingerprint, "x.nemo") == "hi,mr,ta"
    assert choose_language("ta", fingerprint, "x.nemo") == "ta"
    with pytest.raises(ValueError, match=r"language=bn: expected one of hi, mr, ta, the languages of x\.nemo; choose"):
        choose_language("bn", fingerprint, "x.nemo")


@pytest.mark.parametrize("language", ["hi+en", "hi+en,ta"])
def test_who_asks_for_hindi_or_english_gets_hindi_with_english_words(language: str):
    fingerprint = fingerprint_language(language)
    for asked in ("hi", "en", "hi+en"):
        assert choose_language(asked, fingerprint, "x.nemo") == "hi+en"
    with pytest.raises(ValueError, match="language=mr: expected "):
        choose_language("mr", fingerprint, "x.nemo")

"""English words that count as right in either script, by a list; two words of one script stay two words."""

import re

import pytest

from data_prep.languages.language import load_language
from data_prep.text.transliteration import ENGLISH_WORDS_PATH
from nemo_models.evaluation.either_script import load_english_words
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.options import LayerOptions
from nemo_models.evaluation.references import Reference


def score(references, hypotheses, **options):
    found = LayeredScore([Reference(text) for text in references], hypotheses, LayerOptions(**options))
    return {layer.name: int(layer.errors.sum()) for layer in found.layers}, found


@pytest.mark.parametrize("language", ["hi", "hi+en"])
def test_a_word_of_the_list_is_right_in_either_script(language):
    rates, found = score(["कल Meeting है", "मिटिंग मीटिंग में"], ["कल मीटिंग है", "MEETING meeting में"], language=language)
    assert rates["encoding"] == 3 and rates["either_script"] == rates["compounds"] == 1  # मिटिंग is on no list
    (layer,) = [layer for layer in found.layers if layer.name == "either_script"]
    assert layer.forgiven.total() == 2


def test_words_of_one_script_stay_apart(tmp_path):
    """राइट is RIGHT and WRITE: the list makes neither the other."""
    (tmp_path / "mine.tsv").write_text("# mine\nright\tराइट\n\nwrite\tराइट\n", encoding="utf-8")
    options = {"language": "hi+en", "english_words": (tmp_path / "mine.tsv",)}
    assert score(["RIGHT कहा", "राइट"], ["WRITE कहा", "write"], **options)[0]["either_script"] == 1


def test_spelling_rules_apply_to_the_list():
    assert score(["ऑफ़िस में OFFICE"], ["OFFICE में ऑफिस"], language="hi+en")[0]["either_script"] == 0


def test_texts_without_english_words_have_no_such_layer():
    assert "either_script" not in score(["कल है"], ["कल है"])[0]
    assert "either_script" not in score(["THE MEETING"], ["THE MEETING"], language="en")[0]
    assert "either_script" in score(["कल है"], ["कल है"], language="hi+en")[0]


@pytest.mark.parametrize(
    "line", ["meeting", "बैठक\tmeeting", "meeting\tमीटिंग होगी", "two words\tशब्द", "meeting\tMEETING"]
)
def test_a_wrong_line_is_named(tmp_path, line):
    path = tmp_path / "mine.tsv"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"{path}:1: found {line!r}, expected one English word, a tab")):
        load_english_words((path,))
    with pytest.raises(FileNotFoundError, match=r"english_words=.*gone\.tsv: found no file"):
        load_english_words((tmp_path / "gone.tsv",))


def test_a_list_that_is_missing_or_not_utf8_is_named(tmp_path):
    (tmp_path / "bad.tsv").write_bytes(b"meeting\t\xff\xfe\n")
    with pytest.raises(FileNotFoundError, match=r"english_words=.*missing.tsv: found no file"):
        load_english_words((tmp_path / "missing.tsv",))
    with pytest.raises(ValueError, match=r"english_words=.*bad.tsv: found .*save the list as UTF-8"):
        load_english_words((tmp_path / "bad.tsv",))


def test_the_own_list_is_in_the_two_alphabets_and_sorted():
    lines = ENGLISH_WORDS_PATH.read_text(encoding="utf-8").splitlines()
    words = [line.split("\t")[0] for line in lines if not line.startswith("#")]
    letters = set(load_language("hi").alphabet)
    assert len(words) > 600 and words == sorted(set(words))
    assert all(letters.issuperset(spelling) for keys in load_english_words().values() for spelling in keys)

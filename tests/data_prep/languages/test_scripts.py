"""Texts in another script, or in two, are one clear line of the job's report."""

from pathlib import Path

from data_prep.languages.language import load_language
from data_prep.languages.scripts import ScriptCount, describe_foreign_scripts, find_scripts
from layout_files import TEXTS
from layouts import make_tsv
from preparing import prepare_corpus


def test_scripts_are_counted_by_letters():
    assert find_scripts("கால் 12 abc") == {"TAMIL": 2, "LATIN": 3}


def test_a_corpus_in_another_script_names_the_language_to_set(tmp_path: Path):
    make_tsv(tmp_path / "corpus")
    report = prepare_corpus("tsv", tmp_path / "corpus", tmp_path / "out", language="ta", num_workers=1)
    (note,) = [note for note in report["notes"] if note.startswith("language=")]
    assert report["kept"] == 0
    assert note.startswith("language=ta: expected texts in Tamil, found Devanagari in ")
    assert "set language=" in note


def test_mixed_scripts_are_counted():
    count = ScriptCount(load_language("hi"))
    for text in [*TEXTS, "कमल kamal", "नदी"]:
        count.add(text, "kamal" in text)
    (line,) = describe_foreign_scripts(load_language("hi"), "hi", count)
    assert line == (
        "language=hi: expected texts in Devanagari, found 1 of 10 that mix it with another script; they are rejected; "
        "set language=hi+en to keep English words"
    )


def test_a_sound_corpus_has_no_such_line():
    count = ScriptCount(load_language("hi"))
    for text in TEXTS:
        count.add(text, is_rejected=False)
    assert describe_foreign_scripts(load_language("hi"), "hi", count) == []

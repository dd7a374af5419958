"""Leaks against a search by brute force, and against a leak that real data is known to hold."""

import gzip
import itertools
import json
import random
import subprocess
import sys

import pytest

from data_prep.selection.leaks import LeakIndex, Passage, find_leaks, fold_text
from project import ROOT

SCRIPT = ROOT / "scripts" / "find_leaks.py"
SENTENCE = "आज सुबह बाग में कमल का फूल खिला"


def find(training: list[str], evaluation: list[str] = [SENTENCE], flows_on: bool = False, **settings) -> list[dict]:  # noqa: B006
    index = LeakIndex((Passage(text, f"e:{at}") for at, text in enumerate(evaluation, 1)), **settings)
    for at, text in enumerate(training, 1):
        index.add(Passage(text, f"t:{at}", flows_on=flows_on and at > 1))
    return index.list_leaks()


def test_the_same_sentence_is_found_in_any_spelling_and_punctuation():
    (leak,) = find(["कुछ और", "आज, सुबह बाग़ मेँ — कमल का फूल खिला।", SENTENCE])
    assert (leak["kind"], leak["training"], leak["times"], leak["overlap"]) == ("exact", ["t:2", "t:3"], 2, 1.0)
    assert leak["evaluation"] == "e:1" and leak["text"] == SENTENCE


@pytest.mark.parametrize(
    ("language", "evaluation", "training"),
    [
        ("en", "The children's books are here", "“THE children’s books are here!”"),  # capitals, apostrophe
        ("ml", "അവൻ വീട്ടിൽ ഇല്ല", "അവന\u0d4d\u200d വീട്ടില\u0d4d\u200d ഇല്ല."),  # chillus before Unicode 5.1
        ("bn", "চাঁদ উঠেছে", "চাদ উঠেছে"),  # a spelling variant of the language's file
        ("mr", "मी आंब्याच्या झाडाखाली", "मी आँब्याच्या झाडाखाली"),
        ("ur", "بچے کتاب پڑھتے", "بچّے كَتاب پڑھتے"),  # Arabic code points and reading aids
        ("pa", "ਸ਼ਹਿਰ ਵੱਡਾ", "ਸਹਿਰ ਵੱਡਾ"),  # without its nukta
    ],
    ids=["en", "ml", "bn", "mr", "ur", "pa"],
)
def test_each_language_has_its_own_normaliser_and_fold(language: str, evaluation: str, training: str):
    (leak,) = find([training], [evaluation], language=language)
    assert leak["kind"] == "exact"
    if language in ("en", "ml", "bn", "ur"):
        assert [leak["kind"] for leak in find([training], [evaluation])] != ["exact"]  # for Hindi's rules they differ


def test_what_hindi_ignores_is_what_it_ignored():
    written = "क़ँ ज़ं ड़ ॐ ँ़"
    assert fold_text(written, normalized=True) == written.replace("\u093c", "").replace("\u0901", "\u0902")


def test_the_job_takes_the_language(tmp_path):
    (tmp_path / "train.txt").write_text("“The children’s books are here!”\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("THE CHILDREN'S BOOKS ARE HERE\n", encoding="utf-8")
    sides = [tmp_path / "train.txt"], [tmp_path / "test.txt"]
    assert find_leaks(*sides, language="en")["exact"] == 1
    with pytest.raises(ValueError, match=r"language=eng: expected one of .*did you mean en"):
        find_leaks(*sides, language="eng")


def test_a_sentence_inside_another_and_a_part_of_one():
    (leak,) = find([f"माँ ने कहा {SENTENCE} और सब हँसे"])
    assert (leak["kind"], leak["longest_run"], leak["training"]) == ("contained", 8, ["t:1"])
    (leak,) = find(["कल बाग में कमल का फूल नहीं था"])
    assert (leak["kind"], leak["overlap"], leak["longest_run"]) == ("overlap", 0.625, 5)
    assert not find(["कल बाग में कमल का फूल नहीं था"], min_overlap=0.7)
    assert not find(["कल बाग में कमल का पेड़ था"]) and len(find(["कल बाग में कमल का पेड़ था"], ngram=4)) == 1


def test_a_sentence_broken_over_lines_is_found_in_flowing_text_only():
    lines = ["और आज सुबह", "बाग में", "कमल का", "फूल खिला और सब हँसे"]
    (leak,) = find(lines, flows_on=True)
    assert (leak["kind"], leak["training"]) == ("contained", ["t:4"])
    assert not find(lines)


def test_short_sentences_leak_only_whole():
    assert not find(["वह हँस दिया और चला गया"], ["हँस दिया"])
    assert find(["हँस दिया"], ["हँस दिया"])[0]["kind"] == "exact"
    assert not find(["", "।"], ["", "।"])


@pytest.mark.parametrize("ngram", [2, 3, 5])
def test_overlap_is_that_of_a_search_by_brute_force(ngram):
    chance = random.Random(ngram)
    texts = [[chance.choice("कखगघच") for _ in range(chance.randint(0, 12))] for _ in range(120)]
    evaluation, training = texts[:40], texts[40:]
    found = {
        leak["evaluation"]: leak
        for leak in find(
            [" ".join(words) for words in training],
            [" ".join(words) for words in evaluation],
            ngram=ngram,
            min_overlap=0.01,
        )
    }
    for at, words in enumerate(evaluation, 1):
        covered, longest = set(), 0
        for start, end in itertools.combinations(range(len(words) + 1), 2):
            piece = words[start:end]
            if len(piece) >= ngram and any(
                piece == other[place : place + len(piece)] for other in training for place in range(len(other))
            ):
                covered |= set(range(start, end))
                longest = max(longest, len(piece))
        leak = found.get(f"e:{at}")
        exact = bool(words) and words in training
        if leak is None:
            assert not exact and not covered
        else:
            assert leak["kind"] == ("exact" if exact else "contained" if longest == len(words) else "overlap")
            if not exact:
                assert (leak["overlap"], leak["longest_run"]) == (round(len(covered) / len(words), 3), longest)


def test_files_of_all_kinds_and_the_exit_status(make_corpus, tmp_path):
    corpus = make_corpus([("a.wav", "राम", SENTENCE), ("b.wav", "सीता", "एक और वाक्य यहाँ लिखा है")])
    manifest = tmp_path / "train.json"
    row = {"audio_filepath": "x.wav", "duration": 1.0, "text": SENTENCE, "speaker": "राम"}
    manifest.write_text(json.dumps(row, ensure_ascii=False) + "\n\n", encoding="utf-8")
    text = tmp_path / "text.txt.gz"
    text.write_bytes(gzip.compress(f"कुछ\n{SENTENCE}\n".encode()))
    report = find_leaks([manifest, text], [corpus])
    assert report["leaks"][0]["training"] == [f"{manifest}:1", f"{text}:2"]
    assert (report["exact"], report["leaked_share"], report["shared_speakers"]) == (1, 0.5, ["राम"])
    arguments = [f"training=[{manifest},{text}]", f"evaluation={corpus}", f"output={tmp_path / 'leaks.json'}"]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and done.stdout.startswith("1 of 2 evaluation sentences leak"), done.stderr
    assert json.loads((tmp_path / "leaks.json").read_text(encoding="utf-8")) == report


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.json", b"{", "a.json:1: found no line of JSON"),
        ("a.json", b"[]", "a.json:1: found no text"),
        ("a.txt", b"\xff\xfe", "a.txt: found UTF-16"),
        ("absent.txt", None, "absent.txt: no such file"),
        ("a.txt", b"\n", r"evaluation=.*a\.txt: found no text, expected one sentence or more"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, fault):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=fault):
        find_leaks([path], [path])


@pytest.mark.parametrize(("settings", "fault"), [({"ngram": 1}, "ngram=1"), ({"min_overlap": 0}, "min_overlap=0")])
def test_wrong_settings_are_named(settings, fault):
    with pytest.raises(ValueError, match=fault):
        LeakIndex([], **settings)


@pytest.mark.slow
def test_the_story_books_are_found_to_hold_transcripts_of_the_story_recordings(shared_data):
    """Held against a plain search for each whole transcript in the whole book text."""
    books = shared_data / "text" / "pratham_books_hi.CC-BY-4.0.txt"
    report = find_leaks([books], [shared_data / "mucs_hindi"])
    read = " ".join(fold_text(line) for line in books.read_text(encoding="utf-8").splitlines())
    rows = (shared_data / "mucs_hindi" / "transcripts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [row.split("\t")[-1] for row in rows]
    verbatim = {text for text in texts if len(text.split()) >= 5 and f" {fold_text(text)} " in f" {read} "}
    found = {leak["text"] for leak in report["leaks"] if leak["kind"] in ("exact", "contained")}
    assert len(verbatim) >= 5 and found == verbatim
    others = [path for path in sorted((shared_data / "text").glob("*.txt")) if path != books]
    assert not [leak for leak in find_leaks(others, [shared_data / "mucs_hindi"])["leaks"] if leak["kind"] != "overlap"]


def test_texts_of_several_languages_are_folded_by_each():
    assert fold_text("फ़सल आँख", True, "hi,ta") == fold_text("फसल आंख", True, "ta,hi") == "फसल आंख"
    assert fold_text("ஶ்ரீ", True, "hi,ta") == fold_text("ஶ்ரீ", True, "ta") != "ஶ்ரீ"

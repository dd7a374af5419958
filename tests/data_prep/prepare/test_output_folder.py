"""The output folder: one run at a time, one corpus, and no file of another program overwritten."""

import shutil
import subprocess
import sys

import pytest

from data_prep.manifest import read_manifest
from prepare_tsv import ROWS, prepare, read_outputs
from preparing import prepare_corpus


def test_a_manifest_of_an_earlier_choice_of_splits_does_not_stay(make_corpus, tmp_path):
    folder = make_corpus(ROWS)
    prepare(folder, tmp_path / "out")
    assert (tmp_path / "out/dev_manifest.json").exists()
    report = prepare(folder, tmp_path / "out", splits={"test": 1.0})
    assert list(report["splits"]) == ["test"] and report["splits"]["test"]["utterances"] == 30
    assert sorted(path.name for path in (tmp_path / "out").glob("*_manifest.json")) == ["test_manifest.json"]


def test_two_runs_in_one_folder_are_refused(make_corpus, tmp_path):
    folder = make_corpus(ROWS[:1])
    code = f"""
import fcntl, pathlib, sys, time
shards = pathlib.Path({str(tmp_path / "out/.units")!r}); shards.mkdir(parents=True)
lock = (shards / "lock").open("w"); fcntl.lockf(lock, fcntl.LOCK_EX)
print("locked", flush=True); time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(OSError, match="found another run in this folder"):
            prepare(folder, tmp_path / "out", splits={"train": 1.0})
        other.kill()
    assert prepare(folder, tmp_path / "out", splits={"train": 1.0})["kept"] == 1


def test_another_corpus_in_the_same_folder_is_refused(make_corpus, tmp_path):
    first = make_corpus(ROWS, name="first")
    prepare(first, tmp_path / "out")
    before = read_outputs(tmp_path / "out")
    second = make_corpus(ROWS[:3], name="second")
    fault = (
        r"out: found the data of corpus=tsv corpus_dir=.*/first, expected an empty folder .*choose another output_dir"
    )
    with pytest.raises(ValueError, match=fault):
        prepare(second, tmp_path / "out", splits={"train": 1.0})
    assert read_outputs(tmp_path / "out") == before
    shutil.rmtree(tmp_path / "out/.units")  # the report alone names the corpus, too
    with pytest.raises(ValueError, match=fault):
        prepare(second, tmp_path / "out", splits={"train": 1.0})
    prepare(first, tmp_path / "out")


def test_a_manifest_that_is_not_of_this_job_is_not_overwritten(make_corpus, tmp_path):
    folder = make_corpus(ROWS[:1])
    prepare(folder, tmp_path / "a", splits={"train": 1.0})
    (tmp_path / "b").mkdir()
    (tmp_path / "a/train_manifest.json").rename(tmp_path / "b/train_manifest.json")
    with pytest.raises(ValueError, match=r"b: found train_manifest\.json, which no earlier run of this job wrote"):
        prepare_corpus("nemo", tmp_path / "b/train_manifest.json", tmp_path / "b", splits={"train": 1.0})


def test_two_corpora_never_share_a_converted_file(make_corpus, write_audio, tmp_path):
    names = []
    for number, corpus in enumerate(("one", "two")):
        write_audio(tmp_path / corpus / "a.wav", rate=8000, pitch=400 + number)
        prepare(make_corpus([("a.wav", "s", "कमल")], name=corpus), tmp_path / f"out {corpus}", splits={"train": 1.0})
        (row,) = read_manifest(tmp_path / f"out {corpus}/train_manifest.json")
        names.append(row["audio_filepath"])
    assert names[0].startswith("audio/one/") and names[1] == names[0].replace("/one/", "/two/")

"""scripts/synthesize_speech.py as a user runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    lines = ["आज बारिश हो रही है।", "वह घर पर नहीं है।", "कल 5 बजे आना।", "हम सब मेला देखने गए।", "पानी बहुत ठंडा था।"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def texts_of(corpus: Path) -> set[str]:
    table = (corpus / "transcripts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {row.split("\t")[4] for row in table}


@pytest.mark.slow
def test_corpus_is_read_by_prepare_data(text: Path, tmp_path: Path):
    corpus = tmp_path / "corpus"
    arguments = ("voices=[espeak-f3-p60-s160,espeak-m3-p40-s150]", "voices_per_sentence=2", "skip_unusable=true")
    done = run("scripts/synthesize_speech.py", f"text={text}", f"corpus_dir={corpus}", *arguments)
    assert done.returncode == 0, done.stderr
    assert "lines left out, outside the alphabet: 1" in done.stdout
    prepared = run(
        "scripts/prepare_data.py", "corpus=tsv", f"corpus_dir={corpus}", f"output_dir={tmp_path / 'data'}",
        "splits={train: 1.0}",
    )  # fmt: skip
    assert prepared.returncode == 0, prepared.stderr
    manifest = (tmp_path / "data" / "train_manifest.json").read_text(encoding="utf-8").splitlines()
    assert len(manifest) == 8


@pytest.mark.slow
def test_two_cuts_of_one_text_are_disjoint_and_exclude_is_obeyed(text: Path, tmp_path: Path):
    other = tmp_path / "other.txt"
    other.write_text("पानी बहुत ठंडा था\n", encoding="utf-8")
    arguments = (f"text=[{text}]", "voices=espeak-hi-p50-s150", f"exclude={other}", "skip_unusable=true")
    for name, cut in (("a", ["max_sentences=1"]), ("b", ["skip_sentences=1"])):
        done = run("scripts/synthesize_speech.py", *arguments, f"corpus_dir={tmp_path / name}", *cut)
        assert done.returncode == 0, done.stderr
    first, second = texts_of(tmp_path / "a"), texts_of(tmp_path / "b")
    assert len(first) == 1 and len(second) == 2 and not first & second
    assert "पानी बहुत ठंडा था" not in first | second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["voices=[espeak-nobody-p50-s150]", "skip_unusable=true"], "no variant 'nobody'"),
        (["voices=[loud]", "skip_unusable=true"], "voice 'loud': expected"),
        (["voices=[espeak-hi-p50-s150]"], "DIGIT FIVE"),
        (["skip_unusable=true"], "voices"),
        (["voices=[espeak-hi-p50-s150]", "skip_unusable=true", "skip_sentences=9"], "skip_sentences=9"),
    ],
)
def test_wrong_arguments_get_one_line(text: Path, tmp_path: Path, arguments: list[str], message: str):
    done = run("scripts/synthesize_speech.py", f"text={text}", f"corpus_dir={tmp_path / 'c'}", *arguments)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "c").exists()

"""Notes and abbreviations get the same treatment in every reader."""

import json
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_prep.prepare.report import format_preparation
from data_prep.prepare.validation import check_manifest
from data_prep.text.transliteration import PROGRAM
from layout_files import make_tone, write_lines
from preparing import prepare_corpus

NOTED, PLAIN = "राम <noise> डॉ. श्याम (हँसी) आए", "सीता घर गई"
STRIPPED, KEPT = "राम डॉक्टर श्याम आए", "राम noise डॉक्टर श्याम हँसी आए"
ROWS = (("a.wav", NOTED), ("b.wav", PLAIN))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    for at, (name, _) in enumerate(ROWS):
        soundfile.write(tmp_path / "corpus" / name, make_tone(300 + 100 * at, seconds=2), 16000)
    return tmp_path / "corpus"


def write_tsv(folder: Path) -> str:
    write_lines(folder / "transcripts.tsv", "path\ttext", *("\t".join(row) for row in ROWS))
    return "tsv"


def write_csv(folder: Path) -> str:
    write_lines(folder / "transcripts.csv", "path,text", *(",".join(row) for row in ROWS))
    return "csv"


def write_nemo(folder: Path) -> str:
    rows = (json.dumps({"audio_filepath": name, "text": text}) for name, text in ROWS)
    write_lines(folder / "train_manifest.json", *rows)
    return "nemo"


def write_kaldi(folder: Path) -> str:
    write_lines(folder / "text", *(f"u-{name} {text}" for name, text in ROWS))
    write_lines(folder / "wav.scp", *(f"u-{name} {name}" for name, _ in ROWS))
    return "kaldi"


def write_parquet(folder: Path) -> str:
    rows = [{"audio": {"bytes": (folder / name).read_bytes()}, "text": text} for name, text in ROWS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")
    return "huggingface"


@pytest.mark.parametrize("write", [write_tsv, write_csv, write_nemo, write_kaldi, write_parquet])
def test_every_reader_treats_notes_alike(recordings: Path, write):
    corpus = write(recordings)
    for annotations, noted in (("reject", None), ("strip", STRIPPED), ("keep", KEPT)):
        out = recordings.parent / annotations
        report = prepare_corpus(corpus, recordings, out, annotations=annotations, splits={"train": 1.0}, num_workers=1)
        lines = (out / "train_manifest.json").read_text("utf-8").splitlines()
        texts = {json.loads(line)["text"] for line in lines}
        is_fit = annotations == "strip"  # noise, kept, has Latin letters
        assert texts == ({PLAIN, noted} if is_fit else {PLAIN})
        reason = {"reject": "annotation", "keep": "latin"}.get(annotations)
        assert report["rejected_by_reason"] == ({} if is_fit else {reason: 1})


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="needs the program espeak-ng")
def test_english_words_that_were_written_in_devanagari_are_listed(recordings: Path):
    texts = ("राम office आए", "meeting में office है", "BBC office है", "[office] सीता")
    for at in range(4):
        soundfile.write(recordings / f"{at}.wav", make_tone(300 + 100 * at, seconds=2), 16000)
    write_lines(recordings / "transcripts.tsv", "path\ttext", *(f"{at}.wav\t{text}" for at, text in enumerate(texts)))
    out = recordings.parent / "out"
    settings = {"latin": "transliterate", "annotations": "strip", "splits": {"train": 1.0}, "num_workers": 1}
    report = prepare_corpus("tsv", recordings, out, **settings)
    written = {row["word"]: (row["written"], row["utterances"]) for row in report["english_words"]}
    assert written == {
        "office": ("ऑफ़िस", 2),
        "meeting": ("मीटिंग", 1),
    }
    assert report["rejected_by_reason"] == {"latin": 1} and "-espeak-" in report["transliteration_fingerprint"]
    assert "2 different English words were written in Devanagari (office ऑफ़िस" in format_preparation(report)
    assert "office ऑफ़िस" in (out / "report.html").read_text("utf-8")
    rows = [json.loads(line) for line in (out / "train_manifest.json").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["राम ऑफ़िस आए", "मीटिंग में ऑफ़िस है", "सीता"] and "lang" not in rows[0]


def test_a_check_before_training_finds_notes(recordings: Path):
    write_nemo(recordings)
    for annotations, reason in (("reject", "annotation"), ("keep", "latin")):
        report = check_manifest(recordings / "train_manifest.json", annotations=annotations)
        assert report["rejected_by_reason"] == {reason: 1}


@pytest.mark.parametrize(("annotations", "reason"), [("strip", "duplicate_path"), ("keep", "conflicting_text")])
def test_texts_of_one_audio_are_compared_as_the_policy_writes_them(recordings: Path, annotations: str, reason: str):
    texts = ("राम [हँसी] आए", "राम आए")
    write_lines(recordings / "transcripts.tsv", "path\ttext", *(f"a.wav\t{text}" for text in texts))
    report = prepare_corpus(
        "tsv", recordings, recordings.parent / "out", splits={"train": 1.0}, annotations=annotations
    )
    assert report["rejected_by_reason"] == {reason: 1} and report["kept"] == 1

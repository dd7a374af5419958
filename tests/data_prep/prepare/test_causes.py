"""Rows that fail for one cause: the cause is said once, with what to do."""

import json
import subprocess
import unicodedata
from pathlib import Path

import pytest

from data_prep.prepare.causes import CAUSES
from data_prep.prepare.report import check_success, format_preparation
from preparing import prepare_corpus

TEXT = "कमल खिला"
NFC, NFD = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")


def prepare(folder: Path, corpus: str = "tsv", **arguments) -> dict:
    return prepare_corpus(corpus, folder, folder.parent / "out", splits={"train": 1.0}, num_workers=1, **arguments)


def write_table(folder: Path, paths: list[str], texts: list[str] | None = None) -> None:
    rows = zip(paths, texts or [TEXT] * len(paths), strict=True)
    lines = ["path\ttext", *(f"{path}\t{text}" for path, text in rows)]
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("listed", "on_disk", "cause", "remedy"),
    [
        ("clips\\{}.wav", "clips/{}.wav", "backslashes", "write / instead of \\"),
        ("C:\\data\\{}.wav", "{}.wav", "backslashes", "write / instead of \\"),
        (f"{NFC}/{{}}.wav", f"{NFD}/{{}}.wav", "unicode_form", f"'{NFD}/0.wav' is on the disk"),
        ("Clips/A{}.WAV", "clips/a{}.wav", "letter_case", "'clips/a0.wav' is on the disk"),
        ("{}.wav", "clips/{}.wav", "missing_folder", "write the paths as 'clips/0.wav'"),
        ("/home/me/corpus/clips/{}.wav", "clips/{}.wav", "surplus_folder", "write the paths as 'clips/0.wav'"),
        ("corpus/{}.wav", "{}.wav", "surplus_folder", "write the paths as '0.wav'"),
        ("clips/{}", "clips/{}.wav", "other_suffix", "write the paths as 'clips/0.wav'"),
        ("clips/{}.mp3", "clips/{}.wav", "other_suffix", "write the paths as 'clips/0.wav'"),
    ],
)
def test_paths_that_differ_from_the_file_names(write_audio, tmp_path, listed, on_disk, cause, remedy):
    folder = tmp_path / "corpus"
    for number in range(3):
        write_audio(folder / on_disk.format(number), pitch=300 + number)
    write_table(folder, [listed.format(number) for number in range(3)])
    report = prepare(folder)
    (found,) = report["causes"]
    assert (found["cause"], found["rows"]) == (cause, 3)
    assert found["message"].startswith("3 rows: found audio paths ") and remedy in found["message"]
    assert format_preparation(report).count(found["message"]) == 1
    with pytest.raises(ValueError, match="found no row to keep among 3"):
        check_success(report)


def test_the_good_rows_are_kept_and_a_missing_file_has_no_cause(write_audio, tmp_path):
    folder = tmp_path / "corpus"
    for number in range(3):
        write_audio(folder / f"clips/{number}.wav", pitch=300 + number)
    write_table(folder, ["clips/0.wav", "1.wav", "2.wav", "nowhere.wav", "x" * 300 + ".wav"])
    report = prepare(folder)
    assert report["kept"] == 1 and report["rejected_by_reason"] == {"missing_audio": 4}
    assert [(cause["cause"], cause["rows"]) for cause in report["causes"]] == [("missing_folder", 2)]
    assert "e.g. transcripts.tsv:3: " in format_preparation(report) and check_success(report) == 3


def test_audio_that_is_still_in_an_archive(tmp_path):
    folder = tmp_path / "corpus"
    (folder / "audio").mkdir(parents=True)
    (folder / "audio/train.tar.gz").write_bytes(b"\x1f\x8b")
    write_table(folder, ["audio/train/0.wav", "audio/train/1.wav"])
    (found,) = prepare(folder)["causes"]
    assert (found["cause"], found["rows"]) == ("archive", 2) and "unpack 'audio/train.tar.gz'" in found["message"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 100\n", "lfs_pointer"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "web_page"),
        (b'{"error": "no access"}', "web_page"),
        (b"\x1f\x8b\x08\x00abcdefgh", "packed"),
        (b"PK\x03\x04abcdefgh", "packed"),
    ],
)
def test_files_that_are_no_audio(tmp_path, content, cause):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.wav").write_bytes(content)
    write_table(folder, ["0.wav", "1.wav"])
    (found,) = prepare(folder)["causes"]
    assert (found["cause"], found["rows"]) == (cause, 2)
    assert CAUSES[cause][1].partition("{")[0] in found["message"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (TEXT.encode().decode("latin-1"), "mojibake"),
        (
            "".join(
                bytes([b]).decode("cp1252" if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")
                for b in TEXT.encode()
            ),
            "mojibake",
        ),
        ("???? ????", "question_marks"),
        ("क\ufffdल", "replacement_characters"),
    ],
)
def test_texts_that_were_damaged(write_audio, tmp_path, text, cause):
    folder = tmp_path / "corpus"
    for number in range(2):
        write_audio(folder / f"{number}.wav", pitch=300 + number)
    write_table(folder, ["0.wav", "1.wav"], [text.replace("\n", " ")] * 2)
    report = prepare(folder)
    (found,) = report["causes"]
    assert (found["cause"], found["rows"], report["kept"]) == (cause, 2, 0)
    if cause == "mojibake":
        assert f"'{TEXT}' was meant" in found["message"]


def test_the_job_says_a_cause_once_and_fails_where_nothing_is_kept(write_audio, tmp_path, prepare_command):
    folder = tmp_path / "corpus"
    for number in range(20):
        write_audio(folder / f"clips/{number}.wav", pitch=300 + number)
    write_table(folder, [f"{number}.wav" for number in range(20)])
    command = [*prepare_command, f"corpus_dir={folder}", f"output_dir={tmp_path / 'out'}", "splits={train: 1.0}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.count("lack a folder") == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("error: corpus_dir=") and "20 rows: found audio paths that lack a folder" in error
    assert "missing_audio" in (tmp_path / "out/rejected.jsonl").read_text("utf-8")
    assert json.loads((tmp_path / "out/report.json").read_text("utf-8"))["causes"][0]["rows"] == 20

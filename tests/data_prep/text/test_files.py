"""Whole files through the normaliser, and the job as a user runs it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from data_prep.text import files as text_files
from data_prep.text.alphabet import load_alphabet
from data_prep.text.files import FileReport, format_report, normalize_file
from data_prep.text.normalizer import RULE_NAMES, normalize_text, trace_rules
from data_prep.text.policy import TextPolicy
from project import ROOT

LINES = ["अाज बारिश हुई।", "", "10 लोग आए", "यह test है", "राज ा", "...", "२५% सही", "हाँ 😀 ठीक है", "௧ रुपया"]


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    return {
        "input_path": tmp_path / "in.txt",
        "output_path": tmp_path / "new" / "out.txt",
        "rejected_path": tmp_path / "rejected.jsonl",
    }


def write(paths: dict[str, Path], content: str | bytes) -> None:
    paths["input_path"].write_bytes(content if isinstance(content, bytes) else content.encode())


def read_rejected(paths: dict[str, Path]) -> list[dict]:
    return [json.loads(line) for line in paths["rejected_path"].read_bytes().splitlines()]


def test_line_in_line_out(paths):
    write(paths, "\n".join(LINES) + "\n")
    report = normalize_file(**paths, num_workers=1)
    expected = ["आज बारिश हुई", "", "", "", "", "", "", "हाँ ठीक है", ""]
    assert paths["output_path"].read_text(encoding="utf-8").split("\n") == [*expected, ""]
    rejected = read_rejected(paths)
    assert [(row["line"], row["reason"]) for row in rejected] == [
        (3, "numbers"),
        (4, "latin"),
        (5, "malformed_text"),
        (6, "empty_text"),
        (7, "numbers"),
        (9, "numbers"),
    ]
    assert rejected[0] == {
        "line": 3,
        "reason": "numbers",
        "offending": ["U+0031 DIGIT ONE", "U+0030 DIGIT ZERO"],
        "text": "10 लोग आए",
        "normalized": "10 लोग आए",
    }
    assert (report.lines, report.kept, report.blank) == (9, 2, 1)
    assert report.rejected == {"numbers": 3, "latin": 1, "malformed_text": 1, "empty_text": 1}
    changes = [{change.rule for change in trace_rules(line, TextPolicy())[1]} for line in LINES]
    assert report.rules == Counter(rule for rules in changes for rule in rules)


def test_numbers_are_said_where_that_is_asked_for(paths):
    pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")
    write(paths, "\n".join(LINES))
    report = normalize_file(**paths, policy=TextPolicy("verbalize"), num_workers=1)
    texts = paths["output_path"].read_text(encoding="utf-8").split("\n")
    assert texts[2] == "दस लोग आए" and texts[6] == "पच्चीस प्रतिशत सही" and len(texts) == len(LINES) + 1
    assert report.rules["plain_number"] == 1 and report.rules["percent"] == 1
    assert not set("".join(texts)) - set(load_alphabet())


def test_what_is_kept(paths):
    write(paths, "\n".join(LINES))
    report = normalize_file(**paths, policy=TextPolicy("keep", "keep"), num_workers=1)
    texts = paths["output_path"].read_text(encoding="utf-8").split("\n")
    assert texts[2] == "10 लोग आए" and texts[3] == "यह test है" and texts[6] == "२५% सही"
    assert report.rejected == {"malformed_text": 1, "empty_text": 1}


def test_only_a_line_feed_ends_a_line(paths):
    write(paths, "क\u2028ख\r\nग\x0bघ\x85च\rछ\n\nज".encode())
    report = normalize_file(**paths, num_workers=1)
    assert paths["output_path"].read_text(encoding="utf-8") == "क ख\nग घ च छ\n\nज\n"
    assert (report.lines, report.kept, report.blank) == (4, 3, 1)


def test_a_line_that_is_not_utf8_costs_no_other(paths):
    write(paths, b"\xe0\xa4\x95\n\xe0\xa4\x95\xff\xe0\xa4\x96\n\xe0\xa4\x97\n")
    report = normalize_file(**paths, num_workers=1)
    assert paths["output_path"].read_text(encoding="utf-8") == "क\n\nग\n"
    row = read_rejected(paths)[0]
    assert (row["line"], row["reason"], row["offending"]) == (2, "not_utf8", ["byte 0xFF at position 4"])
    assert row["text"] == "क\ufffdख" and report.rejected == {"not_utf8": 1}


def test_an_empty_file(paths):
    write(paths, "")
    assert normalize_file(**paths).lines == 0
    assert paths["output_path"].read_bytes() == paths["rejected_path"].read_bytes() == b""


def test_the_output_does_not_depend_on_workers_or_chunks(paths, monkeypatch):
    write(paths, "\n".join(f"{line} {'क' * (number % 7)}" for number, line in enumerate(LINES * 60)))
    outputs = []
    for workers, chunk in ((1, 500), (3, 7), (2, 1)):
        monkeypatch.setattr(text_files, "CHUNK_LINES", chunk)
        explained: list[str] = []
        report = normalize_file(**paths, num_workers=workers, explain=explained.append)
        report.seconds = 0
        outputs.append((paths["output_path"].read_bytes(), paths["rejected_path"].read_bytes(), explained, report))
    assert outputs[0] == outputs[1] == outputs[2] and outputs[0][0].count(b"\n") == len(LINES) * 60


def test_a_failure_leaves_what_was_there(paths, monkeypatch):
    write(paths, "क")
    normalize_file(**paths, num_workers=1)
    before = {name: path.read_bytes() for name, path in paths.items() if name != "input_path"}
    monkeypatch.setattr(text_files, "trace_rules", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        normalize_file(**paths, num_workers=1)
    assert before == {name: path.read_bytes() for name, path in paths.items() if name != "input_path"}
    assert not list(paths["input_path"].parent.rglob("*.tmp"))


def test_explanations(paths):
    write(paths, "ठीक है\nअाज।\nx\n")
    explained: list[str] = []
    normalize_file(**paths, num_workers=1, explain=explained.append)
    assert explained == [
        "line 2\n  remove_dandas: 'अाज।' → 'अाज '\n  collapse_whitespace: 'अाज ' → 'अाज'\n"
        "  merge_look_alikes: 'अाज' → 'आज'",
        "line 3\n  rejected, latin: U+0078 LATIN SMALL LETTER X",
    ]


def test_the_table_names_every_rule_and_accounts_for_every_line():
    report = FileReport(10, 6, 1, Counter({"latin": 2, "numbers": 1}), Counter({"remove_dandas": 5}), 2.0)
    table = format_report(report)
    rows = dict(line.rsplit(None, 1) for line in table.splitlines() if line.count("  "))
    assert rows["remove_dandas"] == "5" and rows["latin"] == "2" and set(RULE_NAMES) <= set(rows)
    assert "10 lines = 6 kept + 1 blank + 3 rejected; 2.0 s, 5 lines/s" in table


def test_every_real_line_is_accounted_for(shared_data: Path, paths):
    source = shared_data / "text" / "pratham_books_hi.CC-BY-4.0.txt"
    report = normalize_file(source, paths["output_path"], paths["rejected_path"], num_workers=2)
    lines = source.read_text(encoding="utf-8").split("\n")[: report.lines]
    texts = paths["output_path"].read_text(encoding="utf-8").split("\n")[:-1]
    assert len(texts) == len(lines) == report.kept + report.blank + report.rejected.total()
    rejected = {row["line"]: row for row in read_rejected(paths)}
    assert len(rejected) == report.rejected.total() > 0
    for number, (line, text) in enumerate(zip(lines, texts, strict=True), 1):
        if number in rejected:
            assert text == "" and rejected[number]["text"] == line.rstrip("\r")
            assert rejected[number]["normalized"] == normalize_text(line, TextPolicy())
        else:
            assert text == normalize_text(line, TextPolicy()) and not set(text) - set(load_alphabet())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "normalize_text.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_job(paths):
    write(paths, "अाज\n5\n")
    out, rejected = paths["output_path"], paths["rejected_path"]
    arguments = [f"input={paths['input_path']}", f"output={out}", f"rejected={rejected}", "num_workers=1"]
    done = run(*arguments, "explain=true")
    assert done.returncode == 0 and "line 1\n  merge_look_alikes: 'अाज' → 'आज'" in done.stdout
    assert "2 lines = 1 kept + 0 blank + 1 rejected" in done.stdout and "in.txt: 100%" in done.stderr
    assert out.read_text(encoding="utf-8") == "आज\n\n" and read_rejected(paths)[0]["reason"] == "numbers"
    write(paths, b"\xff\n")
    assert run(*arguments).returncode == 3


@pytest.mark.parametrize(
    ("content", "arguments", "fault"),
    [
        (None, [], "error: input={input}: no such file"),
        ("\ufeffक".encode("utf-16"), [], "error: {input}: found UTF-16 text, expected a text file in UTF-8"),
        (b"\x1f\x8b\x08\x00", [], "error: {input}: found a gzip file, expected a text file in UTF-8"),
        (b"", ["output={input}"], "error: input={input}, output={input}, rejected="),
        (b"", ["numbers=spell"], "error: numbers=spell: expected one of reject, verbalize, keep"),
        (
            b"",
            ["latin=transliterate", "language=ta"],
            "error: latin=transliterate: expected language=hi, found ta; only",
        ),
        (b"", ["num_workers=0"], "error: num_workers=0: expected a whole number, 1 or more, or null"),
        (b"", ["alphabet=/absent"], "error: /absent: found no file, expected an alphabet"),
    ],
)
def test_wrong_input_is_one_line(paths, content, arguments, fault):
    if content is not None:
        write(paths, content)
    source = paths["input_path"]
    given = dict(argument.split("=") for argument in arguments)
    keys = {"input": source, "output": paths["output_path"], "rejected": paths["rejected_path"], **given}
    done = run(*(f"{key}={str(value).format(input=source)}" for key, value in keys.items()))
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(fault.format(input=source)) and not paths["output_path"].exists()

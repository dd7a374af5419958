import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.corpora import MalformedRow, Utterance
from data_prep.prepare.work_units import UnitSettings, WorkUnit, process_unit, read_results
from data_prep.selection.quality import QualityLimits
from data_prep.text.alphabet import load_alphabet


@pytest.fixture
def make_unit(tmp_path: Path) -> Callable[..., WorkUnit]:
    def make(
        *paths: str, text: str = "नमस्ते", duplicates: dict[int, tuple[str, str]] | None = None, **settings: float
    ) -> WorkUnit:
        rows = [Utterance("t.tsv", line, path, str(tmp_path / path), text, "s") for line, path in enumerate(paths, 2)]
        limits = QualityLimits(**{"min_duration": 0.5, "max_duration": 3.0, **settings})
        return WorkUnit(
            0, 0, rows, duplicates or {}, UnitSettings(tmp_path / "out", "corpus", tuple(load_alphabet()), limits)
        )

    return make


def test_good_audio_is_referenced_and_other_audio_converted(tmp_path, write_audio, make_unit):
    write_audio(tmp_path / "good.flac")
    write_audio(tmp_path / "phone/good.wav", rate=8000, seconds=1.25)
    unit = make_unit("good.flac", "phone/good.wav", text="दुःख: है।")
    done = process_unit(unit)
    assert (done.rows, done.reused, [row.at for row in done.kept]) == (2, False, [0, 1])
    good, phone = (result["kept"] for result in read_results([unit.path]))
    shared = {"text": "दुःख है", "speaker": "s", "source": "corpus"}
    assert good == {"audio_filepath": str(tmp_path / "good.flac"), "duration": 1.0, **shared}
    assert phone == {"audio_filepath": phone["audio_filepath"], "duration": 1.25, **shared}
    assert phone["audio_filepath"].startswith("audio/") and (tmp_path / "out" / phone["audio_filepath"]).is_file()


def test_every_reason_is_given(tmp_path, write_audio, make_unit):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "folder.wav").mkdir()
    write_audio(tmp_path / "header.wav", seconds=0)
    write_audio(tmp_path / "header8k.wav", seconds=0, rate=8000)
    write_audio(tmp_path / "short.wav", seconds=0.4)
    write_audio(tmp_path / "long.wav", seconds=3.1, rate=8000)
    write_audio(tmp_path / "good.wav")
    reasons = {
        "absent.wav": ("missing_audio", "absent.wav: no such file"),
        "folder.wav": ("missing_audio", "folder.wav: found a folder"),
        "x" * 300 + ".wav": ("missing_audio", "too long"),
        "empty.wav": ("empty_audio", "the file has 0 bytes"),
        "text.wav": ("unreadable_audio", "sox FAIL"),
        "header.wav": ("empty_audio", "0 samples"),
        "header8k.wav": ("empty_audio", "0 samples"),
        "short.wav": ("too_short", "0.400 s"),
        "long.wav": ("too_long", "3.100 s"),
        "good.wav": ("duplicate_path", "first listed in line 1"),
    }
    unit = make_unit(*reasons, duplicates={9: ("duplicate_path", "first listed in line 1")})
    process_unit(unit)
    rejected = [result["rejected"] for result in read_results([unit.path])]
    assert [(row["path"], row["reason"]) for row in rejected] == [
        (path, reason) for path, (reason, _) in reasons.items()
    ]
    for row in rejected:
        assert reasons[row["path"]][1] in row["detail"]
        assert row["file"] == "t.tsv" and row["line"] == 2 + rejected.index(row) and row["text"] == "नमस्ते"
    assert not list((tmp_path / "out").glob("audio/*")) and not list((tmp_path / "out/.units/tmp").iterdir())


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("।", "empty_text", "nothing is left"),
        ("70वीं", "numbers", "U+0037 DIGIT SEVEN, U+0030 DIGIT ZERO"),
        ("क" * 25, "ctc_infeasible", "48 encoder frames, 49 needed"),
    ],
)
def test_texts_are_rejected_as_they_were_written(tmp_path, write_audio, make_unit, text, reason, detail):
    write_audio(tmp_path / "a.wav", seconds=0.98)
    unit = make_unit("a.wav", text=text)
    process_unit(unit)
    (result,) = read_results([unit.path])
    assert result["rejected"]["reason"] == reason and detail in result["rejected"]["detail"]
    assert result["rejected"]["text"] == text


def test_malformed_rows_pass_through(make_unit):
    unit = make_unit()
    unit = WorkUnit(3, 300, [MalformedRow("t.tsv", 7, "a\tb", "found 2 columns")], {}, unit.settings)
    process_unit(unit)
    assert unit.path.name == "000003.jsonl"
    (result,) = read_results([unit.path])
    expected = {
        "reason": "malformed_row",
        "detail": "found 2 columns",
        "file": "t.tsv",
        "line": 7,
        "path": None,
        "text": "a\tb",
    }
    assert result == {"rejected": expected}


def test_a_finished_unit_is_reused_until_something_changes(tmp_path, write_audio, make_unit):
    write_audio(tmp_path / "a.wav", rate=8000)
    unit = make_unit("a.wav")
    assert not process_unit(unit).reused and process_unit(unit).reused
    assert not process_unit(make_unit("a.wav", text="और")).reused
    assert not process_unit(make_unit("a.wav", max_duration=4.0)).reused
    assert not process_unit(unit).reused and process_unit(unit).reused
    write_audio(tmp_path / "a.wav", rate=8000, seconds=2)
    unit = make_unit("a.wav")
    assert not process_unit(unit).reused
    (kept,) = read_results([unit.path])
    assert kept["kept"]["duration"] == 2.0
    (tmp_path / "out" / kept["kept"]["audio_filepath"]).unlink()
    assert not process_unit(unit).reused and process_unit(unit).reused
    unit.path.write_text(unit.path.read_text()[:-10])
    assert not process_unit(unit).reused and json.loads(unit.path.read_text().splitlines()[-1])


def test_equal_names_in_different_places_do_not_collide(tmp_path, write_audio, make_unit):
    for path in ("x/a.wav", "y/a.wav", "x/a.aiff", "../outside.wav"):
        write_audio(tmp_path / path, rate=8000)
    unit = make_unit("x/a.wav", "y/a.wav", "x/a.aiff", "../outside.wav", "क" * 80 + ".wav")
    write_audio(tmp_path / ("क" * 80 + ".wav"), rate=8000)
    process_unit(unit)
    names = [result["kept"]["audio_filepath"] for result in read_results([unit.path])]
    assert len(set(names)) == 5
    assert all((tmp_path / "out" / name).resolve().is_relative_to(tmp_path / "out" / "audio") for name in names)

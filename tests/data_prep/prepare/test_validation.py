import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.manifest import read_manifest
from data_prep.prepare.validation import check_manifest
from project import ROOT

SCRIPT = ROOT / "scripts" / "check_manifest.py"
FAULTY = ["missing_audio", "numbers", "malformed_row", "duplicate_audio", "truncated_audio", "bad_segment"]


@pytest.fixture
def manifest(tmp_path, write_audio) -> Path:
    """Three sound rows, four to repair, seven beyond repair, and an empty line."""
    for number in range(6):
        write_audio(tmp_path / f"in/{number}.wav", seconds=2, pitch=300 + number)
    write_audio(tmp_path / "in/stereo.wav", seconds=2, rate=44100, channels=2, pitch=500)
    soundfile.write(tmp_path / "in/copy.flac", soundfile.read(tmp_path / "in/0.wav", dtype="int16")[0], 16000)
    whole = write_audio(tmp_path / "in/torn.wav", pitch=600).read_bytes()
    (tmp_path / "in/torn.wav").write_bytes(whole[:20000])
    write_audio(tmp_path / "in/long.wav", seconds=9, pitch=700)
    good = {"duration": 2.0, "text": "कमल खिला"}
    rows = [
        {"audio_filepath": "0.wav", **good, "speaker": 7, "lang": "hi"},
        {"audio_filepath": str(tmp_path / "in/1.wav"), **good},
        {"audio_filepath": "long.wav", "offset": 1.5, **good},
        {"audio_filepath": "2.wav", **good, "duration": 2.5},
        {"audio_filepath": "3.wav", "text": "कमल खिला"},
        {"audio_filepath": "4.wav", **good, "text": "कमल, खिला।"},
        {"audio_filepath": "stereo.wav", **good},
        {"audio_filepath": "absent.wav", **good},
        {"audio_filepath": "5.wav", **good, "text": "5 कमल"},
        {"audio_filepath": "copy.flac", **good},
        {"audio_filepath": "torn.wav", **good},
        {"audio_filepath": "long.wav", "offset": 8.5, **good},
        {"audio_filepath": "5.wav", **good, "offset": "x"},
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path = tmp_path / "in/manifest.json"
    path.write_text("\n".join([*lines[:8], "", "{broken", *lines[8:]]) + "\n", encoding="utf-8")
    return path


def test_every_fault_is_named_with_its_line(manifest):
    report = check_manifest(manifest, num_workers=1)
    assert (report["in"], report["sound"], report["kept"], report["rejected"]) == (14, 3, 7, 7)
    assert report["repaired_by_fault"] == {"wrong_duration": 2, "not_normalized": 1, "wrong_format": 1}
    assert report["rejected_by_reason"] == {**dict.fromkeys(FAULTY, 1), "malformed_row": 2}
    found = {fault["line"]: (fault["fault"], fault["detail"]) for fault in report["faults"]}
    assert list(found) == [4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]
    assert found[4] == ("wrong_duration", "2.5 s, the audio has 2.000 s") and "none" in found[5][1]
    assert found[6] == ("not_normalized", "'कमल, खिला।' becomes 'कमल खिला'")
    assert found[7] == ("wrong_format", "44100 Hz, 2 channels, WAV PCM_16")
    assert found[10][0] == "malformed_row" and "found no line of JSON" in found[10][1]
    assert found[12] == ("duplicate_audio", "the samples of 0.wav, line 1")
    assert "offset" in found[15][1] and not (manifest.parent / "audio").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_fixed_is_sound_and_nothing_else_changes(manifest, tmp_path, workers):
    output = tmp_path / "out/fixed.json"
    before = {path: path.read_bytes() for path in sorted(manifest.parent.iterdir())}
    report = check_manifest(manifest, "fix", output, num_workers=workers)
    assert {path: path.read_bytes() for path in sorted(manifest.parent.iterdir())} == before
    rows = read_manifest(output)
    assert [row["duration"] for row in rows] == [2.0] * 7 and {row["text"] for row in rows} == {"कमल खिला"}
    first = {"audio_filepath": str(manifest.parent / "0.wav"), "duration": 2.0, "text": "कमल खिला"}
    assert rows[0] == {**first, "speaker": "7", "lang": "hi"}
    assert rows[2]["offset"] == 1.5 and rows[6]["audio_filepath"].startswith("audio/")
    samples, rate = soundfile.read(output.parent / rows[6]["audio_filepath"])
    assert rate == 16000 and np.abs(np.fft.rfft(samples)).argmax() / 2 == pytest.approx(500, abs=1)
    rejected = [json.loads(line) for line in (tmp_path / "out/fixed.rejected.jsonl").read_text("utf-8").splitlines()]
    assert [row["line"] for row in rejected] == [8, 10, 11, 12, 13, 14, 15] and report["rejected"] == 7
    again = check_manifest(output, num_workers=1)
    assert (again["sound"], again["faults"]) == (7, [])


def test_a_prepared_corpus_is_sound(make_corpus, tmp_path, write_audio):
    from preparing import prepare_corpus

    write_audio(tmp_path / "corpus/0.wav", rate=22050, channels=2, pitch=999)
    folder = make_corpus([(f"{number}.wav", f"s{number}", "कमल, खिला") for number in range(9)])
    prepare_corpus("tsv", folder, tmp_path / "out", num_workers=1)
    for split in ("train", "dev", "test"):
        report = check_manifest(tmp_path / f"out/{split}_manifest.json", duplicate_text="reject", num_workers=1)
        assert report["in"] == report["sound"] > 0


@pytest.mark.slow
def test_the_job(manifest, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, SCRIPT, f"manifest={manifest}", "num_workers=1", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(f"faults={tmp_path / 'faults.jsonl'}")
    assert done.returncode == 3 and "14 rows, 3 sound, 4 to repair, 7 beyond repair" in done.stdout, done.stderr
    assert "missing_audio: 1, the audio file is not there\n  line 8: " in done.stdout
    assert len((tmp_path / "faults.jsonl").read_text(encoding="utf-8").splitlines()) == 11
    for arguments, fault in (
        (["mode=fix"], "output=None: expected a new file with mode=fix"),
        (["mode=fix", f"output={manifest}"], "expected another file than the manifest itself"),
        (["mode=check"], "mode=check: expected one of validate, fix"),
        (["min_level=loud"], "min_level=loud: expected a number"),
    ):
        done = run(*arguments)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and fault in done.stderr


def test_a_tarred_manifest_is_refused(tmp_path):
    path = tmp_path / "tarred.json"
    path.write_text(json.dumps({"audio_filepath": "a.wav", "duration": 1.0, "text": "क", "shard_id": 0}) + "\n")
    with pytest.raises(ValueError, match=r"tarred\.json:1: found a tarred manifest"):
        check_manifest(path, num_workers=1)


def test_an_empty_manifest_is_not_sound(tmp_path: Path):
    (tmp_path / "empty.json").write_text("\n", encoding="utf-8")
    command = [sys.executable, str(SCRIPT), f"manifest={tmp_path / 'empty.json'}", "mode=validate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "empty.json: found no row" in done.stderr


def test_audio_whose_header_gives_another_length_is_written_again(tmp_path: Path, write_audio):
    """NeMo's readers believe the header: they would read nothing of this recorder's file."""
    path = write_audio(tmp_path / "in/a.wav", seconds=2)
    content = bytearray(path.read_bytes())
    content[40:44] = bytes(4)
    path.write_bytes(content)
    (tmp_path / "in/m.json").write_text(json.dumps({"audio_filepath": "a.wav", "duration": 2.0, "text": "कमल खिला"}))
    report = check_manifest(tmp_path / "in/m.json", "fix", tmp_path / "out/m.json")
    assert report["repaired_by_fault"] == {"wrong_format": 1}
    (row,) = read_manifest(tmp_path / "out/m.json")
    assert soundfile.info(tmp_path / "out" / row["audio_filepath"]).frames == 32_000

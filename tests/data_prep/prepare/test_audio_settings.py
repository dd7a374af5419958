"""The job's keys for audio, `channel` and `trim_silence`, from the command line to the files."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.prepare.report import format_preparation
from layout_files import TEXTS, find_pitch, make_tone, write_lines, write_tone
from preparing import prepare_corpus


def prepare(root: Path, **settings) -> list[dict]:
    """Prepare a corpus of one Kaldi-like call and give its rows."""
    prepare_corpus("tsv", root, root / "out", splits={"train": 1.0}, num_workers=1, **settings)
    return [json.loads(line) for line in (root / "out/train_manifest.json").read_text("utf-8").splitlines()]


def find_peak_hz(path: Path) -> float:
    samples, rate = soundfile.read(path)
    return float(np.abs(np.fft.rfft(samples, 4 * rate)).argmax() / 4)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A call with one voice a channel, and silence around both."""
    voices = np.stack([make_tone(find_pitch(text), rate=8000) for text in TEXTS[:2]], axis=1)
    silence = np.zeros((4000, 2))
    soundfile.write(tmp_path / "call.wav", np.concatenate([silence, voices, silence]), 8000)
    write_lines(tmp_path / "transcripts.tsv", "path\ttext", f"call.wav\t{TEXTS[0]}")
    return tmp_path


def test_a_channel_is_taken(call: Path):
    for channel in (0, 1):
        (row,) = prepare(call, channel=channel)
        assert row["duration"] == 1.8
        assert find_peak_hz(call / "out" / row["audio_filepath"]) == pytest.approx(find_pitch(TEXTS[channel]), abs=1)


def test_another_setting_is_another_run(call: Path):
    (both,) = prepare(call)
    mixed = (call / "out" / both["audio_filepath"]).read_bytes()
    (trimmed,) = prepare(call, trim_silence=True)
    assert trimmed["audio_filepath"] == both["audio_filepath"]
    assert (call / "out" / both["audio_filepath"]).read_bytes() != mixed
    assert trimmed["duration"] == pytest.approx(0.8 + 0.2, abs=0.02)  # 100 ms stay on each side, in frames of 10 ms


@pytest.mark.slow
def test_a_missing_channel_and_a_wrong_one(call: Path, prepare_command: list[str]):
    write_tone(call / "mono.wav", TEXTS[2])
    write_lines(call / "transcripts.tsv", "path\ttext", f"call.wav\t{TEXTS[0]}", f"mono.wav\t{TEXTS[2]}")
    command = [*prepare_command, f"corpus_dir={call}", f"output_dir={call / 'out'}", "splits={train: 1.0}"]
    done = subprocess.run([*command, "channel=1", "num_workers=1"], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "missing_channel" in done.stdout, done.stderr
    (rejected,) = [json.loads(line) for line in (call / "out/rejected.jsonl").read_text("utf-8").splitlines()]
    assert (rejected["reason"], rejected["line"]) == ("missing_channel", 3)
    done = subprocess.run([*command, "channel=left"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == (
        "error: channel=left: expected auto, average, a channel number from 0, or null\n"
    )


def test_audio_whose_header_has_no_length_is_named_in_the_report(make_corpus, tmp_path):
    folder = make_corpus([("a.wav", "s1", TEXTS[0]), ("b.wav", "s2", TEXTS[1])])
    content = bytearray((folder / "b.wav").read_bytes())
    content[40:44] = bytes(4)
    (folder / "b.wav").write_bytes(content)
    report = prepare_corpus("tsv", folder, tmp_path / "out", num_workers=1, splits={"train": 1.0})
    assert report["kept"] == 2 and report["audio_notes"]["rows"] == 1
    assert report["audio_notes"]["examples"] == {"b.wav": "its header gives a length of 0: read to the end of the file"}
    assert "note: look at the audio of 1 rows, e.g. b.wav: " in format_preparation(report)


def test_the_manifest_has_the_length_that_decodes_and_cut_files_are_rejected(make_corpus, tmp_path):
    """MP3 of a variable bit rate without an index: its header gives another length; half of it is no utterance."""
    folder = make_corpus([("a.wav", "s1", TEXTS[0])], name="first")
    tone = make_tone(440, seconds=4, rate=44_100)
    tone[: len(tone) // 2] *= 0.001
    soundfile.write(tmp_path / "tone.wav", tone, 44_100)
    piped = subprocess.run(
        ["sox", tmp_path / "tone.wav", "-C", "-4.2", "-t", "mp3", "-"], capture_output=True, check=True
    )
    (folder / "vbr.mp3").write_bytes(piped.stdout)
    subprocess.run(["sox", tmp_path / "tone.wav", "-C", "-4.2", folder / "indexed.mp3"], check=True)
    content = (folder / "indexed.mp3").read_bytes()
    (folder / "cut.mp3").write_bytes(content[: len(content) // 2])
    rows = [f"{name}.mp3\ts1\t{text}" for name, text in zip(("vbr", "indexed", "cut"), TEXTS[1:4], strict=True)]
    write_lines(folder / "transcripts.tsv", "path\tspeaker\ttext", *rows)
    report = prepare_corpus("tsv", folder, tmp_path / "out", num_workers=1, splits={"train": 1.0})
    kept = [json.loads(line) for line in (tmp_path / "out/train_manifest.json").read_text("utf-8").splitlines()]
    assert [row["duration"] for row in kept] == [pytest.approx(4, abs=0.08), pytest.approx(4, abs=0.001)]
    assert report["rejected_by_reason"] == {"truncated_audio": 1}

"""A channel for each row, in every reader that has one, from the list to the audio."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_prep.prepare.export_shards import export_shards
from data_prep.prepare.report import format_preparation
from data_prep.prepare.validation import check_manifest
from layout_files import TEXTS, find_pitch, make_tone, write_lines
from preparing import prepare_corpus


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A folder with a call: two speakers in turn, one a channel."""
    turns = [make_tone(find_pitch(text), seconds=1.5, rate=8000) for text in TEXTS[:2]]
    silence = np.zeros(len(turns[0]))
    channels = [np.concatenate([turns[0], silence]), np.concatenate([silence, turns[1]])]
    (tmp_path / "corpus").mkdir()
    soundfile.write(tmp_path / "corpus/call.wav", np.stack(channels, axis=1), 8000)
    return tmp_path / "corpus"


def make_tsv(folder: Path) -> str:
    rows = [f"call.wav\t{TEXTS[0]}\ts1\t0", f"call.wav\t{TEXTS[1]}\ts2\tB"]
    write_lines(folder / "transcripts.tsv", "path\ttext\tspeaker\tchannel", *rows)
    return "tsv"


def make_csv(folder: Path) -> str:
    rows = [f"call.wav,{TEXTS[0]},s1,A", f"call.wav,{TEXTS[1]},s2,1"]
    write_lines(folder / "transcripts.csv", "path,text,speaker,channel", *rows)
    return "csv"


def make_nemo(folder: Path) -> str:
    rows = [
        {"audio_filepath": "call.wav", "text": TEXTS[0], "speaker": "s1", "channel_selector": 0},
        {"audio_filepath": "call.wav", "text": TEXTS[1], "speaker_id": "s2", "channel": 1},
    ]
    write_lines(folder / "train_manifest.json", *(json.dumps(row) for row in rows))
    return "nemo"


def make_kaldi(folder: Path) -> str:
    write_lines(folder / "text", f"u1 {TEXTS[0]}", f"u2 {TEXTS[1]}")
    write_lines(folder / "wav.scp", "rec call.wav")
    write_lines(folder / "utt2spk", "u1 s1", "u2 s2")
    write_lines(folder / "segments", "u1 rec 0 3 0", "u2 rec 0 3 1")
    return "kaldi"


def make_kaldi_sides(folder: Path) -> str:
    write_lines(folder / "text", f"u1 {TEXTS[0]}", f"u2 {TEXTS[1]}")
    write_lines(folder / "wav.scp", "u1 call.wav", "u2 call.wav")
    write_lines(folder / "utt2spk", "u1 s1", "u2 s2")
    write_lines(folder / "reco2file_and_channel", "u1 call A", "u2 call B")
    return "kaldi"


def make_parquet(folder: Path) -> str:
    content = (folder / "call.wav").read_bytes()
    rows = [
        {"audio": {"bytes": content}, "text": TEXTS[0], "speaker": "s1", "channel": 0},
        {"audio": {"bytes": content}, "text": TEXTS[1], "speaker": "s2", "channel": 1},
    ]
    (folder / "call.wav").unlink()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")
    return "huggingface"


MAKERS = [make_tsv, make_csv, make_nemo, make_kaldi, make_kaldi_sides, make_parquet]


def find_peak_hz(path: Path) -> float:
    samples, rate = soundfile.read(path)
    return float(np.abs(np.fft.rfft(samples, 4 * rate)).argmax() / 4)


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("make", MAKERS)
def test_two_channels_of_one_call_are_two_utterances(call: Path, make):
    out = call.parent / "out"
    report = prepare_corpus(make(call), call, out, splits={"train": 1.0}, num_workers=1)
    rows = read_rows(out / "train_manifest.json")
    assert report["kept"] == 2 and [(row["text"], row["speaker"]) for row in rows] == [
        (TEXTS[0], "s1"),
        (TEXTS[1], "s2"),
    ]
    for row in rows:
        assert find_peak_hz(out / row["audio_filepath"]) == pytest.approx(find_pitch(row["text"]), abs=1)
    assert report["multi_channel"]["averaged_two_speakers"] == 0


def test_two_speakers_that_were_averaged_are_reported(call: Path):
    write_lines(call / "transcripts.tsv", "path\ttext", f"call.wav\t{TEXTS[0]}")
    report = prepare_corpus("tsv", call, call.parent / "out", splits={"train": 1.0}, num_workers=1)
    assert report["multi_channel"]["files"] == report["multi_channel"]["averaged_two_speakers"] == 1
    (row,) = report["multi_channel"]["listed"]
    assert row["path"] == "call.wav" and row["two_speakers"] and abs(row["correlation"]) < 0.2
    assert "1 of them look like two speakers, one a channel, and were averaged, e.g. call.wav" in format_preparation(
        report
    )
    assert "look like two speakers" in (call.parent / "out/report.html").read_text("utf-8")


def test_one_voice_in_two_microphones_is_no_warning(tmp_path: Path):
    tone = make_tone(400, seconds=2)
    (tmp_path / "corpus").mkdir()
    soundfile.write(tmp_path / "corpus/a.wav", np.stack([tone, 0.8 * tone], axis=1), 16000)
    write_lines(tmp_path / "corpus/transcripts.tsv", "path\ttext", f"a.wav\t{TEXTS[0]}")
    report = prepare_corpus("tsv", tmp_path / "corpus", tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    (row,) = report["multi_channel"]["listed"]
    assert row["correlation"] == 1.0 and not row["two_speakers"]
    assert "1 audio files have several channels, lowest correlation 1.00" in format_preparation(report)
    assert "look like" not in format_preparation(report)


@pytest.mark.parametrize("make", MAKERS)
def test_equal_channels_with_two_texts_are_no_conflict_but_are_noted(call: Path, make):
    """A call whose two sides were mixed before it was stored: each text is right, for one of the two speakers."""
    samples, rate = soundfile.read(call / "call.wav")
    soundfile.write(call / "call.wav", np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1), rate)
    report = prepare_corpus(make(call), call, call.parent / "out", splits={"train": 1.0}, num_workers=1)
    assert (report["kept"], report["rejected"]) == (2, 0)
    ((name, note),) = report["audio_notes"]["examples"].items()
    assert "two channels hold the same audio" in note and report["audio_notes"]["rows"] == 1
    assert f"note: look at the audio of 1 rows, e.g. {name}: two channels hold" in format_preparation(report)


def test_equal_channels_with_one_text_are_a_duplicate(call: Path):
    samples, rate = soundfile.read(call / "call.wav")
    soundfile.write(call / "call.wav", np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1), rate)
    write_lines(
        call / "transcripts.tsv", "path\ttext\tchannel", *(f"call.wav\t{TEXTS[0]}\t{channel}" for channel in (0, 1))
    )
    report = prepare_corpus("tsv", call, call.parent / "out", splits={"train": 1.0}, num_workers=1)
    assert report["rejected_by_reason"] == {"duplicate_audio": 1}


def test_a_manifest_with_equal_channels_and_two_texts_has_no_conflict(call: Path):
    samples, rate = soundfile.read(call / "call.wav")
    soundfile.write(call / "call.wav", np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1), rate)
    make_nemo(call)
    report = check_manifest(call / "train_manifest.json", num_workers=1)
    assert (report["kept"], report["rejected"]) == (2, 0)


@pytest.mark.parametrize("channel", ["left", "-1", "1.0"])
def test_a_channel_that_is_none_is_a_malformed_row(call: Path, channel: str):
    write_lines(
        call / "transcripts.tsv", "path\ttext\tchannel", f"call.wav\t{TEXTS[0]}\t{channel}", f"call.wav\t{TEXTS[1]}\t"
    )
    report = prepare_corpus("tsv", call, call.parent / "out", splits={"train": 1.0}, num_workers=1)
    assert report["rejected_by_reason"] == {"malformed_row": 1} and report["kept"] == 1
    (row,) = read_rows(call.parent / "out/rejected.jsonl")
    assert row["detail"] == f"found channel '{channel}', expected a number from 0, or A or B"


def test_a_manifest_is_checked_and_fixed_with_its_channels(call: Path):
    make_nemo(call)
    report = check_manifest(call / "train_manifest.json", "fix", call.parent / "fixed/m.json", num_workers=1)
    assert (report["kept"], report["rejected"]) == (2, 0)
    for row in read_rows(call.parent / "fixed/m.json"):
        assert not {"channel", "channel_selector"} & set(row)  # the fixed audio has one channel
        assert find_peak_hz(call.parent / "fixed" / row["audio_filepath"]) == pytest.approx(
            find_pitch(row["text"]), abs=1
        )


def test_shards_hold_the_channel_of_each_row(call: Path):
    rows = [
        {"audio_filepath": "call.wav", "duration": 3.0, "text": text, "channel_selector": channel}
        for channel, text in enumerate(TEXTS[:2])
    ]
    write_lines(call / "m.json", *map(json.dumps, [*rows, {**rows[0], "channel_selector": "left"}]))
    report = export_shards(call / "m.json", call.parent / "out", num_shards=1, audio_format="wav", num_workers=1)
    assert report["exported"] == 2 and [row["reason"] for row in report["rejected"]] == ["malformed_row"]
    found = read_rows(call.parent / "out/tarred/tarred_audio_manifest.json")
    with tarfile.open(call.parent / "out/tarred/audio_0.tar") as tar:
        tar.extractall(call.parent / "unpacked", filter="data")
    for row in found:
        assert "channel_selector" not in row
        assert find_peak_hz(call.parent / "unpacked" / row["audio_filepath"]) == pytest.approx(
            find_pitch(row["text"]), abs=1
        )


def test_channels_that_begin_at_1_are_told_once(call: Path, tmp_path: Path):
    make_kaldi(call)
    write_lines(call / "segments", "u1 rec 0 3 1", "u2 rec 0 3 2")
    report = prepare_corpus("kaldi", call, tmp_path / "out", splits={"train": 1.0})
    assert report["rejected_by_reason"] == {"missing_channel": 1}
    (cause,) = report["causes"]
    assert "1 rows: found channel numbers" in cause["message"] and "also in those that were kept" in cause["message"]

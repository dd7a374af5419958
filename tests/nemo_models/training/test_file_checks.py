from pathlib import Path

import pytest
import soundfile
from nemo.collections.common.data.lhotse.nemo_adapters import LazyNeMoIterator

from nemo_models.training import file_checks
from nemo_models.training.preflight import check_data_sets
from preflight_data import LABELS, config, write_audio, write_corpus, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


def test_headers_of_a_large_manifest_are_read_evenly(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_checks, "HEADERS_READ", 10)
    rows = [("slow.wav" if at == 60 else "a.wav", "काम", 1.0) for at in range(100)]
    write_audio(folder / "slow.wav", rate=8000)
    opened = []
    info = soundfile.info
    monkeypatch.setattr(file_checks.soundfile, "info", lambda path: opened.append(path) or info(path))
    problems = check_data_sets(config(write_manifest(folder / "t.json", *rows), str(folder / "valid.json")), LABELS)
    assert len(opened) == 10 + 1  # and validation's one
    assert "1 × wrong_sample_rate" in problems[0]


def test_audio_of_every_row_must_exist(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_checks, "CHUNK_ROWS", 2)
    rows = [(f"gone_{at}.wav", "काम", 1.0) for at in range(7)]  # in chunks, of which the last is not full
    problems = check_data_sets(config(write_manifest(folder / "t.json", *rows), str(folder / "valid.json")), LABELS)
    assert "7 × missing_audio" in problems[0] and f"e.g. {folder / 'gone_0.wav'}" in problems[0]


def test_a_segment_needs_an_offset_if_lhotse_reads_it(folder: Path):
    write_audio(folder / "long.wav", seconds=3.0)
    row = {"audio_filepath": "long.wav", "text": "काम", "duration": 1.0}
    for keys, part in (
        ({}, "1 × long_audio (the audio is longer than the manifest says, and Lhotse reads all of it: correct the"),
        ({"offset": None}, "1 × long_audio"),
        ({"offset": 0.0}, ""),
        ({"offset": 1.0}, ""),
        ({"offset": 1.0, "sampling_rate": 16000}, "1 × rate_with_segment"),
    ):
        train = write_manifest(folder / "t.json", {**row, **keys})
        problems = check_data_sets(config(train, str(folder / "valid.json"), use_lhotse=True), LABELS)
        assert part in problems[0] if part else problems == [], keys
        assert check_data_sets(config(train, str(folder / "valid.json")), LABELS) == []  # NeMo reads the duration


def test_lhotse_reads_segments_as_the_checks_assume(folder: Path):
    write_audio(folder / "long.wav", seconds=3.0)
    row = {"audio_filepath": "long.wav", "text": "काम", "duration": 1.0}
    read = []
    for keys in ({}, {"offset": 0.0}, {"offset": 1.0}, {"offset": 1.0, "sampling_rate": 16000}):
        (cut,) = LazyNeMoIterator(write_manifest(folder / "t.json", {**row, **keys}))
        read.append(cut.duration)
    assert read == [3.0, 1.0, 1.0, 0.0]


def test_noise_files_are_checked_like_speech(folder: Path):
    train, valid = str(folder / "train.json"), str(folder / "valid.json")
    write_audio(folder / "slow.wav", rate=8000)  # which Lhotse resamples
    write_audio(folder / "two.wav", channels=2)
    (folder / "broken.wav").write_bytes(b"RIFF")
    names = ("a.wav", "slow.wav", "two.wav", "broken.wav", "gone.wav")
    noises = write_manifest(folder / "n.json", *({"audio_filepath": name, "duration": 0.5} for name in names))
    settings = {"use_lhotse": True, "noise_path": noises}
    assert [problem.split(" (")[0] for problem in check_data_sets(config(train, valid, **settings), LABELS)] == [
        f"{noises}: 1 × not_mono",
        f"{noises}: 1 × unreadable_audio",
        f"{noises}: 1 × missing_audio",
    ]
    settings["noise_path"] = write_manifest(folder / "empty.json")
    assert check_data_sets(config(train, valid, **settings), LABELS) == [
        f"{folder / 'empty.json'}: found no noise, expected at least one"
    ]
    settings["noise_path"] = str(folder / "nothing.json")
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        check_data_sets(config(train, valid, **settings), LABELS)

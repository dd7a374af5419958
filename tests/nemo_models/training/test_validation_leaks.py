import logging
import shutil
from pathlib import Path

import pytest

from nemo_models.training import preflight
from nemo_models.training.preflight import check_data_sets
from preflight_data import LABELS, config, write_audio, write_corpus, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


def test_recordings_of_validation_in_training_are_found_under_any_name(folder: Path, caplog: pytest.LogCaptureFixture):
    shutil.copy(folder / "b.wav", folder / "copy.wav")
    write_audio(folder / "other.wav", seed=3)  # the same text and length, another recording
    valid = str(folder / "valid.json")
    for rows, count in (
        ([("b.wav", "काम", 1.0)], 1),
        ([("copy.wav", "मा", 1.0), ("a.wav", "काम", 1.0)], 1),
        ([("other.wav", "मा", 1.0), ("a.wav", "काम", 1.0)], 0),
    ):
        problems = check_data_sets(config(write_manifest(folder / "t.json", *rows), valid), LABELS)
        assert len(problems) == count
        if count:
            assert f"1 × recording of validation in training, e.g. {folder / rows[0][0]}" in problems[0]
    with caplog.at_level(logging.WARNING, logger=preflight.__name__):
        leaky = write_manifest(folder / "t.json", ("b.wav", "मा", 1.0))
        assert check_data_sets(config(leaky, valid), LABELS, leaks="warn") == []
    assert "1 × recording of validation in training" in caplog.text
    assert "1 of 1 texts of validation are also in training" in caplog.text


def test_segments_of_one_file_count_as_different_recordings(folder: Path):
    first, second = ({"audio_filepath": "b.wav", "duration": 0.5, "offset": at, "text": "काम"} for at in (0.0, 0.5))
    valid = write_manifest(folder / "v.json", {**first, "text": "मा"})
    assert check_data_sets(config(write_manifest(folder / "t.json", second), valid), LABELS) == []
    assert len(check_data_sets(config(write_manifest(folder / "t.json", first), valid), LABELS)) == 1


def test_shared_speakers_are_a_warning(folder: Path, caplog: pytest.LogCaptureFixture):
    rows = [{"audio_filepath": f"{x}.wav", "text": "काम", "duration": 1.0, "speaker": "sita"} for x in "ab"]
    train, valid = write_manifest(folder / "t.json", rows[0]), write_manifest(folder / "v.json", rows[1])
    with caplog.at_level(logging.WARNING, logger=preflight.__name__):
        assert check_data_sets(config(train, valid), LABELS) == []
    assert "1 speakers are in both training and validation, e.g. sita" in caplog.text


def test_a_copy_is_found_among_utterances_of_equal_text_and_length(folder: Path):
    write_audio(folder / "c.wav", seed=3)
    valid = write_manifest(folder / "v.json", ("b.wav", "मा", 1.0), ("c.wav", "मा", 1.0))
    for name in ("b.wav", "c.wav"):
        shutil.copy(folder / name, folder / "copy.wav")
        train = write_manifest(folder / "t.json", ("copy.wav", "मा", 1.0))
        assert "1 × recording of validation in training" in check_data_sets(config(train, valid), LABELS)[0]

from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.prepare.export_shards import export_shards
from data_prep.selection.quality import REASONS
from nemo_models.training import checkpoint_space
from nemo_models.training.preflight import check_data_sets, check_training
from preflight_data import LABELS, config, write_audio, write_corpus, write_manifest
from recipe import load_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


def test_good_manifests_pass_alone_and_as_nemos_lists(folder: Path):
    train, valid = str(folder / "train.json"), str(folder / "valid.json")
    assert check_data_sets(config(train, valid), LABELS) == []
    assert check_data_sets(config([[train, 0.3], [train, 0.7]], f"{valid},{valid}"), LABELS) == []


def test_every_problem_is_named_at_once_with_its_count_and_an_example(folder: Path):
    write_audio(folder / "slow.wav", rate=8000)
    write_audio(folder / "two.wav", channels=2)
    (folder / "broken.wav").write_bytes(b"RIFF")
    bad = write_manifest(
        folder / "bad.json",
        ("a.wav", "काम 5", 1.0),
        ("a.wav", "काम 7", 1.0),
        ("gone.wav", "काम", 1.0),
        ("a.wav", " ", 1.0),
        ("a.wav", "काम", 31.0),
        ("a.wav", "काकाकाकाकाकाकाकाकाकाकाकाकाकाका", 0.4),
        ("a.wav", "कककक", 0.105),  # 5 frames; repeated labels need a blank between them
        ("a.wav", "क", 0.05),
        ("a.wav", "काा", 1.0),  # the verdict of data preparation, with its reason codes
        ("a.wav", "काम  काम", 1.0),
        ("slow.wav", "काम", 1.0),
        ("two.wav", "काम", 1.0),
        ("broken.wav", "काम", 1.0),
        {"audio_filepath": "a.wav", "text": "काम", "duration": 0.6, "offset": 0.5},
    )
    empty = write_manifest(folder / "empty.json")
    message = "; ".join(check_data_sets(config(bad, empty), LABELS))
    for part in (
        f"2 × numbers ({REASONS['numbers']}), e.g. a.wav (U+0035 DIGIT FIVE)",
        f"1 × missing_audio ({REASONS['missing_audio']}), e.g. {folder / 'gone.wav'}",
        f"1 × empty_text ({REASONS['empty_text']}), e.g. a.wav;",
        f"1 × too_long ({REASONS['too_long']}), e.g. a.wav (31.0 s)",
        f"2 × ctc_infeasible ({REASONS['ctc_infeasible']}), e.g. a.wav (19 frames, 30 needed)",
        f"1 × too_short ({REASONS['too_short']}), e.g. a.wav (0.05 s)",
        "1 × wrong_sample_rate (the audio has another rate than model.sample_rate), "
        f"e.g. {folder / 'slow.wav'} (8000 Hz, expected 16000 Hz)",
        f"1 × not_mono (the audio has more than one channel), e.g. {folder / 'two.wav'} (2 channels)",
        f"1 × unreadable_audio ({REASONS['unreadable_audio']}), e.g. {folder / 'broken.wav'}",
        "2 × short_audio (the audio is shorter than the manifest says)",
        f"1 × malformed_text ({REASONS['malformed_text']}), e.g. a.wav (U+093E DEVANAGARI VOWEL SIGN AA",
        f"1 × spacing ({REASONS['spacing']}), e.g. a.wav",
        f"{empty}: found no utterance, expected at least one",
    ):
        assert part in message, part


def test_missing_manifest_is_named(folder: Path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        check_data_sets(config(str(folder / "nothing.json"), str(folder / "valid.json")), LABELS)


def test_descriptions_of_tarred_and_shar_data_are_checked(folder: Path):
    source = write_manifest(folder / "t.json", ("a.wav", "काम 5", 1.0), ("a.wav", "काम", 1.0))
    valid = str(folder / "valid.json")
    for kind in ("tarred", "shar"):
        export_shards(source, folder, kind, num_shards=2, num_workers=1)
    tarred = {"tarred_audio_filepaths": str(folder / "tarred" / "audio__OP_0..1_CL_.tar")}
    manifests = str(folder / "tarred" / "sharded_manifests" / "manifest__OP_0..1_CL_.json")
    for problems in (
        check_data_sets(config(manifests, valid, **tarred), LABELS),
        check_data_sets(config(None, valid, shar_path=str(folder / "shar")), LABELS),
    ):
        assert len(problems) == 1
        assert "1 × numbers" in problems[0]
    with pytest.raises(FileNotFoundError, match=r"audio_2\.tar: no such tar file"):
        check_data_sets(config(manifests, valid, tarred_audio_filepaths=str(folder / "tarred" / "audio_2.tar")), LABELS)


@pytest.mark.parametrize("name", ["xlsr_hi", "w2v_bert_hi"])
def test_missing_disk_space_is_reported_before_training_with_all_other_problems(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    cfg = load_recipe(name)
    cfg.exp_manager.exp_dir = str(folder / "exp")
    cfg.model.train_ds.manifest_filepath = write_manifest(folder / "t.json", ("a.wav", "काम 5", 1.0))
    cfg.model.validation_ds.manifest_filepath = str(folder / "valid.json")
    monkeypatch.setattr(checkpoint_space.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
    with pytest.raises(ValueError, match="the data is unfit for training") as caught:
        check_training(cfg, LABELS)
    message = str(caught.value)
    assert "1 × numbers" in message
    assert f"{folder}: found 1.0 GiB free, expected about" in message
    assert "save_top_k" in message


@pytest.mark.parametrize("offset", ["x", -1, True, [0.0]])
def test_an_invalid_offset_is_named_with_its_line(folder: Path, offset: object):
    bad = write_manifest(
        folder / "t.json",
        ("a.wav", "काम", 1.0),
        {"audio_filepath": "a.wav", "text": "काम", "duration": 1.0, "offset": offset},
    )
    with pytest.raises(ValueError, match=r"t\.json:2: found offset .*, expected seconds"):
        check_data_sets(config(bad, str(folder / "valid.json")), LABELS)


def test_missing_datasets_are_reported_together(folder: Path):
    cfg = load_recipe("xlsr_hi")
    cfg.exp_manager.exp_dir = str(folder / "exp")
    cfg.exp_manager.create_checkpoint_callback = False
    cfg.model.train_ds.manifest_filepath = str(folder / "train.json")
    cfg.model.validation_ds.manifest_filepath = None
    check_training(cfg, LABELS)  # validation is not needed
    cfg.exp_manager.create_checkpoint_callback = True
    cfg.model.train_ds.manifest_filepath = None
    with pytest.raises(
        ValueError, match=r"model\.train_ds: found no data; give .*model\.validation_ds: found no data.*val_wer"
    ):
        check_training(cfg, LABELS)


@pytest.mark.parametrize("side", ["train", "valid", "noise"])
def test_a_byte_order_mark_is_skipped(folder: Path, side: str):
    """The data loaders skip it too: see test_byte_order_marks.py."""
    (folder / "noise.json").write_text('{"audio_filepath": "a.wav", "duration": 1.0}\n', encoding="utf-8")
    path = folder / f"{side}.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    data = config(
        str(folder / "train.json"),
        str(folder / "valid.json"),
        use_lhotse=True,
        noise_path=str(folder / "noise.json"),
    )
    assert check_data_sets(data, LABELS) == []

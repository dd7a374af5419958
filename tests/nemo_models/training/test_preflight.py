import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from nemo.collections.common.data.lhotse.nemo_adapters import LazyNeMoIterator
from omegaconf import DictConfig, OmegaConf

from data_prep.prepare.export_shards import export_shards
from data_prep.selection.quality import REASONS
from nemo_models.training import checkpoint_space, file_checks, preflight
from nemo_models.training.preflight import check_data_sets, check_training
from nemo_models.training.row_checks import frame_counter
from nemo_models.w2v_bert_features import LogMelFeatures
from nemo_models.xlsr_encoder import XLSREncoder
from recipe import load_recipe
from topology import architecture

LABELS = [" ", "क", "ा", "म"]
XLSR = {"_target_": "nemo_models.xlsr_encoder.XLSREncoder", "architecture": architecture()}
W2V_BERT = {"_target_": "nemo_models.w2v_bert_encoder.W2VBertEncoder"}


def write_manifest(path: Path, *rows: tuple[str, str, float] | dict) -> str:
    keys = ("audio_filepath", "text", "duration")
    named = [row if isinstance(row, dict) else dict(zip(keys, row, strict=True)) for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in named), encoding="utf-8")
    return str(path)


def write_audio(path: Path, seed: int = 0, seconds: float = 1.0, rate: int = 16000, channels: int = 1) -> None:
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(round(seconds * rate), channels))
    soundfile.write(path, noise, rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_audio(tmp_path / "a.wav", seed=1)
    write_audio(tmp_path / "b.wav", seed=2)
    write_manifest(tmp_path / "train.json", ("a.wav", "काम", 1.0))
    write_manifest(tmp_path / "valid.json", ("b.wav", "मा", 1.0))
    return tmp_path


def config(train: object, validation: object, encoder: dict = XLSR, **train_keys: object) -> DictConfig:
    return OmegaConf.create(
        {
            "train_ds": {"manifest_filepath": train, "min_duration": 0.1, "max_duration": 30, **train_keys},
            "validation_ds": {"manifest_filepath": validation},
            "encoder": encoder,
        }
    )


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


def test_frame_counter_equals_the_encoder():
    xlsr, bert = frame_counter(OmegaConf.create(XLSR)), frame_counter(OmegaConf.create(W2V_BERT))
    encoder, features = XLSREncoder(architecture()), LogMelFeatures()
    lengths = torch.tensor([1, 399, 400, 719, 720, 1039, 1040, 8000, 16000, 16079, 16080, 160000])
    _, pairs = features(input_signal=torch.randn(len(lengths), 160000), length=lengths)
    assert [xlsr(n) for n in lengths.tolist()] == encoder.frame_count(lengths).tolist()
    assert [bert(n) for n in lengths.tolist()] == pairs.tolist()
    assert any(xlsr(n) != bert(n) for n in lengths.tolist())  # or one function would do


def test_an_utterance_that_only_one_encoder_can_align_is_refused_for_the_other(folder: Path):
    write_audio(folder / "short.wav", seconds=1040 / 16000)  # three frames of XLSR's, two of Wav2Vec2-BERT's
    train = write_manifest(folder / "short.json", ("short.wav", "काम", 1040 / 16000))
    limits = {"min_duration": 0.01}
    assert check_data_sets(config(train, str(folder / "valid.json"), **limits), LABELS) == []
    problems = check_data_sets(config(train, str(folder / "valid.json"), W2V_BERT, **limits), LABELS)
    assert "e.g. short.wav (2 frames, 3 needed)" in problems[0]


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


@pytest.mark.parametrize("offset", ["x", -1, True, [0.0]])
def test_an_invalid_offset_is_named_with_its_line(folder: Path, offset: object):
    bad = write_manifest(
        folder / "t.json",
        ("a.wav", "काम", 1.0),
        {"audio_filepath": "a.wav", "text": "काम", "duration": 1.0, "offset": offset},
    )
    with pytest.raises(ValueError, match=r"t\.json:2: found offset .*, expected seconds"):
        check_data_sets(config(bad, str(folder / "valid.json")), LABELS)


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


def test_copies_at_another_speed_that_are_left_out_are_a_warning(folder: Path, caplog: pytest.LogCaptureFixture):
    limits = {"perturb_speed": True, "min_duration": 0.5, "max_duration": 1.0}
    rows = [("a.wav", "का", 0.52), ("a.wav", "काम", 0.95), ("a.wav", "काम", 1.0), ("a.wav", "काम", 0.8)]
    train = write_manifest(folder / "t.json", *rows)
    for speed, count in ((False, 0), (True, 2)):
        with caplog.at_level(logging.WARNING, logger=preflight.__name__):
            data = config(train, str(folder / "valid.json"), **{**limits, "perturb_speed": speed})
            assert check_data_sets(data, LABELS) == []
        assert caplog.text.count("_copy_too_") == count
    assert "2 × slow_copy_too_long (its copy at 0.9 times the speed" in caplog.text
    assert "1 × fast_copy_too_short (its copy at 1.1 times the speed" in caplog.text
    assert "e.g. a.wav (1.06 s)" in caplog.text and "e.g. a.wav (0.47 s)" in caplog.text


def test_a_copy_is_found_among_utterances_of_equal_text_and_length(folder: Path):
    write_audio(folder / "c.wav", seed=3)
    valid = write_manifest(folder / "v.json", ("b.wav", "मा", 1.0), ("c.wav", "मा", 1.0))
    for name in ("b.wav", "c.wav"):
        shutil.copy(folder / name, folder / "copy.wav")
        train = write_manifest(folder / "t.json", ("copy.wav", "मा", 1.0))
        assert "1 × recording of validation in training" in check_data_sets(config(train, valid), LABELS)[0]


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
def test_a_byte_order_mark_is_refused_with_the_remedy(folder: Path, side: str):
    """NeMo's and Lhotse's readers end in a traceback at it; `check_manifest.py mode=fix` removes it."""
    (folder / "noise.json").write_text('{"audio_filepath": "a.wav", "duration": 1.0}\n', encoding="utf-8")
    path = folder / f"{side}.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    data = config(
        str(folder / "train.json"),
        str(folder / "valid.json"),
        use_lhotse=True,
        noise_path=str(folder / "noise.json"),
    )
    with pytest.raises(ValueError, match=rf"{side}\.json:1: found a byte order mark .*check_manifest\.py mode=fix"):
        check_data_sets(data, LABELS)
    with pytest.raises(json.JSONDecodeError, match="BOM"):
        next(iter(LazyNeMoIterator(str(path))))

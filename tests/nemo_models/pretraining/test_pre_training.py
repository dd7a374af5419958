"""Real but small pre-trainings with the shipped recipes, on noise."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from nemo.collections.asr.models import ASRModel
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

from data_prep.manifest import write_jsonl
from data_prep.prepare.export_shards import export_shards
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.pretraining.pre_training import pre_train
from nemo_models.pretraining.watch import PretrainingWatch, find_fault
from nemo_models.pretraining_model import XLSRPretrainingModel
from nemo_models.training.finetuning import fine_tune
from nemo_models.training.update_watch import TrainingStopped
from pretraining_job import BUCKETED_RUN
from project import ROOT
from recipe import load_recipe
from topology import architecture

pytestmark = pytest.mark.slow

TINY = ROOT / "nemo_models" / "xlsr_tiny_hi"
SETTINGS = {**BUCKETED_RUN, "model.train_ds.min_duration": 0.5}


def write_audio(folder: Path, count: int = 10) -> Path:
    """Write noise, and a manifest without texts."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(count):
        samples = np.random.default_rng(number).normal(scale=0.1, size=16000 + 800 * number)
        soundfile.write(folder / f"{number}.wav", samples, 16000)
        rows.append({"audio_filepath": f"{number}.wav", "duration": len(samples) / 16000})
    write_jsonl(folder / "unlabelled.json", rows)
    return folder / "unlabelled.json"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audio(tmp_path_factory.mktemp("data") / "audio")


def run(folder: Path, **settings: Any) -> Path:
    given = {**SETTINGS, "exp_manager.exp_dir": folder, **settings}
    return pre_train(load_recipe("xlsr_tiny_ssl", *(f"{key}={value}" for key, value in given.items())))


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a whole run, with validation."""
    return run(
        tmp_path_factory.mktemp("exp"),
        **{
            "model.train_ds.manifest_filepath": manifest,
            "model.validation_ds.audio_dir": write_audio(tmp_path_factory.mktemp("dev") / "audio", 3).parent,
            "checks.leaks": "warn",  # the same noise
            "trainer.val_check_interval": 4,
            "watch.stop_on_collapse": "true",
        },
    )


def test_a_run_gives_a_model_and_watches_what_it_learns(trained: Path):
    model = ASRModel.restore_from(str(trained), map_location="cpu")
    assert isinstance(model, XLSRPretrainingModel)
    before = load_recipe("xlsr_tiny_ssl").model.objective
    assert (model.objective.quantizer.entries, model.cfg.objective.negatives) == (before.entries, before.negatives)
    state = load_training_checkpoint(trained.with_name("xlsr_tiny_ssl-last.ckpt"))
    curves = state["callbacks"]["TrainingCurves"]["curves"]
    assert state["global_step"] == 4 and {"train_loss", "train_accuracy", "train_perplexity_0", "val_loss"} <= set(
        curves
    )
    assert all(0 < value < 10 for _, value in curves["train_loss"])  # nats for each masked frame, of 51 answers
    assert [path.name for path in trained.parent.glob("*val_loss*.ckpt")]
    assert trained.with_name("xlsr_tiny_ssl-curves.png").is_file()


def test_fine_tuning_starts_from_the_result(trained: Path, tmp_path: Path):
    rows = [json.loads(line) for line in (write_audio(tmp_path / "labelled", 6)).read_text().splitlines()]
    for name, part in (("train", rows[:4]), ("valid", rows[4:])):
        write_jsonl(tmp_path / f"labelled/{name}.json", [{**row, "text": "काम"} for row in part])
    settings = {
        "init_from_checkpoint": trained,
        "model.train_ds.manifest_filepath": tmp_path / "labelled/train.json",
        "model.validation_ds.manifest_filepath": tmp_path / "labelled/valid.json",
        "exp_manager.exp_dir": tmp_path / "exp",
        "trainer.max_steps": 1,
        "trainer.val_check_interval": 1,
        "model.freeze_updates.modules.encoder": 1,
    }
    path = fine_tune(load_recipe("xlsr_tiny_hi", *(f"{key}={value}" for key, value in settings.items())))
    found = ASRModel.restore_from(str(path), map_location="cpu").encoder.state_dict()
    expected = ASRModel.restore_from(str(trained), map_location="cpu").encoder.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())  # frozen in the only update


def test_a_stopped_run_resumes_to_the_same_weights(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Bit by bit, with masks, negatives, crops and Gumbel noise."""
    data = {"model.train_ds.manifest_filepath": manifest}
    run(tmp_path / "whole", **data)
    start = PretrainingWatch.on_train_batch_start

    def stop(watch: Any, trainer: Any, module: Any, batch: Any, index: int) -> None:
        start(watch, trainer, module, batch, index)
        if trainer.global_step == 2:
            raise TrainingStopped("here")

    with monkeypatch.context() as patch, pytest.raises(TrainingStopped, match="here"):
        patch.setattr(PretrainingWatch, "on_train_batch_start", stop)
        run(tmp_path / "stopped", **data)
    run(tmp_path / "stopped", **data)
    name = "xlsr_tiny_ssl/checkpoints/xlsr_tiny_ssl-last.ckpt"
    whole, resumed = (load_training_checkpoint(tmp_path / folder / name) for folder in ("whole", "stopped"))
    assert whole["global_step"] == resumed["global_step"] == 4
    assert all(torch.equal(resumed["state_dict"][key], value) for key, value in whole["state_dict"].items())
    assert (tmp_path / "stopped" / name).with_name("xlsr_tiny_ssl.nemo").is_file()  # the last weights


def test_folders_and_shards_are_read(manifest: Path, tmp_path: Path):
    labelled = tmp_path / "labelled.json"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    paths = [{**row, "audio_filepath": str(manifest.parent / row["audio_filepath"]), "text": ""} for row in rows]
    write_jsonl(labelled, paths)
    for form in ("tarred", "shar"):
        export_shards(labelled, tmp_path, form, num_shards=2, num_workers=1)
    tarred = {
        "model.train_ds.manifest_filepath": tmp_path / "tarred/sharded_manifests/manifest__OP_0..1_CL_.json",
        "model.train_ds.tarred_audio_filepaths": tmp_path / "tarred/audio__OP_0..1_CL_.tar",
    }
    kinds = {"folder": {"model.train_ds.audio_dir": manifest.parent}, "tarred": tarred}
    kinds["shar"] = {"model.train_ds.shar_path": tmp_path / "shar"}
    parts = [f"{{type:nemo,manifest_filepath:{manifest},weight:{weight}}}" for weight in (0.7, 0.3)]
    kinds["shares"] = {"model.train_ds.input_cfg": f"[{','.join(parts)}]"}
    for kind, data in kinds.items():
        path = run(tmp_path / "exp" / kind, **{**data, "trainer.max_steps": 1, "trainer.accumulate_grad_batches": 1})
        assert load_training_checkpoint(path.with_name("xlsr_tiny_ssl-last.ckpt"))["global_step"] == 1, kind


def test_bad_audio_is_counted_and_the_rest_is_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    manifest = write_audio(tmp_path / "audio", 8)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    soundfile.write(manifest.parent / "1.wav", np.zeros(16800), 16000)
    noise = np.random.default_rng(9).normal(scale=0.1, size=17600)
    noise[100] = np.nan
    soundfile.write(manifest.parent / "2.wav", noise, 16000, subtype="FLOAT")
    for name, samples in (("short", 1600), ("quick", 6400)):
        soundfile.write(manifest.parent / f"{name}.wav", noise[101 : 101 + samples], 16000)
        rows.append({"audio_filepath": f"{name}.wav", "duration": samples / 16000})
    write_jsonl(manifest, rows)
    with caplog.at_level(logging.WARNING):
        path = run(tmp_path / "exp", **{"model.train_ds.manifest_filepath": manifest, "trainer.max_steps": 6})
    state = load_training_checkpoint(path.with_name("xlsr_tiny_ssl-last.ckpt"))
    counts = state["callbacks"]["PretrainingWatch"]["counts"]
    assert counts["unusable_utterances"] >= 2 and counts["bad_updates"] == 0
    assert "1 × shorter_than_a_span" in caplog.text and "1 × too_short" in caplog.text
    assert "silent or has samples that are not numbers" in caplog.text and "2.wav" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allow_new_quantizer": "false"}, "allow_new_quantizer=true"),
        ({"model.train_ds.min_duration": 100}, "all 10 utterances are left out .10 × too_short"),
        ({"model.train_ds.manifest_filepath": "null"}, r"model\.train_ds: found no data"),
        ({"model.train_ds.audio_dir": "/tmp"}, "expected null beside model.train_ds.manifest_filepath"),
        ({"model.gumbel_temperature.start": 0.1}, r"gumbel_temperature\.start=0\.1"),
        ({"model.encoder.mask_time_length": 1}, r"mask_time_length=1"),
        ({"model.freeze_updates.modules.decoder": 1, "~model.freeze_updates.modules.encoder": ""}, "or objective"),
    ],
    ids=["quantizer", "too short", "no data", "two sources", "temperature", "span", "part"],
)
def test_mistakes_are_one_line(manifest: Path, tmp_path: Path, settings: dict[str, Any], message: str):
    given = {**SETTINGS, "model.train_ds.manifest_filepath": manifest, "exp_manager.exp_dir": tmp_path, **settings}
    overrides = [key if key.startswith("~") else f"{key}={value}" for key, value in given.items()]
    if "decoder" in str(settings):
        overrides = [f"+{line}" if "modules.decoder" in line else line for line in overrides]
    with pytest.raises(ValueError, match=message) as error:
        pre_train(load_recipe("xlsr_tiny_ssl", *overrides))
    assert "\n" not in str(error.value)


def test_low_rank_updates_learn_alone_and_are_merged_into_the_model(manifest: Path, tmp_path: Path):
    pytest.importorskip("peft")
    settings = {"model.train_ds.manifest_filepath": manifest, "model.lora.r": 2, "model.layer_lr_decay": 0.9}
    found = ASRModel.restore_from(str(run(tmp_path, **settings)), map_location="cpu").encoder.network.state_dict()
    before = load_checkpoint(str(TINY), with_head=False).weights
    assert set(found) == set(before)
    changed = {name for name, value in before.items() if not torch.equal(found[name], value)}
    targets = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight")
    assert changed and all(name.endswith(targets) for name in changed)


def test_a_file_at_another_rate_is_named(tmp_path: Path):
    manifest = write_audio(tmp_path / "audio", 4)
    soundfile.write(manifest.parent / "1.wav", np.zeros(8400), 8000)
    with pytest.raises(ValueError, match=r"1 × wrong_sample_rate .*1\.wav \(8000 Hz, expected 16000 Hz\)"):
        run(tmp_path / "exp", **{"model.train_ds.manifest_filepath": manifest})


def test_a_base_style_checkpoint_is_trained_on_crops_and_refused_with_padding(manifest: Path, tmp_path: Path):
    """Group norm makes an utterance depend on its padding."""
    torch.manual_seed(0)
    fields = architecture(feat_extract_norm="group", do_stable_layer_norm=False, conv_bias=False)
    sizes = {"codevector_dim": 16, "proj_codevector_dim": 16, "num_codevectors_per_group": 8}
    theirs = Wav2Vec2ForPreTraining(Wav2Vec2Config(**fields, **sizes))
    theirs.save_pretrained(tmp_path / "base")
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(tmp_path / "base")
    given = {"init_from_checkpoint": tmp_path / "base", "model.train_ds.manifest_filepath": manifest}
    given |= {"allow_new_quantizer": "false", "trainer.max_steps": 1, "trainer.accumulate_grad_batches": 1}
    with pytest.raises(ValueError, match=r"crop=false: expected true for .*base, whose group norm"):
        run(tmp_path / "refused", **given, **{"model.train_ds.crop": "false"})
    trained = ASRModel.restore_from(str(run(tmp_path / "exp", **given)), map_location="cpu")
    assert trained.objective.quantizer.entries == 8
    moved = trained.objective.project_q.weight - theirs.project_q.weight
    assert 0 < float(moved.detach().abs().max()) < 0.01  # one update from the checkpoint's own projection


GOOD = {
    "perplexity_0": 100.0,
    "perplexity_1": 80.0,
    "positive_similarity": 0.6,
    "negative_similarity": 0.1,
    "accuracy": 0.6,
    "masked_frames": 900.0,
}


def test_faults_are_told_apart():
    assert find_fault(GOOD, 3.0) is None
    assert find_fault({**GOOD, "perplexity_1": 1.2}, 3.0) == "codebook"
    assert find_fault({**GOOD, "negative_similarity": 0.595}, 3.0) == "alike"
    assert find_fault({**GOOD, "accuracy": 0.999}, 3.0) == "trivial"


def test_a_collapse_is_named_after_some_updates_and_stops_on_request(caplog: pytest.LogCaptureFixture):
    collapsed = {**GOOD, "perplexity_0": 1.0}
    watch = PretrainingWatch(20, 3.0, 100, stop_on_collapse=False)
    for step, values in ((10, collapsed), (90, collapsed), (100, GOOD), (110, collapsed), (209, collapsed)):
        watch._judge(values, step)
    assert "collapsed" not in caplog.text
    watch._judge(collapsed, 210)
    assert "from update 110 to 210: the quantizer uses only a few entries" in caplog.text
    watch = PretrainingWatch(20, 3.0, 100, stop_on_collapse=True)
    watch._judge(collapsed, 10)
    restored = PretrainingWatch(20, 3.0, 100, stop_on_collapse=True)
    restored.load_state_dict(watch.state_dict())
    with pytest.raises(TrainingStopped, match="likely causes: a learning rate"):
        restored._judge(collapsed, 110)

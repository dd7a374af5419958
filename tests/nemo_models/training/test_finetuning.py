"""Real but small trainings with the shipped recipes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import Trainer
from nemo.collections.asr.metrics import wer as nemo_wer
from nemo.collections.asr.models import ASRModel
from nemo.collections.asr.parts.preprocessing.segment import AudioSegment
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_prep.prepare.export_shards import export_shards
from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.inference import processor
from nemo_models.training import curves, finetuning
from nemo_models.training.finetuning import fine_tune
from nemo_models.training_data.augmentation import TelephonePerturbation
from project import ROOT
from recipe import load_recipe
from topology import architecture

pytestmark = pytest.mark.slow

PRESETS = ("1h", "10h", "100h", "1000h")


def write_data(folder: Path, seed: int) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", rng.normal(scale=0.1, size=16000 + 800 * number), 16000)
        rows.append({"audio_filepath": f"{number}.wav", "text": "काम", "duration": 1 + number / 20})
    (folder / "speech.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return folder / "speech.json"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("recipe")
    return write_data(folder / "train", 0), write_data(folder / "dev", 1)


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The trainers that `fine_tune` makes."""
    made: list[Any] = []

    def make(**settings: Any) -> Trainer:
        made.append(Trainer(**settings))
        return made[-1]

    monkeypatch.setattr(finetuning, "Trainer", make)
    return made


def run(data: tuple[Path, Path], folder: Path, *overrides: str) -> Path:
    train, dev = data
    return fine_tune(
        load_recipe(
            "xlsr_tiny_hi",
            f"init_from_checkpoint={ROOT / 'nemo_models' / 'xlsr_tiny_hi'}",
            f"model.train_ds.manifest_filepath={train}",
            f"model.validation_ds.manifest_filepath={dev}",
            f"exp_manager.exp_dir={folder}",
            "model.train_ds.batch_duration=3",
            "model.train_ds.num_buckets=2",
            "trainer.log_every_n_steps=1",
            *overrides,
        )
    )


SCRIPTED_WER = {2: 0.9, 4: 0.5, 6: 0.7, 8: 0.4, 10: 0.6, 12: 0.45, 14: 0.1}
"""WER after each number of updates. Two validations in a row are not better than the best: the last is not reached."""


def test_training_stops_early_keeps_the_best_weights_draws_and_logs(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    validate = XLSRCTCModel.validation_pass

    def script(model: XLSRCTCModel, *args: Any, **settings: Any) -> dict[str, torch.Tensor]:
        errors = torch.tensor(100 * SCRIPTED_WER[model.trainer.global_step])
        return {**validate(model, *args, **settings), "val_wer_num": errors, "val_wer_denom": torch.tensor(100.0)}

    monkeypatch.setattr(XLSRCTCModel, "validation_pass", script)
    said: list[object] = []
    monkeypatch.setattr(nemo_wer.logging, "info", lambda message, *args: said.append(message))
    model_path = run(
        data,
        tmp_path,
        "trainer.max_steps=20",
        "trainer.accumulate_grad_batches=2",
        "trainer.limit_train_batches=4",
        "trainer.val_check_interval=4",  # two updates
        "model.validation_ds.batch_size=2",  # three batches
        "model.freeze_updates.modules.encoder=1",
        "exp_manager.create_early_stopping_callback=true",
        "exp_manager.early_stopping_callback_params.patience=2",
        "exp_manager.checkpoint_callback_params.save_top_k=2",
    )
    checkpoints = model_path.parent
    last = load_training_checkpoint(checkpoints / "xlsr_tiny_hi-last.ckpt")
    assert last["global_step"] == 12
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["completed"] == 24  # two an update
    kept = sorted(path.name for path in checkpoints.glob("*val_wer*.ckpt"))
    assert [name.split("val_wer=")[1][:6] for name in kept] == ["0.4000", "0.4500"]

    trained = ASRModel.restore_from(str(model_path), map_location="cpu").state_dict()
    best = load_training_checkpoint(checkpoints / kept[0])
    assert best["global_step"] == 8
    assert all(torch.equal(trained[name], weight) for name, weight in best["state_dict"].items())
    initial = finetuning.load_checkpoint(str(ROOT / "nemo_models" / "xlsr_tiny_hi")).weights
    for name, weight in initial.items():
        if name.startswith("feature_extractor."):
            assert torch.equal(trained[f"encoder.wav2vec2.{name}"], weight.float()), name  # never learns
    projection = "encoder.layers.0.attention.q_proj.weight"
    assert not torch.equal(trained[f"encoder.wav2vec2.{projection}"], initial[projection].float())  # since update 2

    assert (checkpoints / "xlsr_tiny_hi-curves.png").read_bytes().startswith(b"\x89PNG")
    kept_curves = last["callbacks"]["TrainingCurves"]["curves"]
    updates = list(SCRIPTED_WER)[:6]
    assert kept_curves["val_wer"] == [(update, pytest.approx(SCRIPTED_WER[update])) for update in updates]
    assert [step for step, _ in kept_curves["val_loss"]] == updates
    assert [step for step, _ in kept_curves["train_loss"]] == [*range(1, 13)]
    assert all(0 <= share <= 1 for _, share in kept_curves["train_blank_share"]) and kept_curves["train_blank_share"]
    peak, warmed_up = 0.03, 1  # of 20 updates, by the recipe; the curve shows the rate of the next update
    assert kept_curves[f"learning_rate, peak {peak:g}"][: 9 - warmed_up] == [(at, peak) for at in range(1, 9)]
    assert "learning_rate, peak 0.0001" in kept_curves

    events = EventAccumulator(str(next(model_path.parents[1].rglob("events.out.*")).parent)).Reload()
    for name in ("train_loss", "learning_rate", "training_batch_wer", "train_blank_share", "train_label_entropy"):
        assert len(events.Scalars(name)) >= 12, name
    assert [event.value for event in events.Scalars("val_wer")] == pytest.approx([SCRIPTED_WER[at] for at in updates])
    assert len(events.Scalars("val_loss")) == len(updates)

    pairs = [line for line in said if isinstance(line, str) and line.startswith("WER ")]
    assert pairs[::2] == ["WER reference:काम"] * len(updates)  # one pair a validation
    assert len(pairs) == 2 * len(updates)
    assert all(line.startswith("WER predicted:") for line in pairs[1::2])


def test_low_rank_updates_learn_and_are_merged_into_the_model(data: tuple[Path, Path], tmp_path: Path):
    short = ("trainer.limit_train_batches=2", "trainer.val_check_interval=2", "model.freeze_updates.enabled=false")
    command = ("model.lora.r=2", "model.optim_param_groups.encoder.lr=0.01", *short)
    run(data, tmp_path, "trainer.max_steps=2", *command)
    first = ASRModel.restore_from(str(tmp_path / "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo"), map_location="cpu")
    shutil.rmtree(tmp_path / "xlsr_tiny_hi" / "run_0", ignore_errors=True)
    model_path = run(data, tmp_path, "trainer.max_steps=4", *command)  # resumes from the .ckpt
    weights = ASRModel.restore_from(str(model_path), map_location="cpu").encoder.network.state_dict()
    initial = finetuning.load_checkpoint(str(ROOT / "nemo_models" / "xlsr_tiny_hi")).weights
    assert set(weights) == set(first.encoder.network.state_dict()) == set(initial)
    changed = {name for name, weight in initial.items() if not torch.equal(weights[name], weight.float())}
    assert changed
    assert all(name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "out_proj") for name in changed)
    for name in changed:
        assert torch.linalg.matrix_rank(weights[name] - initial[name].float(), rtol=1e-3) <= 2


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_complete_recipes(preset: str):
    cfg = load_recipe("xlsr_hi", f"preset={preset}", "init_from_checkpoint=null", "exp_manager.exp_dir=x")
    plain = load_recipe("xlsr_hi", "init_from_checkpoint=null", "exp_manager.exp_dir=x")
    assert (cfg == plain) == (preset == "100h")
    assert load_recipe("xlsr_hi", f"preset={preset}", "trainer.max_steps=7").trainer.max_steps == 7
    assert cfg.trainer.val_check_interval <= cfg.trainer.limit_train_batches
    assert cfg.model.freeze_updates.modules.encoder < cfg.trainer.max_steps
    cfg.model.encoder.architecture = architecture()
    cfg.model.labels = load_alphabet()
    cfg.model.train_ds = cfg.model.validation_ds = None
    model = XLSRCTCModel(
        cfg=cfg.model, trainer=Trainer(max_steps=cfg.trainer.max_steps, accelerator="cpu", logger=False)
    )
    optimizer, schedule = model.configure_optimizers()
    peaks = {group["initial_lr"] for group in optimizer[0].param_groups}
    assert peaks == {cfg.model.optim_param_groups.encoder.lr, cfg.model.optim_param_groups.decoder.lr}
    assert schedule[0]["scheduler"].warmup_steps == cfg.trainer.max_steps // 10


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_trains(preset: str, data: tuple[Path, Path], tmp_path: Path, trainers: list[Any]):
    """At bfloat16, with a narrow encoder, short updates, and an encoder that learns from the second one."""
    cfg = load_recipe(
        "xlsr_hi",
        f"preset={preset}",
        "init_from_checkpoint=null",
        f"model.train_ds.manifest_filepath={data[0]}",
        f"model.validation_ds.manifest_filepath={data[1]}",
        f"exp_manager.exp_dir={tmp_path}",
        "model.train_ds.num_workers=0",
        "model.validation_ds.num_workers=0",
        "model.freeze_updates.modules.encoder=1",
        "trainer.max_steps=2",
        "trainer.accumulate_grad_batches=2",
        "trainer.log_every_n_steps=1",
        "+trainer.enable_progress_bar=false",
    )
    cfg.model.encoder.architecture = architecture()
    kept_path = fine_tune(cfg).parent / "xlsr_hi-last.ckpt"
    (trainer,) = trainers
    assert trainer.precision == "bf16-mixed"
    assert trainer.fit_loop.total_batch_idx + 1 == 4
    losses = next(c for c in trainer.callbacks if isinstance(c, curves.TrainingCurves)).curves["train_loss"]
    assert [update for update, _ in losses] == [1, 2]
    learnt = load_training_checkpoint(kept_path)["optimizer_states"][0]["state"].values()
    assert {int(state["step"]) for state in learnt} == {1, 2}  # the encoder's weights once, the head's twice


@pytest.mark.parametrize("kind", ["tarred", "shar"])
def test_training_reads_exported_shards_and_augments_them(
    kind: str, data: tuple[Path, Path], tmp_path: Path, trainers: list[Any], monkeypatch: pytest.MonkeyPatch
):
    heard: list[AudioSegment] = []
    monkeypatch.setattr(TelephonePerturbation, "perturb", lambda self, segment: heard.append(segment))
    export_shards(data[0], tmp_path, format=kind, num_shards=2, num_workers=1)
    shards = {
        "tarred": (
            f"model.train_ds.manifest_filepath={tmp_path}/tarred/sharded_manifests/manifest__OP_0..1_CL_.json",
            f"model.train_ds.tarred_audio_filepaths={tmp_path}/tarred/audio__OP_0..1_CL_.tar",
        ),
        "shar": ("model.train_ds.manifest_filepath=null", f"model.train_ds.shar_path={tmp_path}/shar"),
    }[kind]
    limits = ("trainer.max_steps=3", "trainer.limit_train_batches=3", "trainer.val_check_interval=3")
    model_path = run(data, tmp_path / "exp", *shards, *limits, "model.train_ds.augmentor.telephone.prob=1.0")
    assert len(heard) >= 3  # utterances of training, at least one an update; validation's are read as they are
    assert trainers[0].global_step == 3
    kept = next(c for c in trainers[0].callbacks if isinstance(c, curves.TrainingCurves)).curves
    assert len(kept["train_loss"]) == 3
    assert model_path.is_file()


@pytest.mark.parametrize(
    ("features", "precision", "warned"),
    [("avx2", "bf16-mixed", True), ("avx2", "32-true", False), ("avx2 avx512_bf16", "bf16-mixed", False)],
    ids=["emulated", "float32", "native"],
)
def test_bfloat16_on_a_processor_without_it_is_warned_of(monkeypatch, caplog, features, precision, warned):
    monkeypatch.setattr(processor, "_read_features", lambda: frozenset(features.split()))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    cfg = load_recipe("xlsr_hi", f"trainer.precision={precision}", "trainer.accelerator=cpu", "trainer.devices=1")
    finetuning.build_trainer(cfg)
    messages = [row.getMessage() for row in caplog.records if row.name == finetuning.__name__]
    assert bool(messages) == warned
    assert all("this processor emulates bfloat16" in message for message in messages)

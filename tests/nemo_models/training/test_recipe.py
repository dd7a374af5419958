"""The recipe as a whole: what its settings do to a training that is real, if small."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import Trainer
from nemo.collections.asr.models import ASRModel
from nemo.collections.asr.parts.preprocessing.segment import AudioSegment
from omegaconf import DictConfig
from topology import architecture

from data_prep.alphabet import load_alphabet
from data_prep.export import export_shards
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training import finetuning
from nemo_models.training.augmentation import TelephonePerturbation
from nemo_models.training.finetuning import fine_tune
from nemo_models.xlsr_encoder import XLSREncoder

ROOT = Path(__file__).resolve().parents[3]
PRESETS = ("1h", "10h", "100h", "1000h")


def recipe(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(name, overrides=list(overrides))


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
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[Trainer]:
    """The trainers that `fine_tune` makes."""
    made: list[Trainer] = []

    def make(**settings: Any) -> Trainer:
        made.append(Trainer(**settings))
        return made[-1]

    monkeypatch.setattr(finetuning, "Trainer", make)
    return made


def run(data: tuple[Path, Path], folder: Path, *overrides: str) -> Path:
    train, dev = data
    return fine_tune(
        recipe(
            "xlsr_tiny_hi",
            f"init_from_xlsr={ROOT / 'nemo_models' / 'xlsr_tiny_hi'}",
            f"model.train_ds.manifest_filepath={train}",
            f"model.validation_ds.manifest_filepath={dev}",
            f"exp_manager.exp_dir={folder}",
            "model.train_ds.batch_duration=3",
            "model.train_ds.num_buckets=2",
            "trainer.log_every_n_steps=1",
            *overrides,
        )
    )


def test_training_is_drawn_ends_early_keeps_the_best_and_spares_what_is_frozen(
    data: tuple[Path, Path], tmp_path: Path, trainers: list[Trainer]
):
    model_path = run(
        data,
        tmp_path,
        "trainer.max_steps=20",
        "trainer.accumulate_grad_batches=2",
        "trainer.limit_train_batches=4",
        "trainer.val_check_interval=4",  # two updates
        "model.freeze_updates.modules.encoder=1",
        "exp_manager.create_early_stopping_callback=true",
        "exp_manager.early_stopping_callback_params.patience=1",
        "exp_manager.early_stopping_callback_params.min_delta=5",  # nothing counts as better
        "exp_manager.checkpoint_callback_params.save_top_k=1",
    )
    (trainer,) = trainers
    assert trainer.global_step == 4  # of 20: the second validation was no better than the first
    assert trainer.fit_loop.total_batch_idx + 1 == 8  # two batches an update
    checkpoints = model_path.parent
    assert len([path for path in checkpoints.glob("*val_wer*.ckpt") if "last" not in path.name]) == 1
    picture = checkpoints / "xlsr_tiny_hi-curves.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    curves = next(c for c in trainer.callbacks if type(c).__name__ == "TrainingCurves").curves
    assert [step for step, _ in curves["val_wer"]] == [2, 4] == [step for step, _ in curves["val_loss"]]
    assert [step for step, _ in curves["train_loss"]] == [1, 2, 3, 4]
    assert all(0 <= share <= 1 for _, share in curves["train_blank_share"]) and curves["train_blank_share"]
    assert {"learning_rate, peak 0.0001", "learning_rate, peak 0.03"} <= set(curves)
    trained = ASRModel.restore_from(str(model_path), map_location="cpu").encoder.network.state_dict()
    initial = finetuning.load_checkpoint(str(ROOT / "nemo_models" / "xlsr_tiny_hi")).weights
    for name, weight in initial.items():
        if name.startswith("feature_extractor."):
            assert torch.equal(trained[name], weight.float()), name  # never learns
    projection = "encoder.layers.0.attention.q_proj.weight"
    assert not torch.equal(trained[projection], initial[projection].float())  # has, from the second update on


def test_low_rank_updates_learn_in_a_training_and_are_merged_at_its_end(data: tuple[Path, Path], tmp_path: Path):
    short = ("trainer.limit_train_batches=2", "trainer.val_check_interval=2", "model.freeze_updates.enabled=false")
    command = ("model.lora.r=2", "model.optim_param_groups.encoder.lr=0.01", *short)
    run(data, tmp_path, "trainer.max_steps=2", *command)
    first = ASRModel.restore_from(str(tmp_path / "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo"), map_location="cpu")
    shutil.rmtree(tmp_path / "xlsr_tiny_hi" / "run_0", ignore_errors=True)
    model_path = run(data, tmp_path, "trainer.max_steps=4", *command)  # goes on from the .ckpt
    weights = ASRModel.restore_from(str(model_path), map_location="cpu").encoder.network.state_dict()
    initial = finetuning.load_checkpoint(str(ROOT / "nemo_models" / "xlsr_tiny_hi")).weights
    assert set(weights) == set(first.encoder.network.state_dict()) == set(initial)
    changed = {name for name, weight in initial.items() if not torch.equal(weights[name], weight.float())}
    assert changed
    assert all(name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "out_proj") for name in changed)
    for name in changed:
        assert torch.linalg.matrix_rank(weights[name] - initial[name].float(), rtol=1e-3) <= 2


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole_recipes_whose_model_schedule_and_optimizer_can_be_made(preset: str):
    cfg = recipe("xlsr_hi", f"preset={preset}", "init_from_xlsr=null", "exp_manager.exp_dir=x")
    plain = recipe("xlsr_hi", "init_from_xlsr=null", "exp_manager.exp_dir=x")
    assert (cfg == plain) == (preset == "100h")
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


def test_keys_beside_a_preset_win():
    assert recipe("xlsr_hi", "preset=1h", "trainer.max_steps=7").trainer.max_steps == 7


@pytest.mark.parametrize(
    "setting",
    [
        "mask_time_prob",
        "mask_feature_prob",
        "layerdrop",
        "hidden_dropout",
        "attention_dropout",
        "activation_dropout",
        "feat_proj_dropout",
    ],
)
def test_each_regularisation_acts_in_training_only(setting: str):
    torch.manual_seed(0)
    encoder = XLSREncoder(architecture(), mask_feature_length=8, **{setting: 0.5})
    signal, length = torch.randn(1, 16000), torch.tensor([16000])
    with torch.no_grad():
        still, _ = encoder.eval()(audio_signal=signal, length=length)
        again, _ = encoder(audio_signal=signal, length=length)
        moved = [encoder.train()(audio_signal=signal, length=length)[0] for _ in range(4)]
    assert torch.equal(still, again)
    assert any(not torch.allclose(still, output, atol=1e-3) for output in moved)


@pytest.mark.parametrize("kind", ["tarred", "shar"])
def test_training_reads_exported_shards_and_augments_them(
    kind: str, data: tuple[Path, Path], tmp_path: Path, trainers: list[Trainer], monkeypatch: pytest.MonkeyPatch
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
    curves = next(c for c in trainers[0].callbacks if type(c).__name__ == "TrainingCurves").curves
    assert len(curves["train_loss"]) == 3
    assert model_path.is_file()

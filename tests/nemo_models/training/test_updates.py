"""What one update of the weights is by the recipe: clipped, accumulated, and at the learning rate of its schedule."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from nemo.core.optim.lr_scheduler import AVAILABLE_SCHEDULERS

from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.training.configuration import complete_config
from nemo_models.training.finetuning import fine_tune
from training_job import SETTINGS, compose, write_data

CLIP = 0.25
UPDATES = 100
MOMENTUM_OF_ONE_UPDATE = {
    "model.optim.name": "sgd",  # its momentum after one update is that update's gradient
    "+model.optim.momentum": 0.5,
    "~model.optim.betas": "",
    "~model.optim.eps": "",
    "model.freeze_updates.enabled": "false",
    "model.encoder.layerdrop": 0.0,
    "model.encoder.hidden_dropout": 0.0,
    "model.encoder.mask_time_prob": 0.0,
    "trainer.max_steps": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"), utterances=8)


def train(data: dict[str, str], folder: Path, *overrides: str, **settings: object) -> dict:
    merged = {**SETTINGS, **data, "exp_manager.exp_dir": folder, **settings}
    written = [key if key.startswith("~") else f"{key}={value}" for key, value in merged.items()]
    fine_tune(compose([*written, *overrides]))
    return load_training_checkpoint(folder / "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt")


def gradients_of(checkpoint: dict) -> Iterator[torch.Tensor]:
    (optimizer,) = checkpoint["optimizer_states"]
    for state in optimizer["state"].values():
        yield state["momentum_buffer"]


def norm_of_gradient(checkpoint: dict) -> float:
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients_of(checkpoint)))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_an_updates_gradient_over_all_groups_is_clipped_to_the_recipes_norm(
    data: dict[str, str], tmp_path: Path, precision: str
):
    settings = {**MOMENTUM_OF_ONE_UPDATE, "trainer.precision": precision}
    free = train(data, tmp_path / "free", **settings, **{"trainer.gradient_clip_val": "null"})
    clipped = train(data, tmp_path / "clipped", **settings, **{"trainer.gradient_clip_val": CLIP})
    assert len(free["optimizer_states"][0]["param_groups"]) > 1
    norm = norm_of_gradient(free)
    assert norm > 2 * CLIP
    assert norm_of_gradient(clipped) == pytest.approx(CLIP, rel=1e-4)  # torch divides by the norm + 1e-6
    for before, after in zip(gradients_of(free), gradients_of(clipped), strict=True):
        # one factor for all; bfloat16 sums in the same order, so it is no matter
        torch.testing.assert_close(after, before * (CLIP / norm), rtol=1e-4, atol=1e-7)


def test_batches_accumulate_to_the_gradient_of_one_that_holds_all(data: dict[str, str], tmp_path: Path):
    settings = {**MOMENTUM_OF_ONE_UPDATE, "model.train_ds.use_bucketing": "false", "model.train_ds.shuffle": "false"}
    settings |= {"model.train_ds.batch_duration": "null", "model.train_ds.quadratic_duration": "null"}
    settings |= {"trainer.gradient_clip_val": "null"}
    found = []
    for size, count in ((4, 1), (2, 2), (2, 1)):
        sizes = {"+model.train_ds.batch_size": size, "trainer.accumulate_grad_batches": count}
        found.append(list(gradients_of(train(data, tmp_path / f"{size}x{count}", **settings, **sizes))))
    whole, accumulated, half = found
    for one, two in zip(whole, accumulated, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)  # float32 sums in another order, of about 100
    assert any(not torch.allclose(one, two, rtol=0.1) for one, two in zip(whole, half, strict=True))


SCHEDULES = {
    "CosineAnnealing": ("+model.optim.sched.min_lr=1e-6",),
    "WarmupPolicy": (),
    "WarmupHoldPolicy": (),
    "NoamAnnealing": ("+model.optim.sched.d_model=1",),
    "PolynomialHoldDecayAnnealing": ("+model.optim.sched.min_lr=1e-6", "+model.optim.sched.power=2"),
    "SquareAnnealing": (),
    "InverseSquareRootAnnealing": (),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_nemos_schedules_are_chosen_by_name_and_planned_for_all_updates(data: dict[str, str], name: str):
    written = [f"{key}={value}" for key, value in data.items()]
    cfg = compose([*written, "exp_manager.exp_dir=x", f"model.optim.sched.name={name}", *SCHEDULES[name]])
    complete_config(cfg, load_alphabet(), None)
    cfg.model.train_ds = cfg.model.validation_ds = None
    model = XLSRCTCModel(cfg=cfg.model, trainer=Trainer(max_steps=UPDATES, accelerator="cpu", logger=False))
    (optimizer,), (entry,) = model.configure_optimizers()
    schedule = entry["scheduler"]
    assert type(schedule) is AVAILABLE_SCHEDULERS[name]
    assert entry["interval"] == "step"
    assert schedule.max_steps == UPDATES
    rates = []
    for _ in range(UPDATES):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert len(set(rates[0])) == 2  # encoder and head
    for one in zip(*rates, strict=True):
        warmup = one[: round(cfg.model.optim.sched.warmup_ratio * UPDATES)]
        assert list(warmup) == sorted(warmup) and warmup[0] < warmup[-1]
        assert max(one) <= 1.3 * warmup[-1]
    if name == "CosineAnnealing":
        floor, peak = 1e-6, 0.03
        assert rates[-1][-1] == pytest.approx(floor + (peak - floor) * (1 - math.cos(math.pi / 95)) / 2, rel=0.05)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("trainer.max_steps", -1, r"trainer\.max_steps=-1: expected the number of updates in the whole training"),
        ("trainer.max_steps", "null", r"trainer\.max_steps=None: expected the number of updates"),
        ("trainer.val_check_interval", 0.5, r"trainer\.val_check_interval=0\.5: expected a whole number"),
        ("watch.resume_every_n_updates", 0, r"watch\.resume_every_n_updates=0: expected a whole number"),
        ("model.train_ds.noise_mix_prob", 2, r"noise_mix_prob=2: expected a number, 0 or more, 1 or less"),
        ("+model.freeze_updates.modules.encodr", 1, r"freeze_updates\.modules\.encodr: expected encoder or decoder"),
        ("trainer.accelerator", "gpu", "trainer: "),
        ("trainer.precision", "bf17", "trainer: "),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(
    data: dict[str, str], tmp_path: Path, key: str, value: object, told: str
):
    if value == "gpu" and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=told):
        train(data, tmp_path, **{key: value})

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from nemo.core.optim.lr_scheduler import AVAILABLE_SCHEDULERS
from omegaconf import OmegaConf

from data_prep.text.alphabet import load_alphabet
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training.configuration import apply_checkpoint_settings, complete_finetuning_config
from nemo_models.training.finetuning import build_trainer
from recipe import load_recipe
from training_job import SETTINGS, compose

UPDATES = 100


@pytest.mark.parametrize(
    ("config_name", "kind", "other"),
    [("xlsr_hi", "wav2vec2", "wav2vec2-bert"), ("w2v_bert_hi", "wav2vec2-bert", "wav2vec2")],
)
def test_a_checkpoint_sets_front_end_and_architecture_of_its_kind_only(config_name: str, kind: str, other: str):
    model = load_recipe(config_name).model
    fields = {**OmegaConf.to_container(model.encoder.architecture), "hidden_size": 64}
    masks = model.encoder.mask_time_prob
    checkpoint = EncoderCheckpoint("x", fields, {}, normalize=False, epsilon=1e-7, left_out=(), kind=kind)
    apply_checkpoint_settings(model, checkpoint)
    assert model.encoder.architecture.hidden_size == 64
    assert model.encoder.mask_time_prob == masks
    assert model.preprocessor.get("normalize", False) is False
    with pytest.raises(ValueError, match="--config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"):
        apply_checkpoint_settings(model, replace(checkpoint, kind=other))


def test_recipes_differ_only_in_front_end_and_encoder():
    def keys(tree: Any, prefix: str = "") -> set[str]:
        inner = [keys(value, f"{prefix}{key}.") for key, value in tree.items() if isinstance(value, dict)]
        return {f"{prefix}{key}" for key in tree}.union(*inner)

    names = ("xlsr_hi", "w2v_bert_hi")
    first, second = (keys(OmegaConf.to_container(load_recipe(name))) for name in names)
    differing = {key.rpartition(".")[0] for key in first ^ second}
    assert differing == {"model.encoder", "model.encoder.architecture", "model.preprocessor"}


SCHEDULES = {
    "CosineAnnealing": ("+model.optim.sched.min_lr=1e-6",),
    "WarmupPolicy": (),
    "WarmupHoldPolicy": (),
    "NoamAnnealing": ("+model.optim.sched.d_model=1",),
    "PolynomialHoldDecayAnnealing": ("+model.optim.sched.min_lr=1e-6", "+model.optim.sched.power=2"),
    "SquareAnnealing": (),
    "InverseSquareRootAnnealing": (),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULES)
def test_nemos_schedules_are_chosen_by_name_and_last_for_all_updates(name: str):
    cfg = compose(["exp_manager.exp_dir=x", f"model.optim.sched.name={name}", *SCHEDULES[name]])
    complete_finetuning_config(cfg, load_alphabet(), None)
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
    ("key", "value", "message"),
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
def test_invalid_settings_are_refused_by_name(key: str, value: object, message: str):
    if value == "gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    settings = {**SETTINGS, "exp_manager.exp_dir": "x", key: value}
    cfg = compose([f"{name}={setting}" for name, setting in settings.items()])
    with pytest.raises(ValueError, match=message):
        complete_finetuning_config(cfg, load_alphabet(), None)
        build_trainer(cfg)

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from transformers import Wav2Vec2Config, Wav2Vec2Model

from nemo_models.training import checkpoint_space
from nemo_models.training.checkpoint_space import count_validations
from nemo_models.training.preflight import count_checkpoint_bytes
from recipe import load_recipe


def test_files_of_a_stopped_run_count_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    needed, written = 10**6, 3000
    free = SimpleNamespace(free=needed - written)
    monkeypatch.setattr(checkpoint_space.shutil, "disk_usage", lambda path: free)
    assert checkpoint_space.find_missing_space(tmp_path / "xlsr_hi", needed) is not None
    (tmp_path / "xlsr_hi").mkdir()
    (tmp_path / "xlsr_hi" / "xlsr_hi-last.ckpt").write_bytes(bytes(written))
    assert checkpoint_space.find_missing_space(tmp_path / "xlsr_hi", needed) is None


def test_a_training_that_writes_no_checkpoints_needs_no_space():
    cfg = load_recipe("xlsr_hi")
    cfg.exp_manager.create_checkpoint_callback = False
    assert count_checkpoint_bytes(cfg) == 0


def test_the_estimate_counts_every_weight_and_adams_averages_of_those_that_learn():
    cfg = load_recipe("xlsr_hi")
    with torch.device("meta"):
        reference = Wav2Vec2Model(Wav2Vec2Config(**OmegaConf.to_container(cfg.model.encoder.architecture)))
    weights = reference.num_parameters()
    frozen = sum(weight.numel() for weight in reference.feature_extractor.parameters())
    # the top 3, one more while it replaces the worst, two to resume from (one being written); and the .nemo
    assert count_checkpoint_bytes(cfg) == 4 * (6 * (weights + 2 * (weights - frozen)) + weights)


def test_one_checkpoint_for_each_validation_is_counted():
    cfg = load_recipe("xlsr_hi")
    three = count_checkpoint_bytes(cfg)
    cfg.exp_manager.checkpoint_callback_params.save_top_k = 4
    one = count_checkpoint_bytes(cfg) - three
    cfg.exp_manager.checkpoint_callback_params.save_top_k = -1
    assert count_checkpoint_bytes(cfg) == three + (80000 * 4 // 2000 - 4) * one


@pytest.mark.parametrize(
    ("settings", "validations"),
    [
        ({"check_val_every_n_epoch": None, "val_check_interval": 30}, 6),  # 200 batches
        ({"val_check_interval": 30}, 4 * 1 + 0),  # once in each epoch
        ({"val_check_interval": 0.5}, 2 * 4),
        ({"val_check_interval": 0.5, "check_val_every_n_epoch": 2}, 2 * 2),
        ({}, 4),
    ],
)
def test_validations_are_counted_as_in_the_trainer(settings: dict, validations: int):
    assert count_validations(100, accumulate_grad_batches=2, limit_train_batches=50, **settings) == validations


def test_only_low_rank_updates_have_averages_in_a_checkpoint():
    cfg = load_recipe("xlsr_hi")
    with torch.device("meta"):
        weights = Wav2Vec2Model(
            Wav2Vec2Config(**OmegaConf.to_container(cfg.model.encoder.architecture))
        ).num_parameters()
    cfg.model.lora.r = 8
    updates = 24 * 4 * 8 * (1024 + 1024)  # four projections of 1024 by 1024 in each of 24 layers
    # the .nemo holds the sum
    assert count_checkpoint_bytes(cfg) == 4 * (6 * (weights + 3 * updates) + weights)

"""Pre-training in two processes that communicate through gloo, as GPUs do through NCCL."""

from pathlib import Path

import pytest
import torch

from nemo_models.files.checkpoint_files import load_training_checkpoint
from pretraining_job import pre_train_with_own_draws
from project import ROOT
from training_job import run_job, write_data

SETTINGS = {
    "init_from_checkpoint": ROOT / "nemo_models" / "xlsr_tiny_hi",
    "trainer.max_steps": 3,
    "trainer.val_check_interval": 100,
    "trainer.log_every_n_steps": 1,
    "+trainer.enable_progress_bar": "false",
    "model.train_ds.use_bucketing": "false",
    "model.train_ds.shuffle": "false",
    "model.train_ds.batch_duration": "null",
    "model.train_ds.crop": "false",
    "model.objective.diversity_weight": 0.0,  # it is each micro-batch's own
    "model.optim.name": "sgd",  # Adam turns rounding errors into full steps where a gradient is 0, as in k_proj.bias
    "~model.optim.betas": "",
    "~model.optim.eps": "",
}
"""Utterances in their order, in batches of a fixed number."""


def train(folder: Path, processes: int, batch_size: int, accumulate: int = 1) -> dict:
    data = folder.parent / "data"
    if not data.exists():
        data.mkdir()
        write_data(data, utterances=12)
    given = {**SETTINGS, "model.train_ds.manifest_filepath": data / "train.json", "exp_manager.exp_dir": folder}
    given |= {"+model.train_ds.batch_size": batch_size, "trainer.accumulate_grad_batches": accumulate}
    given |= {"trainer.devices": processes}
    assert run_job(given, processes=processes, target=pre_train_with_own_draws) == 0
    return load_training_checkpoint(folder / "xlsr_tiny_ssl/checkpoints/xlsr_tiny_ssl-last.ckpt")["state_dict"]


@pytest.mark.slow
def test_two_processes_and_two_micro_batches_equal_one_batch_of_all(tmp_path: Path):
    """Lengths differ, and so do the masked frames of the parts: a mean of means would give other weights."""
    whole = train(tmp_path / "whole", processes=1, batch_size=4)
    parts = [train(tmp_path / "ranks", 2, 2), train(tmp_path / "steps", 1, 2, accumulate=2)]
    other = train(tmp_path / "other", 1, 2)
    moved = 0.0
    for name, weight in whole.items():
        if weight.is_floating_point():
            for part in parts:
                # float32 sums in another order, three updates long
                torch.testing.assert_close(part[name], weight, rtol=1e-4, atol=1e-6)
            moved = max(moved, float((other[name] - weight).abs().max()))
    assert moved > 1e-5  # half of the batch gives other weights

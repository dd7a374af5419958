"""Pre-training in processes of its own: two that communicate through gloo, as GPUs do through NCCL, and killed ones."""

import signal
from pathlib import Path

import pytest
import torch

from nemo_models.files.checkpoint_files import load_training_checkpoint
from pretraining_job import BUCKETED_RUN, TINY_RUN, pre_train_until, pre_train_with_own_draws
from training_job import run_job, write_data

SETTINGS = {
    **TINY_RUN,
    "trainer.max_steps": 3,
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


@pytest.mark.slow
def test_a_run_killed_at_two_moments_resumes_to_the_same_weights(tmp_path: Path):
    """Between two batches of an update, and with half of a checkpoint on the disk; equal bit by bit, on one thread."""
    (tmp_path / "data").mkdir()
    write_data(tmp_path / "data", utterances=12)
    given = {**BUCKETED_RUN, "model.train_ds.manifest_filepath": tmp_path / "data" / "train.json"}
    found = {}
    for name, moments in {"whole": (), "killed": (("updated", 3), ("half written", 1))}.items():
        job = {**given, "exp_manager.exp_dir": tmp_path / name}
        for moment in moments:
            assert run_job(job, kill_at=moment, target=pre_train_until) == -signal.SIGKILL, moment
        assert run_job(job, target=pre_train_until) == 0
        found[name] = load_training_checkpoint(tmp_path / name / "xlsr_tiny_ssl/checkpoints/xlsr_tiny_ssl-last.ckpt")
        assert found[name]["global_step"] == 4
        assert (tmp_path / name / "xlsr_tiny_ssl/checkpoints/xlsr_tiny_ssl.nemo").is_file()
    for name, weight in found["whole"]["state_dict"].items():
        assert torch.equal(found["killed"]["state_dict"][name], weight), name

"""Training in two processes that communicate through gloo, as GPUs do through NCCL."""

from pathlib import Path

import pytest
import torch
from nemo.collections.asr.models import ASRModel

import nemo_models  # noqa: F401  (lets NeMo restore this project's classes)
from nemo_models.files.checkpoint_files import load_training_checkpoint
from project import ROOT
from training_job import run_job, write_data
from warm_python import WarmPython

LAST = "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt"
SAME_BATCHES = {
    "model.train_ds.use_bucketing": "false",
    "model.train_ds.shuffle": "false",
    "model.train_ds.batch_duration": "null",
    "model.train_ds.quadratic_duration": "null",
    "model.encoder.hidden_dropout": 0.0,  # other batches, other masks
    "model.encoder.mask_time_prob": 0.0,
    "model.optim.name": "sgd",  # Adam turns rounding errors into full steps where a gradient is 0, as in k_proj.bias
    "~model.optim.betas": "",
    "~model.optim.eps": "",
    "model.freeze_updates.modules.encoder": 2,
    "trainer.max_steps": 5,
    "trainer.accumulate_grad_batches": 1,
    "trainer.val_check_interval": 100,
    "trainer.limit_train_batches": 10,
}
"""Utterances in their order, in batches of a fixed number; layers are dropped, the encoder is frozen at first."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"))


def train(folder: Path, data: dict[str, str], processes: int, **settings: object) -> dict:
    given = {**data, **SAME_BATCHES, "trainer.devices": processes, "exp_manager.exp_dir": folder, **settings}
    assert run_job(given, processes=processes) == 0
    return load_training_checkpoint(folder / LAST)


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(data: dict[str, str], tmp_path: Path):
    one = train(tmp_path / "one", data, 1, **{"+model.train_ds.batch_size": 4})
    two = train(tmp_path / "two", data, 2, **{"+model.train_ds.batch_size": 2})
    assert two["global_step"] == one["global_step"] == 5
    first = train(tmp_path / "first", data, 1, **{"+model.train_ds.batch_size": 2})
    moved = 0.0
    for name, weight in one["state_dict"].items():
        if weight.is_floating_point():
            # float32 sums in another order, five updates long
            torch.testing.assert_close(two["state_dict"][name], weight, rtol=1e-4, atol=1e-6)
            moved = max(moved, float((first["state_dict"][name] - weight).abs().max()))
    assert moved > 1e-4  # half of the batch gives other weights


@pytest.mark.slow
def test_fsdp_equals_ddp_and_saves_one_file(data: dict[str, str], tmp_path: Path):
    clip, momentum = 0.25, 0.5
    settings = {"+model.train_ds.batch_size": 2, "model.encoder.layerdrop": 0.0}
    settings |= {"trainer.gradient_clip_val": clip, "+model.optim.momentum": momentum}
    whole = train(tmp_path / "whole", data, 2, **settings)
    settings["model.optim.fused"] = "false"  # torch has no fused SGD for sharded weights; it has AdamW
    sharded = train(tmp_path / "sharded", data, 2, **settings, **{"trainer.strategy": "fsdp2"})
    for checkpoint in (whole, sharded):  # the momentum is that of clipped gradients, over all groups and processes
        moments = [state["momentum_buffer"] for state in checkpoint["optimizer_states"][0]["state"].values()]
        norm = float(torch.cat([moment.flatten() for moment in moments]).norm())
        assert clip / 2 < norm <= clip / (1 - momentum)
    saved = ASRModel.restore_from(tmp_path / "sharded/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo", map_location="cpu")
    for name, weight in whole["state_dict"].items():
        if weight.is_floating_point():
            # float32 sums in another order, five updates long
            torch.testing.assert_close(sharded["state_dict"][name], weight, rtol=1e-4, atol=1e-6)
            assert torch.equal(saved.state_dict()[name], sharded["state_dict"][name])


@pytest.mark.slow
def test_torchrun_trains_with_the_same_command(
    data: dict[str, str], tmp_path: Path, warm_python: WarmPython, monkeypatch: pytest.MonkeyPatch
):
    settings = {**data, "exp_manager.exp_dir": tmp_path, "trainer.devices": 2, "trainer.max_steps": 2}
    settings |= {"model.encoder.layerdrop": 0.5, "trainer.val_check_interval": 2, "trainer.limit_train_batches": 2}
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["scripts/speech_to_text_finetune.py", "--config-name", "xlsr_tiny_hi"]
    monkeypatch.setenv("PYTHON_EXEC", str(warm_python.executable))  # which torchrun starts
    done = warm_python.run(*command, *(f"{key}={value}" for key, value in settings.items()), folder=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert load_training_checkpoint(tmp_path / LAST)["global_step"] == 2

"""Training on two processes that talk through gloo, as GPUs would through NCCL."""

from pathlib import Path

import pytest
import torch
from training_job import run_job, write_data

LAST = "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt"
SAME_BATCHES = {
    "model.train_ds.use_bucketing": "false",
    "model.train_ds.shuffle": "false",
    "model.train_ds.batch_duration": "null",
    "model.train_ds.quadratic_duration": "null",
    "model.encoder.hidden_dropout": 0.0,  # other batches, other masks
    "model.encoder.mask_time_prob": 0.0,
    "model.optim.name": "sgd",  # Adam makes whole steps of rounding errors where a gradient is 0, as in k_proj.bias
    "~model.optim.betas": "",
    "~model.optim.eps": "",
    "model.freeze_updates.modules.encoder": 2,
    "trainer.max_steps": 5,
    "trainer.accumulate_grad_batches": 1,
    "trainer.val_check_interval": 100,
    "trainer.limit_train_batches": 10,
}
"""The utterances in their order, in batches of a given number; layers are dropped, the encoder is frozen at first."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"))


def train(folder: Path, data: dict[str, str], processes: int, **settings: object) -> dict:
    given = {**data, **SAME_BATCHES, "trainer.devices": processes, "exp_manager.exp_dir": folder, **settings}
    assert run_job(given, processes=processes) == 0
    return torch.load(folder / LAST, weights_only=False)


def test_two_processes_learn_what_one_does_from_twice_the_batch(data: dict[str, str], tmp_path: Path):
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
    assert moved > 1e-4  # half of the batch would have led elsewhere

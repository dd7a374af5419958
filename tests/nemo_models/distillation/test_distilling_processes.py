"""Distillation in two processes that communicate through gloo, as GPUs do through NCCL."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.text.alphabet import load_alphabet
from distillation_job import distil_in_process
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.student import StudentShape, build_student
from nemo_models.files.checkpoint_files import load_training_checkpoint
from topology import architecture
from training_job import run_job, write_data

pytestmark = pytest.mark.slow

UPDATES = 3
SAME_BATCHES = {
    "student.shape.layers": 2,
    "student.shape.intermediate_size": "null",
    "student.importance_utterances": 0,
    "loss.ctc": 0.5,
    "model.train_ds.use_bucketing": "false",
    "model.train_ds.shuffle": "false",
    "model.train_ds.batch_duration": "null",
    "model.train_ds.quadratic_duration": "null",
    "model.encoder.hidden_dropout": 0.0,  # other batches, other masks
    "model.optim.name": "sgd",  # Adam turns rounding errors into full steps where a gradient is 0, as in k_proj.bias
    "~model.optim.betas": "",
    "~model.optim.eps": "",
    "model.optim_param_groups.encoder.lr": 0.05,
    "model.optim_param_groups.decoder.lr": 0.05,
    "trainer.max_steps": UPDATES,
    "trainer.limit_train_batches": UPDATES,
    "trainer.val_check_interval": UPDATES,
    "trainer.log_every_n_steps": 1,
    "+trainer.enable_progress_bar": "false",
    "exp_manager.create_tensorboard_logger": "false",
}
"""All three losses on utterances of different lengths in their order, in batches of a fixed number."""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("distillation")
    torch.manual_seed(0)
    cfg = model_config(architecture(), load_alphabet(), normalize=True, epsilon=1e-5)
    teacher = XLSRCTCModel(cfg=cfg)
    torch.nn.init.normal_(teacher.decoder.decoder_layers[0].weight, std=0.5)
    teacher.save_to(str(folder / "teacher.nemo"))
    return {**write_data(folder, utterances=12), **SAME_BATCHES, "teacher": folder / "teacher.nemo"}


def movement(job: dict[str, Any], folder: Path, processes: int, batch_size: int, **settings: object) -> torch.Tensor:
    """Distil, and return the change of all weights from the student's first ones, (weights,)."""
    given = {**job, "exp_manager.exp_dir": folder, "trainer.devices": processes, **settings}
    given |= {"+model.train_ds.batch_size": batch_size}
    assert run_job(given, processes=processes, target=distil_in_process) == 0
    checkpoint = load_training_checkpoint(folder / "distill_tiny_hi/checkpoints/distill_tiny_hi-last.ckpt")
    assert checkpoint["global_step"] == UPDATES
    first = build_student(XLSRCTCModel.restore_from(str(job["teacher"])), StudentShape(layers=2)).state_dict()
    weights = {name: tensor for name, tensor in checkpoint["state_dict"].items() if tensor.is_floating_point()}
    return torch.cat([(tensor - first[name]).flatten() for name, tensor in weights.items()])


def test_two_processes_equal_one_with_twice_the_batch_and_bfloat16_is_near(job: dict[str, Any], tmp_path: Path):
    one = movement(job, tmp_path / "one", processes=1, batch_size=4)
    two = movement(job, tmp_path / "two", processes=2, batch_size=2)
    assert one.abs().max() > 1e-3
    torch.testing.assert_close(two, one, rtol=0, atol=1e-4 * float(one.abs().max()))  # float32 sums in another order
    mixed = movement(job, tmp_path / "mixed", 1, 4, **{"trainer.precision": "bf16-mixed"})
    # bfloat16 has 8 bits: each product is off by up to 0.4 %, the errors of a gradient's many terms mostly cancel
    assert 0 < float((mixed - one).norm() / one.norm()) < 0.05

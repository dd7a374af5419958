"""One update of the weights by the recipe: its gradient is clipped, and accumulated over batches."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.training.finetuning import fine_tune
from training_job import SETTINGS, compose, write_data

pytestmark = pytest.mark.slow

CLIP = 0.25
ONE_UPDATE = {
    "model.optim.name": "sgd",  # its momentum after one update is that update's gradient
    "+model.optim.momentum": 0.5,
    "~model.optim.betas": "",
    "~model.optim.eps": "",
    "model.freeze_updates.enabled": "false",
    "model.encoder.layerdrop": 0.0,
    "model.encoder.hidden_dropout": 0.0,
    "model.encoder.mask_time_prob": 0.0,
    "model.train_ds.use_bucketing": "false",
    "model.train_ds.shuffle": "false",
    "model.train_ds.batch_duration": "null",
    "model.train_ds.quadratic_duration": "null",
    "trainer.max_steps": 1,
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": "null",
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


@pytest.fixture(scope="module")
def unclipped(data: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The checkpoint after one update on one batch of four utterances, its gradient not clipped."""
    return train(data, tmp_path_factory.mktemp("unclipped"), **ONE_UPDATE, **{"+model.train_ds.batch_size": 4})


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_gradient_over_all_groups_is_clipped_to_the_recipes_norm(
    data: dict[str, str], tmp_path: Path, precision: str, unclipped: dict
):
    """With a fused optimizer too, which Lightning refuses to clip in mixed precision: only float16 needs that."""
    settings = {**ONE_UPDATE, "+model.train_ds.batch_size": 4, "trainer.precision": precision}
    free = unclipped if precision == "32-true" else train(data, tmp_path / "free", **settings)
    clipped = train(data, tmp_path / "clipped", **{**settings, "trainer.gradient_clip_val": CLIP})
    groups = clipped["optimizer_states"][0]["param_groups"]
    assert len(groups) > 1 and all(group["fused"] for group in groups)
    norm = norm_of_gradient(free)
    assert norm > 2 * CLIP
    assert norm_of_gradient(clipped) == pytest.approx(CLIP, rel=1e-4)  # torch divides by the norm + 1e-6
    for before, after in zip(gradients_of(free), gradients_of(clipped), strict=True):
        # one factor for all; bfloat16 sums in the same order in both runs
        torch.testing.assert_close(after, before * (CLIP / norm), rtol=1e-4, atol=1e-7)


def test_accumulated_batches_give_the_gradient_of_one_batch_with_all_utterances(
    data: dict[str, str], tmp_path: Path, unclipped: dict
):
    found = [list(gradients_of(unclipped))]
    for count in (2, 1):
        sizes = {"+model.train_ds.batch_size": 2, "trainer.accumulate_grad_batches": count}
        found.append(list(gradients_of(train(data, tmp_path / str(count), **{**ONE_UPDATE, **sizes}))))
    whole, accumulated, half = found
    for one, two in zip(whole, accumulated, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)  # float32 sums in another order, of about 100
    assert any(not torch.allclose(one, two, rtol=0.1) for one, two in zip(whole, half, strict=True))

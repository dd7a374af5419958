import random
import signal
from pathlib import Path

import pytest
import torch

from nemo_models.files.checkpoint_files import load_training_checkpoint
from training_job import MOMENTS, Moment, run_job, write_data

LAST = "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt"
WORKERS = ({"model.train_ds.num_workers": 2}, {})
"""Runs read their data in two worker processes and in none, in turn: the result must not depend on it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"))


def draw_moments(seed: int) -> list[Moment]:
    """Draw a moment after a validation during accumulation; then one each in training, validation and a checkpoint."""
    draw = random.Random(seed)
    kinds = [draw.choice(kinds) for kinds in (MOMENTS[:3], MOMENTS[3:4], MOMENTS[4:])]
    return [("gradient", 3), *((kind, draw.randrange(2)) for kind in draw.sample(kinds, 3))]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(data: dict[str, str], tmp_path: Path, seed: int):
    """The weights are equal bit by bit: the same operations on one CPU thread."""
    assert run_job({**data, "exp_manager.exp_dir": tmp_path / "whole"}) == 0
    killed = {**data, "exp_manager.exp_dir": tmp_path / "killed"}
    for number, moment in enumerate(draw_moments(seed)):
        assert run_job({**killed, **WORKERS[number % 2]}, kill_at=moment) == -signal.SIGKILL, moment
    assert run_job(killed) == 0

    whole, resumed = (load_training_checkpoint(tmp_path / folder / LAST) for folder in ("whole", "killed"))
    assert resumed["global_step"] == whole["global_step"] == 8
    for name, weight in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], weight), name
    for ours, theirs in zip(resumed["optimizer_states"], whole["optimizer_states"], strict=True):
        assert torch.equal(flat(ours["state"]), flat(theirs["state"]))
    assert resumed["lr_schedulers"] == whole["lr_schedulers"]
    assert resumed["callbacks"]["TrainingCurves"] == whole["callbacks"]["TrainingCurves"]
    best = {
        folder: sorted(path.name for path in (tmp_path / folder).rglob("*val_wer*.ckpt"))
        for folder in ("whole", "killed")
    }
    assert best["whole"] == best["killed"]
    assert not [*tmp_path.rglob("*.partial"), *tmp_path.rglob(".*.ckpt"), *tmp_path.rglob(".*.nemo")]
    assert (tmp_path / "killed/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo").is_file()


def flat(state: dict) -> torch.Tensor:
    return torch.cat([value.flatten().float() for one in state.values() for value in one.values()])

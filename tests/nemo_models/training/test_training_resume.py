import signal
from pathlib import Path

import pytest
import torch
from training_job import run_job, write_data

LAST = "xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"))


def read_state(folder: Path) -> dict:
    return torch.load(folder / LAST, weights_only=False)


def test_killed_at_any_batch_the_same_command_ends_with_the_same_weights(data: dict[str, str], tmp_path: Path):
    """Exactly: the same operations on one CPU thread. One of the runs reads its data in two worker processes."""
    assert run_job({**data, "exp_manager.exp_dir": tmp_path / "whole"}) == 0
    killed = {**data, "exp_manager.exp_dir": tmp_path / "killed"}
    workers = {"model.train_ds.num_workers": 2}
    assert run_job({**killed, **workers}, kill_after_batches=7) == -signal.SIGKILL  # while gradients accumulate
    assert read_state(tmp_path / "killed")["global_step"] == 3
    assert run_job(killed, kill_after_batches=4) == -signal.SIGKILL  # in the second epoch
    assert run_job({**killed, **workers}) == 0

    whole, resumed = read_state(tmp_path / "whole"), read_state(tmp_path / "killed")
    assert resumed["global_step"] == whole["global_step"] == 8
    for name, weight in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], weight), name
    for ours, theirs in zip(resumed["optimizer_states"], whole["optimizer_states"], strict=True):
        assert torch.equal(flat(ours["state"]), flat(theirs["state"]))
    assert resumed["lr_schedulers"] == whole["lr_schedulers"]
    best = {
        folder: sorted(path.name for path in (tmp_path / folder).rglob("*val_wer*.ckpt"))
        for folder in ("whole", "killed")
    }
    assert best["whole"] == best["killed"]
    assert not list(tmp_path.rglob("*.partial"))
    assert (tmp_path / "killed/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo").is_file()


def flat(state: dict) -> torch.Tensor:
    return torch.cat([value.flatten().float() for one in state.values() for value in one.values()])

"""A checkpoint in the run's folder may have come from elsewhere: nothing in it may run."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from nemo_models.files.checkpoint_files import CheckpointFiles
from nemo_models.layers.fsdp import ShardedStrategy
from nemo_models.training.finetuning import fine_tune
from training_job import SETTINGS, compose, write_data


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path):
    settings = {**SETTINGS, **write_data(tmp_path, utterances=4), "exp_manager.exp_dir": tmp_path / "exp"}
    last = tmp_path / "exp/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi-last.ckpt"
    last.parent.mkdir(parents=True)
    torch.save({"state_dict": {}, "callbacks": Runs(tmp_path / "harm")}, last)
    with pytest.raises(ValueError, match=r"xlsr_tiny_hi-last\.ckpt: refused, it names posix\.mkdir"):
        fine_tune(compose([f"{key}={value}" for key, value in settings.items()]))
    with pytest.raises(ValueError, match=r"refused, it names posix\.mkdir"):
        ShardedStrategy().load_checkpoint(last)
    assert not (tmp_path / "harm").exists()
    torch.load(last, weights_only=False)
    assert (tmp_path / "harm").exists()  # it would have


def test_a_checkpoint_is_whole_or_the_one_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files, path = CheckpointFiles(), tmp_path / "x.ckpt"
    files.save_checkpoint({"epoch": 1}, path)

    def fill_the_disk(content: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        files.save_checkpoint({"epoch": 2}, path)
    assert files.load_checkpoint(path) == {"epoch": 1}

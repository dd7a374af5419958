"""A finished run that is started again says that nothing was trained, and fails if the data is other data."""

import logging
from pathlib import Path

import pytest

from data_prep.manifest import read_manifest, write_jsonl
from nemo_models.training.configuration import find_frozen_parts
from nemo_models.training.data_record import hash_data
from nemo_models.training.finetuning import fine_tune
from nemo_models.training.watch import TrainingStopped
from training_job import SETTINGS, compose, write_data

SHORT = {"trainer.max_steps": 1, "trainer.accumulate_grad_batches": 1, "trainer.val_check_interval": 1}


def train(data: dict[str, str], folder: Path, **changes: object) -> Path:
    settings = {**SETTINGS, **SHORT, **data, "exp_manager.exp_dir": folder / "exp", **changes}
    return fine_tune(compose([f"{key}={value}" for key, value in settings.items()]))


@pytest.mark.slow
def test_a_finished_run_trains_nothing_and_refuses_other_data(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    data = write_data(tmp_path, utterances=6)
    manifest = Path(data["model.train_ds.manifest_filepath"])
    model = train(data, tmp_path)
    written = model.stat().st_mtime_ns
    frozen = "model.freeze_updates.modules.encoder=2: expected fewer than trainer.max_steps=1; the encoder never learns"
    assert sum(message.startswith(frozen) for message in caplog.messages) == 2  # before training and after it
    caplog.clear()
    moved = tmp_path / "moved.json"
    moved.write_bytes(manifest.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert train({**data, "model.train_ds.manifest_filepath": str(moved)}, tmp_path) == model
    assert (
        f"{tmp_path / 'exp/xlsr_tiny_hi'}: this run is finished (1 updates); nothing was left to train" in caplog.text
    )
    write_jsonl(manifest, read_manifest(manifest)[:-1])
    with pytest.raises(TrainingStopped, match=r"found a finished run \(1 updates\) that was trained on other data"):
        train(data, tmp_path)
    assert model.stat().st_mtime_ns == written
    caplog.clear()
    train(data, tmp_path, **{"trainer.max_steps": 2})
    assert "the run resumes with other training data than before" in caplog.text
    train(data, tmp_path, **{"trainer.max_steps": 2})  # now these data are the run's


def test_the_hash_of_data_is_that_of_its_content(tmp_path: Path):
    data = write_data(tmp_path, utterances=4)
    cfg = compose([f"{key}={value}" for key, value in {**SETTINGS, **data, "exp_manager.exp_dir": "x"}.items()])
    whole = hash_data(cfg.model.train_ds)
    path = Path(cfg.model.train_ds.manifest_filepath)
    cfg.model.train_ds.manifest_filepath = str(path.rename(tmp_path / "elsewhere.json"))
    assert hash_data(cfg.model.train_ds) == whole
    cfg.model.train_ds.manifest_filepath = cfg.model.validation_ds.manifest_filepath
    assert hash_data(cfg.model.train_ds) != whole


@pytest.mark.parametrize(
    ("steps", "enabled", "count"), [(8, "true", 1), (7, "true", 0), (-1, "true", 0), (8, "false", 0)]
)
def test_a_freeze_that_outlasts_the_training_is_described(steps: int, enabled: str, count: int):
    freeze = {"model.freeze_updates.modules.encoder": steps, "model.freeze_updates.enabled": enabled}
    settings = {**SETTINGS, "exp_manager.exp_dir": "x", "trainer.max_steps": 8, **freeze}
    cfg = compose([f"{key}={value}" for key, value in settings.items()])
    assert len(find_frozen_parts(cfg)) == count

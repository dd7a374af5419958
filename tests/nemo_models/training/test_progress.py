from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nemo_models.training import progress
from nemo_models.training.progress import UpdateProgress


def trainer_at(update: int, is_first_process: bool = True) -> Any:
    results = {"train_loss": 2.5, "val_wer": 0.25, "val_loss": 3.0}
    return SimpleNamespace(
        max_steps=8,
        global_step=update,
        log_every_n_steps=2,
        fit_loop=SimpleNamespace(total_batch_idx=update - 1),
        callback_metrics={name: torch.tensor(value) for name, value in results.items()},
        num_val_batches=[1],
        sanity_checking=False,
        is_global_zero=is_first_process,
    )


def run(is_first_process: bool = True) -> None:
    """Four updates with a validation after the second, where standard error is not a terminal."""
    bar, module = UpdateProgress(), SimpleNamespace()
    bar.setup(trainer_at(0, is_first_process), module, "fit")
    bar.on_train_start(trainer_at(0), module)
    for update in range(1, 5):
        trainer = trainer_at(update)
        bar.on_train_batch_end(trainer, module, None, None, 0)
        if update == 2:
            bar.on_validation_start(trainer, module)
            bar.on_validation_batch_end(trainer, module, None, None, 0)
            bar.on_validation_end(trainer, module)
    bar.on_train_end(trainer_at(4), module)


def test_a_log_file_gets_a_line_for_logged_updates_and_validations(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    run()
    written = capsys.readouterr()
    assert written.out.splitlines() == [
        " 25% | update 2 of 8, loss 2.5",
        "update 2 of 8: val_wer 0.25, val_loss 3",
        " 50% | update 4 of 8, loss 2.5",
    ]
    assert written.err == ""


def test_only_the_first_process_writes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    run(is_first_process=False)
    assert capsys.readouterr() == ("", "")


def test_lines_about_updates_are_not_written_more_often_than_the_interval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 1e9)
    run()
    assert capsys.readouterr().out.splitlines() == ["update 2 of 8: val_wer 0.25, val_loss 3"]

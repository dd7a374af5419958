import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.utilities.exceptions import SIGTERMException
from nemo.collections.asr.losses.ctc import CTCLoss

from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.training import finetuning
from nemo_models.training.finetuning import one_line_errors
from nemo_models.training.watch import TrainingStopped, TrainingWatch
from nemo_models.training_data.stream import BatchInfo, StreamPosition
from training_job import SETTINGS, compose, write_data

SHORT = {"trainer.max_steps": 3, "trainer.accumulate_grad_batches": 1, "trainer.val_check_interval": 100}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return write_data(tmp_path, utterances=6)


def fine_tune(data: dict[str, str], folder: Path, **settings: object) -> Path:
    merged = {**SETTINGS, **SHORT, **data, "exp_manager.exp_dir": folder / "exp", **settings}
    return finetuning.fine_tune(compose([f"{key}={value}" for key, value in merged.items()]))


def test_bad_utterances_are_named_and_counted_and_damage_no_weight(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    rows = [json.loads(row) for row in Path(data["model.train_ds.manifest_filepath"]).read_text().splitlines()]
    samples, rate = soundfile.read(tmp_path / "0.wav")
    soundfile.write(tmp_path / "0.wav", np.where(np.arange(len(samples)) == 99, np.nan, samples), rate, subtype="FLOAT")
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:60])  # Lhotse trusts sampling_rate
    rows[2]["text"] = "आज मौसम " * 30
    lines = [json.dumps({**row, "sampling_rate": 16000}) for row in rows]
    Path(data["model.train_ds.manifest_filepath"]).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(finetuning, "check_training", lambda *_: None)  # it would refuse these utterances
    with caplog.at_level(logging.WARNING):
        fine_tune(data, tmp_path, **{"trainer.max_steps": 6, "model.freeze_updates.enabled": "false"})
    state = load_training_checkpoint(next((tmp_path / "exp").rglob("*last.ckpt")))
    counts = state["callbacks"]["TrainingWatch"]["counts"]
    assert all(count >= 1 for count in counts.values()), counts
    assert all(
        bool(torch.isfinite(weight).all()) for weight in state["state_dict"].values() if weight.is_floating_point()
    )
    for sentence, name in (
        ("skipped: NaN or infinite loss", "0.wav"),
        ("left out because the audio is unreadable", "1.wav"),
        ("more labels than frames", "2.wav"),
    ):
        messages = [record.getMessage() for record in caplog.records if sentence in record.getMessage()]
        assert messages and all(str(tmp_path / name) in message for message in messages), sentence


@pytest.mark.parametrize("fused", [True, False])
def test_a_bad_gradient_changes_neither_weights_nor_optimizer_state(fused: bool):
    watch = TrainingWatch(20, 0.99, 100, False)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1, fused=fused)
    trainer = SimpleNamespace(precision_plugin=None, global_step=0)
    seen = []
    for gradient in (1.0, 2.0, math.nan, math.inf, 3.0):
        weight.grad = torch.tensor([1.0, 1.0, gradient])
        watch.on_before_optimizer_step(trainer, None, optimizer)  # type: ignore[arg-type]
        optimizer.step()
        state = optimizer.state[weight]
        seen.append([tensor.clone() for tensor in (weight.detach(), *state.values())])
        trainer.global_step += 1
    assert watch.counts["bad_updates"] == 2
    watch.state_dict()
    assert (watch.counts["bad_updates"], watch._bad_in_a_row) == (2, 0)
    for good, left_out, another in zip(seen[1], seen[2], seen[3], strict=True):
        assert torch.equal(good, left_out) and torch.equal(good, another)
    assert not torch.equal(seen[3][0], seen[4][0])


def trainer_at(**known: Any) -> Any:
    """The part of a trainer that the watch reads, at the first batch."""
    fit_loop = SimpleNamespace(total_batch_idx=0)
    return SimpleNamespace(**{"precision_plugin": None, "global_step": 0, "fit_loop": fit_loop, **known})


def batch_of(name: str, labels: int = 1, seconds: tuple[float, ...] = (1.0,)) -> tuple:
    """A batch of silence from a stream; each utterance has `labels` different labels."""
    count = len(seconds)
    targets = torch.arange(labels).repeat(count, 1)
    note = BatchInfo(StreamPosition(), [name] * count, list(seconds), [])
    return torch.zeros(count, 10), torch.full((count,), 10), targets, torch.full((count,), labels), note


def test_only_the_bad_batch_of_an_accumulated_update_is_named(caplog: pytest.LogCaptureFixture):
    watch, weight = TrainingWatch(20, 0.99, 100, False), torch.nn.Parameter(torch.ones(1))
    trainer: Any = trainer_at(log_every_n_steps=1)
    for at, (name, loss) in enumerate((("good.wav", 1.0), ("bad.wav", math.nan))):
        watch.on_train_batch_start(trainer, None, batch_of(name), at)  # type: ignore[arg-type]
        watch.on_before_backward(trainer, None, torch.tensor(loss))  # type: ignore[arg-type]
    weight.grad = torch.tensor([math.nan])
    with caplog.at_level(logging.WARNING):
        watch.on_before_optimizer_step(trainer, None, torch.optim.SGD([weight], lr=1.0))  # type: ignore[arg-type]
        watch.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert "from one of these utterances: bad.wav (1 so far)" in caplog.text


def test_unalignable_utterances_of_every_batch_since_the_last_logged_step_are_named(caplog: pytest.LogCaptureFixture):
    watch = TrainingWatch(20, 0.99, 100, False)
    trainer: Any = trainer_at(log_every_n_steps=3)
    module: Any = SimpleNamespace(log_dict=lambda *_: None)
    watch._lengths = torch.tensor([2])
    with caplog.at_level(logging.WARNING):
        for at, (name, labels) in enumerate((("a.wav", 3), ("b.wav", 2), ("c.wav", 3))):
            trainer.fit_loop.total_batch_idx = at
            watch.on_train_batch_start(trainer, module, batch_of(name, labels), 0)  # each in another epoch
            watch.on_train_batch_end(trainer, module, None, batch_of(name, labels), 0)
        (message,) = caplog.messages
        assert "more labels than frames: a.wav, c.wav (2 so far)" in message
        for at, name in ((3, "d.wav"), (4, "e.wav")):  # before a checkpoint, and before the end
            trainer.fit_loop.total_batch_idx = at
            watch.on_train_batch_start(trainer, module, batch_of(name, 3), 0)
            watch.on_train_batch_end(trainer, module, None, batch_of(name, 3), 0)
            assert at == 4 or watch.state_dict()["counts"]["hidden_utterances"] == 3
        watch.on_train_end(trainer, module)
    assert "d.wav (3 so far)" in caplog.messages[1] and "e.wav (4 so far)" in caplog.messages[2]


def test_bad_losses_are_named_with_float16_whose_scaler_expects_bad_gradients(caplog: pytest.LogCaptureFixture):
    watch, weight = TrainingWatch(2, 0.99, 100, False), torch.nn.Parameter(torch.ones(1))
    trainer = trainer_at(log_every_n_steps=1, precision_plugin=MixedPrecision("16-mixed", "cpu"))
    assert trainer.precision_plugin.scaler is not None
    optimizer = torch.optim.SGD([weight], lr=1.0)

    def update(loss: float) -> None:
        watch.on_train_batch_start(trainer, None, batch_of(f"{loss}.wav"), 0)  # type: ignore[arg-type]
        watch.on_before_backward(trainer, None, torch.tensor(loss))  # type: ignore[arg-type]
        weight.grad = torch.tensor([math.inf])
        watch.on_before_optimizer_step(trainer, None, optimizer)  # type: ignore[arg-type]

    with caplog.at_level(logging.WARNING), pytest.raises(TrainingStopped, match=r"inf\.wav; 2 in a row"):
        for loss in (1.0, 2.0, math.nan, 3.0, math.nan, math.inf, 4.0):
            update(loss)
    assert [message.split("utterances: ")[1] for message in caplog.messages] == [
        "nan.wav (1 so far)",
        "nan.wav (2 so far)",
    ]


def test_counts_survive_a_resume():
    watch, resumed = (TrainingWatch(20, 0.99, 100, False) for _ in range(2))
    watch.counts.update(bad_updates=1, hidden_utterances=2, unreadable_utterances=3)
    watch._judge(1.0, 7)
    watch._bad_in_a_row = 4
    resumed.load_state_dict(watch.state_dict())
    assert resumed.state_dict() == watch.state_dict()
    assert (resumed._blank_since, resumed._bad_in_a_row, resumed.counts["hidden_utterances"]) == (7, 4, 2)


def test_an_out_of_memory_message_names_training_or_validation():
    watch, trainer = TrainingWatch(20, 0.99, 100, False), trainer_at(global_step=6, log_every_n_steps=1)
    batch, error = batch_of("a.wav", seconds=(2.5, 4.0)), torch.OutOfMemoryError("CUDA out of memory")
    watch.on_train_batch_start(trainer, None, batch, 0)  # type: ignore[arg-type]
    in_training = watch.explain_memory_error(error)
    assert "at update 7, in a batch of 2 utterances, 6.5 s of audio, longest 4.0 s" in in_training
    watch.on_validation_batch_start(trainer, None, batch)  # type: ignore[arg-type]
    in_validation = watch.explain_memory_error(error)
    assert "in validation, in a batch of 2 utterances padded to 10 samples: lower model.validation_ds" in in_validation


def test_too_many_bad_updates_in_a_row_end_the_training(data: dict[str, str], tmp_path: Path):
    for file in tmp_path.glob("*.wav"):
        samples, rate = soundfile.read(file)
        soundfile.write(file, np.full(len(samples), np.nan), rate, subtype="FLOAT")
    with pytest.raises(TrainingStopped, match=r"update 2 skipped: .* 2 in a row reach watch.max_bad_updates"):
        fine_tune(data, tmp_path, **{"watch.max_bad_updates": 2})


def test_a_collapse_is_reported_with_its_causes_and_ends_training_on_request(
    data: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    watch = TrainingWatch(20, collapse_blank_share=0.99, collapse_updates=100, stop_on_collapse=False)
    with caplog.at_level(logging.WARNING):
        for step, share in ((0, 1.0), (50, 0.9), (60, 1.0), (159, 1.0)):  # not collapsed at 50
            watch._judge(share, step)
        assert not caplog.records
        watch._judge(0.999, 160)
        for step, warnings in ((161, 1), (259, 1), (260, 2)):  # again after 100 more
            watch._judge(1.0, step)
            assert len(caplog.records) == warnings
    assert "99.9% of the frames are blank, from update 60 to 160; likely causes: the learning" in caplog.text
    collapsed = {"watch.collapse_blank_share": 0.0, "watch.collapse_updates": 1, "watch.stop_on_collapse": "true"}
    with pytest.raises(TrainingStopped, match=r"blank, from update 1 to 2; likely causes"):
        fine_tune(data, tmp_path, **collapsed)


def test_out_of_memory_in_a_training_is_one_line_with_the_batch_and_the_setting(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried…")

    monkeypatch.setattr(CTCLoss, "forward", fail)
    with pytest.raises(TrainingStopped) as caught:
        fine_tune(data, tmp_path)
    message = str(caught.value)
    assert "out of memory at update 1, in a batch of" in message
    assert " s of audio, longest" in message
    assert "model.train_ds.batch_duration" in message


def test_only_errors_of_memory_and_data_become_one_line():
    watch = TrainingWatch(20, 0.99, 100, False)
    with pytest.raises(TrainingStopped, match="out of memory before the first batch"), one_line_errors(watch):
        raise RuntimeError("x: can't allocate memory: you")
    with pytest.raises(RuntimeError, match="something else"), one_line_errors(watch):
        raise RuntimeError("something else")


def test_sigterm_ends_with_the_status_of_a_stopped_process():
    with pytest.raises(SystemExit) as caught, one_line_errors(TrainingWatch(20, 0.99, 100, False)):
        raise SIGTERMException
    assert caught.value.code == 143

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

from nemo_models.files.checkpoint_files import load_training_checkpoint
from nemo_models.layers.memory import is_out_of_memory
from nemo_models.training import finetuning
from nemo_models.training.watch import (
    TrainingStopped,
    TrainingWatch,
    find_unalignable,
    measure_labels,
)
from nemo_models.training_data.stream import BatchInfo, StreamPosition
from training_job import SETTINGS, compose, write_data

SHORT = {"trainer.max_steps": 3, "trainer.accumulate_grad_batches": 1, "trainer.val_check_interval": 100}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return write_data(tmp_path, utterances=6)


def fine_tune(data: dict[str, str], folder: Path, **settings: object) -> Path:
    merged = {**SETTINGS, **SHORT, **data, "exp_manager.exp_dir": folder / "exp", **settings}
    return finetuning.fine_tune(compose([f"{key}={value}" for key, value in merged.items()]))


def test_blank_share_and_entropy_are_those_of_valid_frames():
    log_probs = torch.full((2, 3, 3), -20.0)  # two labels and the blank
    for utterance, frame, best in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 2)):
        log_probs[utterance, frame, best] = 0.0
    log_probs[1, 1:, 0] = 0.0  # padding
    measured = measure_labels(log_probs, torch.tensor([3, 1]))
    assert measured["blank_share"] == 2 / 4
    assert measured["label_entropy"].item() == pytest.approx(math.log(2), abs=1e-6)  # rest of 4e-9 a frame
    always_one = measure_labels(log_probs[:, :1], torch.tensor([1, 0]))
    assert always_one["label_entropy"].item() == pytest.approx(0.0, abs=1e-6)


def test_unalignable_utterances_are_those_whose_loss_zero_infinity_hides():
    targets = torch.tensor([[0, 0, 1, 9], [0, 1, 2, 3], [0, 0, 0, 0], [1, 1, 1, 1]])
    lengths = torch.tensor([3, 4, 1, 0])
    for frames in range(1, 6):
        log_probs = torch.randn(frames, 4, 11).log_softmax(-1)
        given = torch.full((4,), frames)
        loss = torch.nn.functional.ctc_loss(log_probs, targets, given, lengths, blank=10, reduction="none")
        assert find_unalignable(targets, lengths, given).tolist() == torch.isinf(loss).tolist()


def test_bad_utterances_are_named_counted_and_spoil_nothing(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    rows = [json.loads(row) for row in Path(data["model.train_ds.manifest_filepath"]).read_text().splitlines()]
    samples, rate = soundfile.read(tmp_path / "0.wav")
    soundfile.write(tmp_path / "0.wav", np.where(np.arange(len(samples)) == 99, np.nan, samples), rate, subtype="FLOAT")
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:60])  # sampling_rate spares Lhotse a look at it
    rows[2]["text"] = "आज मौसम " * 30
    lines = [json.dumps({**row, "sampling_rate": 16000}) for row in rows]
    Path(data["model.train_ds.manifest_filepath"]).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(finetuning, "check_training", lambda *_: None)  # it would not have let them in
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
        told = [record.getMessage() for record in caplog.records if sentence in record.getMessage()]
        assert told and all(str(tmp_path / name) in message for message in told), sentence


@pytest.mark.parametrize("fused", [True, False])
def test_a_bad_gradient_changes_neither_weights_nor_what_the_optimizer_remembers(fused: bool):
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
    """What the watch wants to know of a trainer, at its first batch."""
    fit_loop = SimpleNamespace(total_batch_idx=0)
    return SimpleNamespace(**{"precision_plugin": None, "global_step": 0, "fit_loop": fit_loop, **known})


def batch_of(name: str, labels: int = 1, seconds: tuple[float, ...] = (1.0,)) -> tuple:
    """A batch of a stream, of silence, whose utterances are of so many different labels."""
    count = len(seconds)
    targets = torch.arange(labels).repeat(count, 1)
    note = BatchInfo(StreamPosition(), [name] * count, list(seconds), [])
    return torch.zeros(count, 10), torch.full((count,), 10), targets, torch.full((count,), labels), note


def test_of_an_accumulated_update_the_bad_batch_is_named_alone(caplog: pytest.LogCaptureFixture):
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
            watch.on_train_batch_start(trainer, module, batch_of(name, labels), 0)  # each in an epoch of its own
            watch.on_train_batch_end(trainer, module, None, batch_of(name, labels), 0)
        (told,) = caplog.messages
        assert "more labels than frames: a.wav, c.wav (2 so far)" in told
        for at, name in ((3, "d.wav"), (4, "e.wav")):  # before a checkpoint, and before the end
            trainer.fit_loop.total_batch_idx = at
            watch.on_train_batch_start(trainer, module, batch_of(name, 3), 0)
            watch.on_train_batch_end(trainer, module, None, batch_of(name, 3), 0)
            assert at == 4 or watch.state_dict()["counts"]["hidden_utterances"] == 3
        watch.on_train_end(trainer, module)
    assert "d.wav (3 so far)" in caplog.messages[1] and "e.wav (4 so far)" in caplog.messages[2]


def test_bad_losses_are_named_where_float16s_scaler_expects_bad_gradients(caplog: pytest.LogCaptureFixture):
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


def test_what_was_counted_outlasts_a_resume():
    watch, resumed = (TrainingWatch(20, 0.99, 100, False) for _ in range(2))
    watch.counts.update(bad_updates=1, hidden_utterances=2, unreadable_utterances=3)
    watch._judge(1.0, 7)
    watch._bad_in_a_row = 4
    resumed.load_state_dict(watch.state_dict())
    assert resumed.state_dict() == watch.state_dict()
    assert (resumed._blank_since, resumed._bad_in_a_row, resumed.counts["hidden_utterances"]) == (7, 4, 2)


def test_memory_that_ran_out_is_told_by_where_it_did():
    watch, trainer = TrainingWatch(20, 0.99, 100, False), trainer_at(global_step=6, log_every_n_steps=1)
    batch, error = batch_of("a.wav", seconds=(2.5, 4.0)), torch.OutOfMemoryError("CUDA out of memory")
    watch.on_train_batch_start(trainer, None, batch, 0)  # type: ignore[arg-type]
    in_training = watch.explain_memory_error(error)
    assert "at update 7, in a batch of 2 utterances, 6.5 s of audio, longest 4.0 s" in in_training
    watch.on_validation_batch_start(trainer, None, batch)  # type: ignore[arg-type]
    in_validation = watch.explain_memory_error(error)
    assert "in validation, in a batch of 2 utterances padded to 10 samples: lower model.validation_ds" in in_validation


def test_gradients_of_a_fused_optimizer_are_clipped_in_bfloat16(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Lightning refuses to, since float16's would have to be unscaled first; the recipe has both."""
    clipped = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: (clipped.append(given[1]), clip(*given)))
    settings = {"trainer.precision": "bf16-mixed", "trainer.max_steps": 1, "trainer.gradient_clip_val": 0.5}
    fine_tune(data, tmp_path, **settings, **{"model.optim.fused": "true"})
    assert clipped == [0.5]


def test_too_many_bad_updates_in_a_row_end_the_training(data: dict[str, str], tmp_path: Path):
    for file in tmp_path.glob("*.wav"):
        samples, rate = soundfile.read(file)
        soundfile.write(file, np.full(len(samples), np.nan), rate, subtype="FLOAT")
    with pytest.raises(TrainingStopped, match=r"update 2 skipped: .* 2 in a row reach watch.max_bad_updates"):
        fine_tune(data, tmp_path, **{"watch.max_bad_updates": 2})


def test_a_collapse_is_named_with_its_causes_and_stopped_on_request(
    data: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    watch = TrainingWatch(20, collapse_blank_share=0.99, collapse_updates=100, stop_on_collapse=False)
    with caplog.at_level(logging.WARNING):
        for step, share in ((0, 1.0), (50, 0.9), (60, 1.0), (159, 1.0)):  # spoke at 50
            watch._judge(share, step)
        assert not caplog.records
        watch._judge(0.999, 160)
        for step, warnings in ((161, 1), (259, 1), (260, 2)):  # and again after as many
            watch._judge(1.0, step)
            assert len(caplog.records) == warnings
    assert "99.9% of the frames are blank, from update 60 to 160; likely causes: the learning" in caplog.text
    collapsed = {"watch.collapse_blank_share": 0.0, "watch.collapse_updates": 1, "watch.stop_on_collapse": "true"}
    with pytest.raises(TrainingStopped, match=r"blank, from update 1 to 2; likely causes"):
        fine_tune(data, tmp_path, **collapsed)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried…"), RuntimeError("x: can't allocate memory: you")]
)
def test_out_of_memory_names_the_batch_and_the_setting(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(TrainingWatch, "_see_log_probs", fail)  # inside the forward pass
    with pytest.raises(TrainingStopped) as caught:
        fine_tune(data, tmp_path)
    message = str(caught.value)
    assert "out of memory at update 1, in a batch of" in message
    assert " s of audio, longest" in message
    assert "model.train_ds.batch_duration" in message
    assert not is_out_of_memory(RuntimeError("something else"))

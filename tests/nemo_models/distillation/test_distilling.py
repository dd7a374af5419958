"""Distillation as a training: what is learnt, from whom, and what comes out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from data_prep.manifest import write_jsonl
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import fingerprint_language
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.distilling import distill, load_teacher
from nemo_models.distillation.importance import Importance
from nemo_models.distillation.losses import frame_weights
from nemo_models.distillation.student import StudentShape, build_student, select_parts
from nemo_models.distillation.student_model import Lesson, LossSettings, StudentCTCModel
from nemo_models.distillation.teacher import Teacher, collect_hidden_states
from nemo_models.training.curves import TrainingCurves
from topology import architecture
from training_job import CONF, write_data

pytestmark = pytest.mark.slow

SIGNAL = torch.randn(2, 16000, generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([16000, 9000])
NO_TEXT = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures of the curves: a third of the time of these short trainings."""
    monkeypatch.setattr(TrainingCurves, "draw", lambda curves: None)


@pytest.fixture(scope="module")
def teacher() -> XLSRCTCModel:
    torch.manual_seed(0)
    cfg = model_config(architecture(num_hidden_layers=4), load_alphabet(), normalize=True, epsilon=1e-5)
    model = XLSRCTCModel(cfg=cfg).eval()
    torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.5)
    return model


@pytest.fixture(scope="module")
def job(teacher: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a training of four updates on audio of which one utterance has a transcript."""
    folder = tmp_path_factory.mktemp("distillation")
    teacher.save_to(str(folder / "teacher.nemo"))
    data = write_data(folder, utterances=12)
    rows = [json.loads(line) for line in (folder / "train.json").read_text(encoding="utf-8").splitlines()]
    for row in rows[1:]:
        del row["text"]
    write_jsonl(folder / "train.json", rows)
    return {
        **data,
        "teacher": str(folder / "teacher.nemo"),
        "student.importance_utterances": 2,
        "trainer.max_steps": 4,
        "trainer.limit_train_batches": 4,
        "trainer.val_check_interval": 4,
        "trainer.log_every_n_steps": 1,
        "+trainer.enable_progress_bar": "false",
        "exp_manager.create_tensorboard_logger": "false",
        "model.train_ds.batch_duration": 9,  # two batches in a pass
        "model.train_ds.num_buckets": 2,
        "model.train_ds.bucket_buffer_size": 8,
        "model.train_ds.shuffle_buffer_size": 8,
        "watch.resume_every_n_updates": 2,
    }


def run(job: dict[str, Any], folder: Path, **changes: Any) -> XLSRCTCModel:
    settings = {**job, "exp_manager.exp_dir": str(folder), **changes}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("distill_tiny_hi", overrides=[f"{key}={value}" for key, value in settings.items()])
    return XLSRCTCModel.restore_from(str(distill(cfg))).eval()


def student_of(teacher: XLSRCTCModel, shape: StudentShape, losses: LossSettings) -> StudentCTCModel:
    first = build_student(teacher, shape)
    student = StudentCTCModel(cfg=first.cfg)
    student.load_state_dict(first.state_dict())
    selection = select_parts(teacher, shape, Importance.of_weights(teacher))
    student.learn_from(Lesson(Teacher(teacher, selection.layers), selection.layers, selection.hidden, 1, losses))
    return student


def test_with_all_layers_kept_the_loss_begins_at_zero(teacher: XLSRCTCModel):
    student = student_of(teacher, StudentShape(), LossSettings()).train()
    parts = student.loss_parts(SIGNAL, LENGTHS, *NO_TEXT)
    assert set(parts) == {"divergence", "hidden"}
    for value in parts.values():  # training computes the convolutions in another order: one rounding of float32
        assert abs(value.item()) < 2**-23


def test_layer_drop_may_leave_out_all_layers_of_a_batch(teacher: XLSRCTCModel):
    student = student_of(teacher, StudentShape(layers=1), LossSettings(divergence=0)).train()
    student.encoder.network.config.layerdrop = 1.0
    hidden = student.loss_parts(SIGNAL, LENGTHS, *NO_TEXT)["hidden"]
    hidden.backward()
    assert hidden.item() == 0


def test_loss_and_gradients_equal_a_plain_reference(teacher: XLSRCTCModel):
    """One utterance at a time through transformers' own hidden states, and sums written as loops."""
    shape = StudentShape(layers=[1, 3], num_attention_heads=2, intermediate_size=64)
    settings = LossSettings(hidden=0.7, divergence=0.3, blank_weight=0.2)
    student = student_of(teacher, shape, settings)
    parts = student.loss_parts(SIGNAL, LENGTHS, *NO_TEXT)
    (settings.hidden * parts["hidden"] + settings.divergence * parts["divergence"]).backward()
    gradients = {name: weight.grad.clone() for name, weight in student.named_parameters() if weight.grad is not None}
    student.zero_grad()

    hidden_part, divergence = torch.zeros(()), torch.zeros(())
    channels = student.lesson.hidden_channels
    for row, samples in zip(SIGNAL, LENGTHS.tolist(), strict=True):
        states = []
        for model in (student, teacher):
            wave, _ = model.preprocessor(input_signal=row[None, :samples], length=torch.tensor([samples]))
            with collect_hidden_states(model, tuple(range(model.cfg.encoder.architecture.num_hidden_layers))) as last:
                output = model.encoder.network(wave, output_hidden_states=True)
            hidden = [*output.hidden_states[1:-1], last[len(last) - 1]]  # transformers' last one is normalised
            log_probs = model.decoder(encoder_output=output.last_hidden_state.transpose(1, 2))
            states.append((hidden, log_probs[0]))
        (own, ours), (theirs, expected) = states[0], (states[1][0], states[1][1].detach())
        for place, layer in enumerate([1, 3]):
            target = theirs[layer][0][:, channels].detach()
            error = ((own[place][0] - target) ** 2).sum() / (target**2).sum()
            hidden_part = hidden_part + error / (2 * len(SIGNAL))
        weights = frame_weights(expected[None], torch.tensor([len(expected)]), 0.2, 1)[0]
        for frame, weight in enumerate(weights):
            share = weight / weights.sum() / len(SIGNAL)
            divergence = divergence + share * (expected[frame].exp() * (expected[frame] - ours[frame])).sum()
    # float32 over a thousand frames and channels, padded against alone
    torch.testing.assert_close(parts["hidden"], hidden_part, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parts["divergence"], divergence, rtol=1e-4, atol=1e-6)
    (settings.hidden * hidden_part + settings.divergence * divergence).backward()
    for name, weight in student.named_parameters():
        if name in gradients:
            assert weight.grad is not None
            scale = float(weight.grad.abs().max())
            torch.testing.assert_close(gradients[name], weight.grad, rtol=0, atol=1e-4 * scale + 1e-7, msg=name)


def test_ctc_counts_only_utterances_with_a_transcript(teacher: XLSRCTCModel):
    student = student_of(teacher, StudentShape(layers=2), LossSettings(hidden=0, divergence=0, ctc=1))
    texts = torch.tensor([[1, 2, 3], [0, 0, 0]])
    both = student.loss_parts(SIGNAL, LENGTHS, texts, torch.tensor([3, 0]))["ctc"]
    alone = student.loss_parts(SIGNAL[:1], LENGTHS[:1], texts[:1], torch.tensor([3]))["ctc"]
    torch.testing.assert_close(both, alone / 2, rtol=1e-5, atol=0)  # the mean of two; float32: padded against alone
    assert student.loss_parts(SIGNAL, LENGTHS, texts, torch.tensor([0, 0]))["ctc"].item() == 0


def test_the_teacher_needs_no_gradient_and_is_not_part_of_the_student(teacher: XLSRCTCModel):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    student = student_of(teacher, StudentShape(layers=2), LossSettings())
    sum(student.loss_parts(SIGNAL, LENGTHS, *NO_TEXT).values()).backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert len(list(student.parameters())) < len(list(teacher.parameters()))


def test_a_cache_gives_the_same_student(job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first of two passes fills the cache, the second reads it."""
    changes = {"loss.hidden": 0, "loss.top_k": 6}
    computed = run(job, tmp_path / "a", **changes)
    compute, sizes = Teacher._run, []

    def count(teacher: Teacher, signal: torch.Tensor, lengths: torch.Tensor) -> Any:
        sizes.append(len(signal))
        return compute(teacher, signal, lengths)

    monkeypatch.setattr(Teacher, "_run", count)
    cache = tmp_path / "cache.db"
    read = run(job, tmp_path / "b", **changes, **{"teacher_cache.path": cache})
    assert sum(sizes) == 12
    for (name, ours), theirs in zip(computed.state_dict().items(), read.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6, msg=name)  # the documented bound
    assert read.cfg.distillation.teacher == "teacher.nemo"
    with pytest.raises(ValueError, match="cache of another top_k"):
        run(job, tmp_path / "d", **changes | {"loss.top_k": 5}, **{"teacher_cache.path": cache})


def test_a_stopped_run_resumes_to_the_same_student(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With all three losses; CTC on the one transcript."""
    changes = {"student.shape.num_attention_heads": 2, "watch.resume_every_n_updates": 1, "loss.ctc": 0.5}
    whole = run(job, tmp_path / "a", **changes)
    step = StudentCTCModel.training_step

    def stop_in_the_third(model: StudentCTCModel, batch: Any, batch_nb: int) -> Any:
        if model.trainer.global_step == 2:
            raise RuntimeError("stopped")
        return step(model, batch, batch_nb)

    with monkeypatch.context() as patch:
        patch.setattr(StudentCTCModel, "training_step", stop_in_the_third)
        with pytest.raises(RuntimeError, match="stopped"):
            run(job, tmp_path / "b", **changes)
    monkeypatch.setattr("nemo_models.distillation.distilling.measure_importance", None)  # it is not measured again
    resumed = run(job, tmp_path / "b", **changes)
    assert type(resumed) is XLSRCTCModel
    for (name, ours), theirs in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_run_of_another_teacher_or_shape_does_not_resume(teacher: XLSRCTCModel):
    student = student_of(teacher, StudentShape(layers=2), LossSettings())
    first = {"teacher_weights": "a", "shape": {"layers": 2}}
    with open_dict(student.cfg):
        student.cfg.distillation = first
    checkpoint: dict[str, Any] = {}
    student.on_save_checkpoint(checkpoint)
    student.on_load_checkpoint(checkpoint)
    for change, key in (({"teacher_weights": "b"}, "teacher"), ({"shape": {"layers": [0, 1]}}, r"student\.shape")):
        student.cfg.distillation = first | change
        with pytest.raises(ValueError, match=f"^{key}: found a run in this folder that began with another one"):
            student.on_load_checkpoint(checkpoint)


def test_a_bundles_decoding_does_not_change_what_its_model_teaches(teacher: XLSRCTCModel, tmp_path: Path):
    expected = teacher(input_signal=SIGNAL, input_signal_length=LENGTHS)[0]
    try:
        teacher.change_decoding_strategy({"strategy": "greedy_batch", "temperature": 1.7}, verbose=False)
        teacher.save_to(str(tmp_path / "teacher.nemo"))
    finally:
        teacher.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)
    restored = load_teacher(tmp_path / "teacher.nemo")
    assert torch.equal(restored(input_signal=SIGNAL, input_signal_length=LENGTHS)[0], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss.hidden": 0, "loss.divergence": 0}, "nothing is learnt"),
        ({"loss.blank_weight": 2}, "loss.blank_weight=2"),
        ({"student.shape.layers": 9}, "student.shape.layers=9"),
        ({"teacher": "missing.nemo"}, "missing.nemo: no such file"),
        ({"teacher_cache.path": "x.db"}, "expected loss.hidden=0 beside a cache"),
        (
            {"loss.hidden": 0, "loss.divergence": 0, "loss.ctc": 1},
            "train.json:2: found audio_filepath, duration, expected text",
        ),
        ({"language": "ta"}, "language=ta: expected hi, the language of"),
        ({"alphabet": "letters.txt"}, "alphabet=letters.txt: expected nothing"),
    ],
    ids=["no loss", "share", "layers", "teacher", "cache", "no transcripts", "language", "alphabet"],
)
def test_a_setting_that_cannot_work_is_one_line(
    job: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(job, tmp_path, **changes)


def test_transcripts_of_another_normaliser_are_refused(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("nemo_models.distillation.distilling.fingerprint_language", lambda language: f"{language}-0")
    with pytest.raises(ValueError, match=f"found text normaliser {fingerprint_language('hi')}, expected hi-0"):
        run(job, tmp_path, **{"loss.ctc": 1})

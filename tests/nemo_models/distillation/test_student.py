"""A student is cut out of its teacher's weights."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from data_prep.manifest import write_jsonl
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.importance import Importance, measure_importance, read_waves
from nemo_models.distillation.student import StudentShape, build_student, choose_layers, select_parts
from nemo_models.inference.acoustic_inference import pack_encoder
from topology import architecture

LABELS = list("abc")
SECONDS = torch.randn(2, 16000, generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([16000, 9000])


@pytest.fixture(scope="module")
def teacher() -> XLSRCTCModel:
    torch.manual_seed(0)
    cfg = model_config(architecture(num_hidden_layers=6), LABELS, normalize=True, epsilon=1e-5)
    return XLSRCTCModel(cfg=cfg).eval()


def log_probs(model: XLSRCTCModel) -> torch.Tensor:
    with torch.no_grad():
        return model(input_signal=SECONDS, input_signal_length=LENGTHS)[0]


def test_a_student_with_all_parts_is_the_teacher(teacher: XLSRCTCModel):
    student = build_student(teacher, StudentShape())
    assert torch.equal(log_probs(student), log_probs(teacher))
    assert student.cfg.encoder.architecture == teacher.cfg.encoder.architecture


@pytest.mark.parametrize(
    ("layers", "kept"), [(3, [0, 2, 5]), ([0, 1, 4], [0, 1, 4]), (1, [5])], ids=["even", "list", "1"]
)
def test_a_student_of_fewer_layers_is_the_teacher_without_the_others(teacher: XLSRCTCModel, layers, kept: list[int]):
    student = build_student(teacher, StudentShape(layers=layers))
    network = teacher.encoder.network
    whole = network.encoder.layers
    try:  # an independent reference: transformers' own network, with the other layers taken out of its list
        network.encoder.layers = torch.nn.ModuleList(whole[number] for number in kept)
        expected = log_probs(teacher)
    finally:
        network.encoder.layers = whole
    assert torch.equal(log_probs(student), expected)


def test_neurons_that_write_nothing_are_cut_without_a_change():
    """Half of the neurons get output weights of zero: importance finds them, and the output stays."""
    torch.manual_seed(0)
    model = XLSRCTCModel(cfg=model_config(architecture(), LABELS, normalize=True, epsilon=1e-5)).eval()
    useful = []
    with torch.no_grad():
        for number, layer in enumerate(model.encoder.network.encoder.layers):
            layer.feed_forward.output_dense.weight[:, number::2] = 0
            useful.append([neuron for neuron in range(128) if (neuron - number) % 2 or neuron < number])
    importance = measure_importance(model, [(SECONDS, LENGTHS)])
    shape = StudentShape(intermediate_size=max(map(len, useful)))
    selection = select_parts(model, shape, importance)
    for chosen, expected in zip(selection.neurons, useful, strict=True):
        assert set(expected) <= set(chosen.tolist())
    student = build_student(model, shape, importance)
    # the same products in another order of summation: float32 at about 30 terms of size 1
    torch.testing.assert_close(log_probs(student), log_probs(model), rtol=0, atol=1e-5)


def test_importance_reads_what_training_reads(tmp_path: Path):
    waves = [np.random.default_rng(n).normal(scale=0.1, size=8000 + n).astype("float32") for n in range(3)]
    rows = []
    for number, wave in enumerate(waves):
        soundfile.write(tmp_path / f"{number}.wav", wave, 16000, subtype="FLOAT")
        rows.append({"audio_filepath": f"{number}.wav", "duration": len(wave) / 16000})
    (tmp_path / "damaged.flac").write_bytes(b"fLaC" + bytes(100))
    part = {"audio_filepath": "2.wav", "offset": 0.25, "duration": 0.125}
    rows += [{"audio_filepath": "damaged.flac", "duration": 1}, {"audio_filepath": "0.wav", "duration": 40}, part]
    write_jsonl(tmp_path / "train.json", rows)
    dataset = OmegaConf.create({"manifest_filepath": str(tmp_path / "train.json"), "max_duration": 30})
    read = list(read_waves(dataset))
    for found, expected in zip(read, [*waves, waves[2][4000:6000]], strict=True):
        assert np.array_equal(found.numpy(), expected)


def test_every_width_shrinks_and_each_tensor_comes_from_the_teacher(teacher: XLSRCTCModel):
    shape = StudentShape(layers=2, num_attention_heads=2, intermediate_size=40, conv_dim=16)
    student = build_student(teacher, shape)
    fields = student.cfg.encoder.architecture
    assert (fields.hidden_size, fields.num_hidden_layers, fields.intermediate_size) == (32, 2, 40)
    assert list(fields.conv_dim) == [16] * 7
    chosen = select_parts(teacher, shape, Importance.of_weights(teacher))
    ours, theirs = student.encoder.network.state_dict(), teacher.encoder.network.state_dict()
    key = "encoder.layers.1.feed_forward.intermediate_dense.weight"
    expected = theirs["encoder.layers.5.feed_forward.intermediate_dense.weight"]
    assert torch.equal(ours[key], expected[chosen.neurons[1]][:, chosen.hidden])
    assert torch.isfinite(log_probs(student)).all()
    weight, whole = (model.encoder.network.encoder.pos_conv_embed.conv.weight for model in (student, teacher))
    assert weight.shape == (32, 8, 16)
    for row in (0, 8, 31):  # one output channel reads the kept channels of its own group
        channel = int(chosen.hidden[row])
        group = chosen.hidden[chosen.hidden // 16 == channel // 16] % 16
        # weight normalisation divides by a norm and multiplies by it again
        torch.testing.assert_close(weight[row], whole[channel][group], rtol=1e-5, atol=1e-7)


def test_larger_steps_give_fewer_frames_with_times_in_seconds(teacher: XLSRCTCModel):
    student = build_student(teacher, StudentShape(conv_stride=[5, 2, 2, 2, 2, 2, 4]))
    assert student.frame_s == pytest.approx(2 * teacher.frame_s)
    assert abs(2 * log_probs(student).shape[1] - log_probs(teacher).shape[1]) <= 1


def test_a_student_is_saved_restored_and_packed_as_any_model(teacher: XLSRCTCModel, tmp_path):
    student = build_student(teacher, StudentShape(layers=2, num_attention_heads=2, conv_dim=16))
    expected = log_probs(student)
    student.save_to(str(tmp_path / "student.nemo"))
    restored = XLSRCTCModel.restore_from(str(tmp_path / "student.nemo")).eval()
    assert torch.equal(log_probs(restored), expected)
    pack_encoder(restored, "float32")
    torch.testing.assert_close(log_probs(restored), expected, rtol=0, atol=1e-4)  # as for every model, see its tests


def test_the_teacher_is_not_changed_and_shares_no_memory(teacher: XLSRCTCModel):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    student = build_student(teacher, StudentShape(layers=3))
    with torch.no_grad():
        for weight in student.parameters():
            weight.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (StudentShape(layers=7), "student.shape.layers=7"),
        (StudentShape(layers=[3, 1]), "increasing order"),
        (StudentShape(num_attention_heads=5), "student.shape.num_attention_heads=5"),
        (StudentShape(conv_dim=[8, 8]), "expected 7 numbers"),
        (StudentShape(conv_stride=[5, 2, 2, 2, 2, 2, 3]), "multiples of the teacher's"),
        (StudentShape(intermediate_size=0), "student.shape.intermediate_size=0"),
    ],
    ids=["too many layers", "order", "heads", "convolutions", "stride", "no neurons"],
)
def test_a_student_that_the_teacher_cannot_give_is_refused(teacher: XLSRCTCModel, shape: StudentShape, message: str):
    with pytest.raises(ValueError, match=message):
        build_student(teacher, shape)


def test_layers_are_spread_from_the_first_to_the_last():
    assert choose_layers(12, 24)[0] == 0
    assert choose_layers(12, 24)[-1] == 23
    assert len(set(choose_layers(12, 24))) == 12
    assert choose_layers(None, 3) == (0, 1, 2)

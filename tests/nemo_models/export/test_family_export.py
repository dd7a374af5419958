"""Every member of the family out again: to Hugging Face and ONNX, and round, with nothing lost."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from family import MEMBERS, mark_slow, narrow, vocabulary_of, write_member
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_config, model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.huggingface import compare_huggingface, write_huggingface
from nemo_models.export.onnx import write_onnx
from nemo_models.export.probes import TOLERANCE

pytestmark = pytest.mark.slow

LAYERS = 2  # what an export could get wrong, it gets wrong in one layer or in none
FORMS = [(name, form) for name, member in MEMBERS.items() for form in member["forms"]]
LABELS = [" ", "अ", "क", "ा"]
"""For the new head of a member that comes without one."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory):
    """`exported(name)`: a member imported, saved as `.nemo`, restored, and written as Hugging Face's form."""

    @cache
    def export(name: str) -> tuple[Path, XLSRCTCModel]:
        folder = tmp_path_factory.mktemp("member")
        (folder / "source").mkdir()
        (folder / "hf").mkdir()
        checkpoint, _ = write_member(folder / "source", name, "huggingface", layers=LAYERS)
        import_checkpoint(checkpoint, LABELS).model.save_to(str(folder / "x.nemo"))
        model = XLSRCTCModel.restore_from(str(folder / "x.nemo"), map_location="cpu").eval()
        assert write_huggingface(model, folder / "hf") == []
        return folder, model

    return lambda name: export(twin_of(name))


def twin_of(name: str) -> str:
    """The first member that is the same network at this size: XLS-R 300M is XLSR-53 with other weights."""

    def essence(member: str) -> object:
        return {key: value for key, value in MEMBERS[member].items() if key != "source"}, vocabulary_of(member)

    return next(other for other in MEMBERS if essence(other) == essence(name))


@pytest.mark.parametrize(("name",), mark_slow((name,) for name in MEMBERS))
def test_hugging_face_form_holds_every_bit_and_computes_the_same(name: str, exported):
    folder, model = exported(name)
    before, after = (load_file(folder / form / "model.safetensors") for form in ("source", "hf"))
    prefix = "wav2vec2_bert." if "bert" in name else "wav2vec2."
    for key, tensor in before.items():
        if key.startswith(("quantizer", "project_")):
            continue  # of pretraining
        full_name = key if key.startswith((prefix, "lm_head.")) else prefix + key
        assert torch.equal(after[full_name], tensor), key
    if MEMBERS[name]["head"]:
        old, new = (json.loads((folder / form / "vocab.json").read_text(encoding="utf-8")) for form in ("source", "hf"))
        assert new == old
    assert compare_huggingface(model, folder / "hf") <= TOLERANCE  # alone and in a padded batch


@pytest.fixture(scope="module")
def graph(exported, tmp_path_factory: pytest.TempPathFactory):
    """`graph(name)`: a member's model and its ONNX file, float32."""
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")

    @cache
    def write(name: str) -> Path:
        path, _ = write_onnx(exported(name)[1], tmp_path_factory.mktemp("onnx"))
        return path

    return lambda name: (exported(name)[1], write(twin_of(name)))


@torch.inference_mode()
@pytest.mark.parametrize(("name",), mark_slow((name,) for name in MEMBERS))
def test_onnx_runtime_computes_the_same_alone_and_padded(name: str, graph, speech: list):
    import onnxruntime

    model, path = graph(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    clips = [speech[3][:35200], speech[2][16000:25601]]
    for batch in (clips[:1], clips[1:], clips):
        lengths = torch.tensor([len(clip) for clip in batch])
        signal = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip) for clip in batch], batch_first=True)
        expected, frames, _ = model(input_signal=signal, input_signal_length=lengths)
        found, counts = session.run(None, {"waveforms": signal.numpy(), "lengths": lengths.numpy()})
        assert counts.tolist() == frames.tolist()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def deep_conformer(tmp_path_factory: pytest.TempPathFactory):
    """Wav2Vec2-BERT with all of its 24 layers, one head wide, and its ONNX file: depth is what magnifies errors."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    architecture = narrow(MEMBERS["w2v-bert-2.0"]["architecture"], layers=24)
    assert architecture["num_hidden_layers"] == 24
    architecture |= {"num_attention_heads": 1, "hidden_size": 32, "intermediate_size": 128}
    torch.manual_seed(0)
    model = XLSRCTCModel(cfg=model_config(architecture, LABELS, True, 1e-7, kind="wav2vec2-bert")).eval()
    with torch.no_grad():
        for weight in model.encoder.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))  # else norms and biases are ones and zeros
    path, _ = write_onnx(model, tmp_path_factory.mktemp("deep"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return model, onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
@pytest.mark.parametrize("seconds", [(0.1,), (0.333,), (2.0,), (30.0,), (0.1, 3.1, 9.0)], ids=str)
def test_conformer_of_full_depth_is_the_same_from_a_tenth_of_a_second_to_half_a_minute(
    seconds: tuple[float, ...], deep_conformer, speech: list
):
    model, session = deep_conformer
    recording = torch.from_numpy(np.tile(np.concatenate(speech), 4))
    lengths = torch.tensor([round(16000 * length) for length in seconds])
    signal = torch.nn.utils.rnn.pad_sequence([recording[:length] for length in lengths], batch_first=True)
    expected, frames, _ = model(input_signal=signal, input_signal_length=lengths)
    assert signal.shape[1] == max(lengths)
    found, counts = session.run(None, {"waveforms": signal.numpy(), "lengths": lengths.numpy()})
    assert counts.tolist() == frames.tolist()
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory):
    """`travelled(name, form)`: a checkpoint, the model of it, and the checkpoint that came back."""

    @cache
    def travel(name: str, form: str) -> tuple[EncoderCheckpoint, XLSRCTCModel, EncoderCheckpoint]:
        folder = tmp_path_factory.mktemp("round")
        for step in ("source", "hf"):
            (folder / step).mkdir()
        source, _ = write_member(folder / "source", name, form, layers=LAYERS)
        checkpoint = load_checkpoint(source)
        model = model_from_checkpoint(checkpoint, None if checkpoint.head else LABELS)
        write_huggingface(model, folder / "hf")
        again = import_checkpoint(str(folder / "hf"), ["unused"]).model  # which also holds it against transformers
        again.save_to(str(folder / "again.nemo"))
        return checkpoint, model, load_checkpoint(str(folder / "again.nemo"))

    return lambda name, form: travel(twin_of(name), form)


@pytest.mark.parametrize(("name", "form"), mark_slow(FORMS))
def test_round_trip_brings_back_the_same_model(name: str, form: str, travelled):
    checkpoint, model, back = travelled(name, form)
    same = ("architecture", "normalize", "epsilon", "mask_padding", "kind") if "bert" not in name else ("architecture",)
    for field in same:
        assert getattr(back, field) == getattr(checkpoint, field), field
    for key, tensor in checkpoint.weights.items():
        assert torch.equal(back.weights[key], tensor), key
    assert back.head is not None and back.head.vocabulary is not None
    assert back.head.vocabulary.labels == list(model.decoder.vocabulary)
    layer = model.decoder.decoder_layers[0]
    assert torch.equal(back.head.vocabulary.blank_last(back.head.weight), layer.weight[..., 0])
    assert torch.equal(back.head.vocabulary.blank_last(back.head.bias), layer.bias)
    if checkpoint.head is not None:
        assert back.head.vocabulary == checkpoint.head.vocabulary
        assert torch.equal(back.head.weight, checkpoint.head.weight)
        assert torch.equal(back.head.bias, checkpoint.head.bias)


def test_fairseqs_epsilon_comes_back_and_stays_out_of_hugging_faces_own(tmp_path: Path):
    ways = {}
    for form in ("fairseq", "huggingface"):
        (tmp_path / form).mkdir()
        source, _ = write_member(tmp_path / form, "wav2vec2-large-xlsr-53", form, layers=1)
        (tmp_path / f"{form}_out").mkdir()
        model = model_from_checkpoint(load_checkpoint(source), LABELS)
        notes = write_huggingface(model, tmp_path / f"{form}_out")
        config = json.loads((tmp_path / f"{form}_out" / "preprocessor_config.json").read_text(encoding="utf-8"))
        back = load_checkpoint(str(tmp_path / f"{form}_out"))
        ways[form] = (config.get("variance_epsilon"), back.epsilon, len(notes))
    assert ways == {"fairseq": (1e-5, 1e-5, 1), "huggingface": (None, 1e-7, 0)}
    assert "multiplied by 0.1" in notes_of(tmp_path / "fairseq", tmp_path / "again")


def notes_of(source: Path, target: Path) -> str:
    target.mkdir()
    model = model_from_checkpoint(load_checkpoint(str(source / "checkpoint.pt")), LABELS)
    return " ".join(write_huggingface(model, target))


@pytest.mark.parametrize("value", ["1e-5", 0.0, -1e-5, True, None])
def test_an_epsilon_that_cannot_be_is_refused(value: object, tmp_path: Path):
    source, _ = write_member(tmp_path, "wav2vec2-large-xlsr-53", "huggingface", layers=1)
    path = tmp_path / "preprocessor_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "variance_epsilon": value}), encoding="utf-8")
    with pytest.raises(ValueError, match="variance_epsilon="):
        load_checkpoint(source)

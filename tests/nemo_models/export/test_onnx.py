import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.onnx import compare_onnx, require_onnx_packages, save_onnx, write_onnx
from nemo_models.export.probes import TOLERANCE
from topology import architecture

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")


def open_session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # says that `lengths` has a default value, which is intended
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_model(model: XLSRCTCModel, waves: list) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Log-probabilities and frames of PyTorch, and what to feed ONNX Runtime with for the same."""
    lengths = torch.tensor([len(wave) for wave in waves])
    signal = torch.nn.utils.rnn.pad_sequence([torch.as_tensor(wave) for wave in waves], batch_first=True)
    with torch.inference_mode():
        log_probs, frames, _ = model.forward(input_signal=signal, input_signal_length=lengths)
    return log_probs, frames, signal.numpy(), lengths.numpy()


def noise(seconds: float, scale: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=scale, size=round(16000 * seconds)).astype(np.float32)


@pytest.fixture(scope="module")
def exported(tiny_model: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    path, notes = write_onnx(tiny_model, folder, source="tiny.nemo")
    assert path.name == "model.onnx"
    assert notes == []
    return path


@pytest.fixture(scope="module")
def exported_int8(tiny_model: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, notes = write_onnx(tiny_model, tmp_path_factory.mktemp("int8"), quantization="int8")
    assert path.name == "model.int8.onnx"
    assert "int8" in notes[0]
    return path


def test_a_language_model_that_stays_behind_is_told(tmp_path: Path):
    small = architecture(num_hidden_layers=1)
    model = XLSRCTCModel(cfg=model_config(small, [" ", "क"], normalize=True, epsilon=1e-5)).eval()
    model.cfg.decoding.beam.ngram_lm_model = "lm.nemo"
    _, notes = write_onnx(model, tmp_path)
    assert ["language model is not exported" in note for note in notes] == [True]


@pytest.mark.parametrize("seconds", [0.1, 0.333, 2.0, 17.77, 60.0])
def test_onnx_runtime_equals_pytorch_on_audio_of_any_length(tiny_model: XLSRCTCModel, exported: Path, seconds: float):
    expected, frames, signal, lengths = run_model(tiny_model, [noise(seconds)])
    found, counts = open_session(exported).run(None, {"waveforms": signal, "lengths": lengths})
    assert counts.tolist() == frames.tolist()
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


def test_onnx_runtime_equals_pytorch_on_padded_batches(tiny_model: XLSRCTCModel, exported: Path, speech: list):
    session = open_session(exported)
    for batch in (speech, speech[::-1], [noise(0.1), *speech[:2]], [noise(1.0), noise(1.0)]):
        expected, frames, signal, lengths = run_model(tiny_model, batch)
        found, counts = session.run(None, {"waveforms": signal, "lengths": lengths})
        assert counts.tolist() == frames.tolist()
        # the padded frames too: they are certain blanks in both
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


def test_padding_holds_nothing_of_what_stands_in_it(exported: Path):
    session = open_session(exported)
    signal = np.stack([noise(2.0), noise(2.0)])
    lengths = np.array([32000, 20000])
    expected = session.run(None, {"waveforms": signal, "lengths": lengths})[0]
    signal[1, 20000:] = 7.0
    found = session.run(None, {"waveforms": signal, "lengths": lengths})[0]
    np.testing.assert_array_equal(found, expected)


def test_lengths_may_be_left_out(exported: Path):
    session = open_session(exported)
    assert [item.name for item in session.get_inputs()] == ["waveforms"]
    assert [item.name for item in session.get_overridable_initializers()] == ["lengths"]
    signal = np.stack([noise(1.5), noise(1.5, scale=0.3)])
    whole = session.run(None, {"waveforms": signal, "lengths": np.array([24000, 24000])})
    for found, expected in zip(session.run(None, {"waveforms": signal}), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_audio_shorter_than_a_frame_gives_no_frame_and_no_error(exported: Path):
    log_probs, frames = open_session(exported).run(None, {"waveforms": noise(0.01)[None], "lengths": np.array([160])})
    assert frames.tolist() == [0]
    assert log_probs.shape[1] == 1
    assert log_probs[0, 0].argmax() == log_probs.shape[2] - 1


@pytest.mark.parametrize(
    ("normalize", "epsilon", "group_norm"), [(False, 1e-5, False), (True, 1e-7, False), (False, 1e-5, True)]
)
def test_normalisation_and_topology_follow_the_model(normalize: bool, epsilon: float, group_norm: bool, tmp_path: Path):
    base = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False} if group_norm else {}
    torch.manual_seed(1)
    config = model_config(architecture(**base), [" ", "क", "ख"], normalize, epsilon, mask_padding=not group_norm)
    model = XLSRCTCModel(cfg=config).eval()
    path, notes = write_onnx(model, tmp_path)
    assert bool(notes) is not normalize  # sherpa-onnx always normalises
    quiet = noise(1.0, scale=0.001)  # where the epsilon matters
    expected, _, signal, lengths = run_model(model, [quiet, noise(0.5)])
    found = open_session(path).run(None, {"waveforms": signal, "lengths": lengths})[0]
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE)


def test_comparison_finds_a_graph_that_differs(tiny_model: XLSRCTCModel, exported: Path, tmp_path: Path):
    assert compare_onnx(tiny_model, exported) <= TOLERANCE
    graph = onnx.load(str(exported))
    bias = next(tensor for tensor in graph.graph.initializer if tensor.name == "decoder.decoder_layers.0.bias")
    spoilt = onnx.numpy_helper.to_array(bias).copy()
    spoilt[3] += 0.01
    bias.CopyFrom(onnx.numpy_helper.from_array(spoilt, bias.name))
    save_onnx(graph, tmp_path / "model.onnx")
    assert compare_onnx(tiny_model, tmp_path / "model.onnx") > TOLERANCE


def test_one_file_and_beyond_the_limit_two_with_the_same_output(exported: Path, tmp_path: Path):
    assert sorted(path.name for path in exported.parent.iterdir()) == ["metadata.json", "model.onnx", "tokens.txt"]
    save_onnx(onnx.load(str(exported)), tmp_path / "model.onnx", limit=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    feed = {"waveforms": noise(1.0)[None]}
    expected, found = (open_session(path).run(None, feed)[0] for path in (exported, tmp_path / "model.onnx"))
    np.testing.assert_array_equal(found, expected)


def test_tokens_and_metadata_say_how_to_read_the_output(tiny_model: XLSRCTCModel, exported: Path):
    lines = (exported.parent / "tokens.txt").read_text(encoding="utf-8").splitlines()
    tokens = {int(number): token for token, number in (line.rsplit(" ", 1) for line in lines)}
    labels = list(tiny_model.cfg.labels)
    assert [tokens[index].replace("▁", " ") for index in range(len(labels))] == labels
    assert tokens[len(labels)] == "<blk>"
    beside = json.loads((exported.parent / "metadata.json").read_text(encoding="utf-8"))
    inside = open_session(exported).get_modelmeta().custom_metadata_map
    assert json.loads(inside["labels"]) == beside["labels"] == labels
    assert beside["blank_id"] == len(labels)
    assert inside["normalizer_fingerprint"] == tiny_model.cfg.normalizer_fingerprint
    assert beside["model"] == "tiny.nemo"
    onnx.checker.check_model(str(exported))


def test_int8_is_smaller_and_nearly_the_same(
    tiny_model: XLSRCTCModel, exported: Path, exported_int8: Path, speech: list
):
    assert exported_int8.stat().st_size < 0.8 * exported.stat().st_size  # at this width much of it is convolutions
    session = open_session(exported_int8)
    agreeing = total = 0
    for wave in speech:
        expected, frames, signal, lengths = run_model(tiny_model, [wave])
        found, counts = session.run(None, {"waveforms": signal, "lengths": lengths})
        assert counts.tolist() == frames.tolist()
        agreeing += int((found.argmax(-1) == expected.numpy().argmax(-1)).sum())
        total += found.shape[1]
    # 8 bits are good for about 1 %; a wrong scale or a dropped layer leaves next to nothing
    assert 0.9 < agreeing / total < 1
    assert session.get_modelmeta().custom_metadata_map["quantization"] == "int8"


def test_sherpa_onnx_reads_the_files_as_they_are(
    tiny_model: XLSRCTCModel, exported: Path, exported_int8: Path, speech: list
):
    sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="needs the package sherpa-onnx")
    for path in (exported, exported_int8):
        recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
            model=str(path), tokens=str(path.parent / "tokens.txt"), num_threads=1
        )
        streams = []
        for wave in speech:
            streams.append(recognizer.create_stream())
            streams[-1].accept_waveform(16000, wave)
        recognizer.decode_streams(streams)
        for stream, wave in zip(streams, speech, strict=True):
            if path is exported:
                log_probs, frames, _, _ = run_model(tiny_model, [wave])
            else:
                log_probs, frames = map(torch.from_numpy, open_session(path).run(None, {"waveforms": wave[None]}))
            text = tiny_model.decoding.ctc_decoder_predictions_tensor(log_probs, frames)[0].text
            found, expected = stream.result.text.split(), text.split()
            # sherpa-onnx normalises too, which takes most of the epsilon away; int8 may then round a frame otherwise
            assert found == expected if path is exported else len("".join(found)) > 0
            assert text


def test_a_missing_package_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    require_onnx_packages(with_runtime=True)

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"package onnx is missing .*pip install '\.\[export\]'"):
        require_onnx_packages(with_runtime=False)


def test_another_front_end_is_refused(tmp_path: Path):
    from types import SimpleNamespace

    model = SimpleNamespace(encoder=object())
    with pytest.raises(ValueError, match="found an encoder of type object"):
        write_onnx(model, tmp_path)  # type: ignore[arg-type]


def test_export_warns_of_nothing_the_user_could_mend(tiny_model: XLSRCTCModel, tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_onnx(tiny_model, tmp_path)

import errno
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from nemo.core.classes.common import ALLOWED_TARGET_PREFIXES
from omegaconf import OmegaConf

import nemo_models
from nemo_models import LogMelFeatures, W2VBertEncoder, WaveformNormalizer, XLSRCTCModel, XLSREncoder
from nemo_models.pretraining_model import XLSRPretrainingModel
from nemo_models.stream_training import without_local_paths
from warm_python import WarmPython

BATCH_INVARIANCE = 1e-4  # float32, attention over another number of keys
SUMMATION_ORDER = 1e-4  # float32, another process may sum over another number of threads; 1e-5 was seen


def run_alone(model: XLSRCTCModel, wave: torch.Tensor) -> torch.Tensor:
    return model.forward(input_signal=wave[None], input_signal_length=torch.tensor([len(wave)]))[0][0]


@torch.inference_mode()
def test_utterance_alone_equals_utterance_in_a_padded_batch(tiny_model: XLSRCTCModel, speech: list):
    waves = [torch.from_numpy(wave) for wave in speech]
    lengths = torch.tensor([len(wave) for wave in waves])
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    log_probs, frames, best = tiny_model.forward(input_signal=batch, input_signal_length=lengths)
    texts = tiny_model.decoding.ctc_decoder_predictions_tensor(log_probs, decoder_lengths=frames)
    for row, count, labels, text, wave in zip(log_probs, frames, best, texts, waves, strict=True):
        alone = run_alone(tiny_model, wave)
        torch.testing.assert_close(row[:count], alone, rtol=0, atol=BATCH_INVARIANCE)
        single = tiny_model.decoding.ctc_decoder_predictions_tensor(alone[None], decoder_lengths=count[None])
        assert single[0].text == text.text
        assert text.text
        blank = log_probs.shape[-1] - 1
        assert (labels[count:] == blank).all()
        assert (row[count:, blank] == 0).all()
        assert (row[count:, :blank] == -1e4).all()


@torch.inference_mode()
def test_nemos_method_writes_nothing_where_nothing_is_heard(tiny_model: XLSRCTCModel, speech: list):
    zeros, steps = np.zeros(32000, np.float32), (np.arange(32000) % 2 / 2**15).astype(np.float32)
    found = tiny_model.transcribe([zeros, speech[0], steps], batch_size=3, verbose=False)
    heard = tiny_model.transcribe([speech[0]], verbose=False)[0].text
    assert [hypothesis.text for hypothesis in found] == ["", heard, ""]
    assert heard and tiny_model.transcribe([0.01 * speech[0]], verbose=False)[0].text


def test_padding_gets_no_gradient(tiny_model: XLSRCTCModel):
    log_probs, frames, _ = tiny_model.forward(
        input_signal=torch.randn(2, 16000), input_signal_length=torch.tensor([16000, 8000])
    )
    assert log_probs[1, int(frames[1]) :].sum().requires_grad
    (gradient,) = torch.autograd.grad(log_probs[1, int(frames[1]) :].sum(), tiny_model.decoder.decoder_layers[0].bias)
    assert not gradient.any()


def test_import_admits_exactly_our_six_classes():
    ours = {target for target in ALLOWED_TARGET_PREFIXES if target.startswith("nemo_models")}
    classes = (WaveformNormalizer, XLSREncoder, LogMelFeatures, W2VBertEncoder, XLSRCTCModel, XLSRPretrainingModel)
    assert ours == {f"{c.__module__}.{c.__qualname__}" for c in classes}


RESTORE = """
import nemo_models
import torch
from nemo.collections.asr.models import ASRModel
model = ASRModel.restore_from("x.nemo", map_location="cpu").eval()
with torch.inference_mode():
    signal = torch.load("signal.pt", weights_only=True)
    found = model.forward(input_signal=signal, input_signal_length=torch.tensor([16000]))
torch.save((found[0], model.state_dict()), "found.pt")
"""


@pytest.mark.slow
@torch.inference_mode()
def test_nemo_file_restores_in_another_process_with_identical_weights(
    tiny_model: XLSRCTCModel, tmp_path: Path, warm_python: WarmPython
):
    signal = torch.randn(1, 16000)
    torch.save(signal, tmp_path / "signal.pt")
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    expected = tiny_model.forward(input_signal=signal, input_signal_length=torch.tensor([16000]))[0]
    (tmp_path / "restore.py").write_text(RESTORE, encoding="utf-8")
    done = warm_python.run("restore.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found, weights = torch.load(tmp_path / "found.pt", weights_only=True)
    assert {name: value.tolist() for name, value in weights.items()} == {
        name: value.tolist() for name, value in tiny_model.state_dict().items()
    }
    torch.testing.assert_close(found, expected, rtol=0, atol=SUMMATION_ORDER)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_nemo_file_restores_on_pythons_whose_tarfile_knows_no_filters(
    tiny_model: XLSRCTCModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Python 3.11.2, which Debian 12 has, refuses the argument that NeMo gives."""
    original, extracted = nemo_models._extract, []

    def extract(archive, member, path="", set_attrs=True, *, numeric_owner=False):
        extracted.append(member.name)
        original(archive, member, path, set_attrs, numeric_owner=numeric_owner, filter="fully_trusted")

    monkeypatch.setattr(nemo_models, "_extract", extract)
    monkeypatch.setattr(tarfile.TarFile, "extract", nemo_models._extract_without_filters)
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    weights = XLSRCTCModel.restore_from(str(tmp_path / "x.nemo"), map_location="cpu").state_dict()
    assert any(name.endswith("model_weights.ckpt") for name in extracted)
    assert all(torch.equal(weights[name], value) for name, value in tiny_model.state_dict().items())
    (tmp_path / "link").symlink_to("/etc")
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        archive.add(tmp_path / "link", "link")
    with tarfile.open(tmp_path / "y.tar") as archive, pytest.raises(tarfile.ExtractError, match="found no file"):
        archive.extract("link", tmp_path / "out", filter="data")


def test_saved_configuration_holds_no_path_of_the_training_machine(tiny_model: XLSRCTCModel):
    config = OmegaConf.create(OmegaConf.to_container(tiny_model.cfg))
    config.train_ds = {"manifest_filepath": "/data/secret.json", "batch_size": 3, "noise_path": "/data/secret.json"}
    config.train_ds.tarred_audio_filepaths = config.train_ds.shar_path = "/data/secret"
    config.train_ds.augmentor = {"noise": {"prob": 0.3, "manifest_path": "/data/secret.json"}}
    config.decoding = {"strategy": "beam_batch", "beam": {"ngram_lm_model": "/data/secret.nemo"}}
    portable = without_local_paths(config)
    assert "secret" not in OmegaConf.to_yaml(portable)
    assert portable.train_ds.batch_size == 3
    assert portable.train_ds.augmentor == {"noise": {"prob": 0.3}}
    assert portable.decoding.strategy == "greedy_batch"
    assert config.train_ds.manifest_filepath == "/data/secret.json"


@pytest.mark.parametrize("use_lhotse", [False, True])
def test_devanagari_reaches_the_loss_as_it_is(tiny_model: XLSRCTCModel, tmp_path: Path, use_lhotse: bool):
    text = "क\u093cलम ज\u093cरूर ऑफ\u093cिस में है"
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    row = {"audio_filepath": str(tmp_path / "a.wav"), "duration": 1.0, "text": text}
    (tmp_path / "m.json").write_text(json.dumps(row), encoding="utf-8")
    settings = {
        "manifest_filepath": str(tmp_path / "m.json"),
        "batch_size": 1,
        "shuffle": False,
        "use_lhotse": use_lhotse,
    }
    loader = tiny_model._setup_dataloader_from_config(OmegaConf.create(settings))
    *_, labels, length = next(iter(loader))
    assert "".join(tiny_model.cfg.labels[index] for index in labels[0][: length[0]].tolist()) == text


def test_a_model_that_is_not_saved_leaves_no_file(tiny_model: XLSRCTCModel, tmp_path: Path, monkeypatch):
    def full(self, model, save_path):
        Path(save_path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(tiny_model._save_restore_connector), "save_to", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/x\.nemo'"):
        tiny_model.save_to(str(tmp_path / "x.nemo"))
    assert not list(tmp_path.iterdir())
    assert tiny_model.cfg.decoding.strategy == "greedy_batch"

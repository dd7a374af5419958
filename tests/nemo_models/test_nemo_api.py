"""NeMo's own API on a model of ours, in a process that knows nothing but `import nemo_models`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nemo_models.ctc_model import XLSRCTCModel
from project import ROOT

pytestmark = pytest.mark.slow

SCRIPT = """
import json
import numpy as np
import torch
from nemo.collections.asr.models import ASRModel

try:
    ASRModel.restore_from("x.nemo", map_location="cpu")
except Exception as error:
    without_import = f"{type(error).__name__}: {error}"

import sys
import nemo_models.ctc_model

training = [name for name in sys.modules if name.startswith("nemo_models.training")]
model = ASRModel.restore_from("x.nemo", map_location="cpu").eval()
found = {"without_import": without_import, "training": training}
found["greedy"] = [hypothesis.text for hypothesis in model.transcribe(["a.wav", "b.wav"], verbose=False)]

beam = {"strategy": "beam_batch", "beam": {"beam_size": 4, "beam_beta": 0.0}}
model.change_decoding_strategy(beam, verbose=False)
found["beam"] = [hypothesis.text for hypothesis in model.transcribe(["a.wav", "b.wav"], verbose=False)]

model.export("encoder.onnx")
signal, lengths = model.encoder.input_example()
with torch.inference_mode():
    encoded, frames = model.encoder(audio_signal=signal, length=lengths)
    log_probs = model.decoder(encoder_output=encoded)
np.savez("encoder.npz", signal=signal, lengths=lengths, log_probs=log_probs, frames=frames)

model.change_vocabulary(["क", "ख", " "])
for use_lhotse in (False, True):
    model.setup_training_data(
        {"manifest_filepath": "m.json", "batch_size": 1, "shuffle": False, "use_lhotse": use_lhotse, "num_workers": 0}
    )
    signal, lengths, labels, label_lengths, *_ = next(iter(model._train_dl))  # with a note on the batch from Lhotse
    found[f"labels {use_lhotse}"] = labels.tolist()
    log_probs, frames, _ = model.forward(input_signal=signal, input_signal_length=lengths)
    loss = model.loss(
        log_probs=log_probs, targets=labels, input_lengths=frames, target_lengths=label_lengths
    )
    found[f"loss {use_lhotse}"] = loss.item()
model.save_to("y.nemo")
again = ASRModel.restore_from("y.nemo", map_location="cpu")
found["vocabulary"] = [list(again.decoder.vocabulary), list(again.cfg.labels)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tiny_model: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    tiny_model.save_to(str(folder / "x.nemo"))
    for name, seconds in (("a", 2.0), ("b", 1.3)):
        noise = np.random.default_rng(len(name)).normal(scale=0.1, size=int(16000 * seconds))
        soundfile.write(folder / f"{name}.wav", noise, 16000)
    row = {"audio_filepath": str(folder / "a.wav"), "duration": 2.0, "text": "ख क"}
    (folder / "m.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_without_the_import_nemo_says_what_the_troubleshooting_page_explains(found: dict):
    assert found["without_import"].startswith("UnsafeTargetError: Instantiation of unsafe target 'nemo_models.")
    rows = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").splitlines()
    assert any("UnsafeTargetError: Instantiation of unsafe target 'nemo_models.…'" in row for row in rows)


def test_importing_the_model_loads_nothing_of_training(found: dict):
    assert found["training"] == []


def test_transcribe_and_change_decoding_strategy(found: dict, folder: Path, tiny_model: XLSRCTCModel):
    paths = [str(folder / "a.wav"), str(folder / "b.wav")]
    here = [hypothesis.text for hypothesis in tiny_model.transcribe(paths, verbose=False)]
    assert found["greedy"] == here
    assert all(here)
    assert all(found["beam"])


def test_changed_vocabulary_reaches_loss_and_file(found: dict):
    assert found["labels False"] == found["labels True"] == [[1, 2, 0]]
    assert 0 < found["loss False"] < 1e4
    assert found["loss False"] == pytest.approx(found["loss True"], rel=1e-5)  # one batch, read by two loaders
    assert found["vocabulary"] == [["क", "ख", " "]] * 2


def test_nemo_export_gives_the_same_log_probabilities(found: dict, folder: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    expected = np.load(folder / "encoder.npz")
    session = onnxruntime.InferenceSession(str(folder / "encoder.onnx"), providers=["CPUExecutionProvider"])
    feed = {"audio_signal": expected["signal"], "length": expected["lengths"]}
    (log_probs,) = session.run(None, feed)
    for row, other, count in zip(log_probs, expected["log_probs"], expected["frames"], strict=True):
        np.testing.assert_allclose(row[:count], other[:count], rtol=0, atol=1e-4)  # float32, other order of sums

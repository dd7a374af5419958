"""The paths of classes in `.nemo` files: files that were saved before must restore, so these never change."""

from pathlib import Path

import pytest
import torch
from nemo.collections.asr.models import ASRModel

import nemo_models
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.nemo_file import read_nemo_config
from project import ROOT

SAVED = ROOT / "tests/assets/saved_by_cd45402.nemo"
"""A model of random weights that the code of commit cd45402 saved (2026-11-21), before modules moved into rooms."""

SAVED_PATHS = {
    "LogMelFeatures": "nemo_models.w2v_bert_features",
    "W2VBertEncoder": "nemo_models.w2v_bert_encoder",
    "WaveformNormalizer": "nemo_models.waveform_normalizer",
    "XLSRCTCModel": "nemo_models.ctc_model",
    "XLSREncoder": "nemo_models.xlsr_encoder",
    "XLSRPretrainingModel": "nemo_models.pretraining_model",
}


def find_targets(config: object) -> set[str]:
    """Return every class path in a configuration."""
    if isinstance(config, dict):
        own = {str(value) for key, value in config.items() if key in ("target", "_target_")}
        return own.union(*map(find_targets, config.values()))
    return set().union(*map(find_targets, config)) if isinstance(config, list) else set()


def test_classes_of_saved_models_are_where_they_were():
    assert nemo_models._CLASSES == SAVED_PATHS
    for name, module in SAVED_PATHS.items():
        assert getattr(nemo_models, name).__module__ == module


def test_saved_model_names_only_these_classes(tiny_model: XLSRCTCModel, tmp_path: Path):
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    ours = {path for path in find_targets(read_nemo_config(tmp_path / "x.nemo")) if path.startswith("nemo_models")}
    assert ours == {f"{SAVED_PATHS[name]}.{name}" for name in ("WaveformNormalizer", "XLSRCTCModel", "XLSREncoder")}
    w2v_bert = model_config({}, [" "], normalize=True, epsilon=1e-7, kind="wav2vec2-bert")
    assert w2v_bert.encoder._target_ == f"{SAVED_PATHS['W2VBertEncoder']}.W2VBertEncoder"
    assert w2v_bert.preprocessor._target_ == f"{SAVED_PATHS['LogMelFeatures']}.LogMelFeatures"


def test_a_file_that_was_saved_before_the_modules_moved_restores_and_computes_the_same():
    model = ASRModel.restore_from(str(SAVED), map_location="cpu")
    assert model.cfg.decoding.strategy == "beam_batch" and model.cfg.decoding.beam.beam_size == 4
    time = torch.arange(16_000)
    signal = torch.stack([torch.sin(0.05 * time + 1e-6 * time**2), torch.sin(0.11 * time) * (time < 9000)]).float()
    with torch.inference_mode():
        log_probs, lengths, _ = model(input_signal=signal, input_signal_length=torch.tensor([16_000, 9000]))
    assert lengths.tolist() == [49, 27]
    computed = [log_probs[row, frame, [0, 10, 30, 65]].tolist() for row, frame in ((0, 0), (0, 25), (1, 20))]
    recorded = [  # by that commit; float32 sums in another order differ by some 1e-6
        [-3.308, -5.94318, -6.245, -2.65487],
        [-6.56463, -7.00507, -6.40291, -5.09301],
        [-5.32328, -7.04932, -5.9969, -3.71606],
    ]
    for found, expected in zip(computed, recorded, strict=True):
        assert found == pytest.approx(expected, abs=1e-3)
    assert model.transcribe([signal[0].numpy()], verbose=False)[0].text

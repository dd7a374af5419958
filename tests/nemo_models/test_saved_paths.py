"""The paths of classes in `.nemo` files: files that were saved before must restore, so these never change."""

from pathlib import Path

import nemo_models
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.nemo_file import read_nemo_config

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

from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nemo_models.checkpoints.checkpoint import EncoderCheckpoint
from nemo_models.training.finetuning import _take_settings

CONF = Path(__file__).resolve().parents[3] / "conf"


@pytest.mark.parametrize(
    ("config_name", "kind", "other"),
    [("xlsr_hi", "wav2vec2", "wav2vec2-bert"), ("w2v_bert_hi", "wav2vec2-bert", "wav2vec2")],
)
def test_checkpoint_fixes_front_end_and_architecture_of_its_own_kind_only(config_name: str, kind: str, other: str):
    model = OmegaConf.load(CONF / f"{config_name}.yaml").model
    fields = {**OmegaConf.to_container(model.encoder.architecture), "hidden_size": 64}
    masks = model.encoder.mask_time_prob
    checkpoint = EncoderCheckpoint("x", fields, {}, normalize=False, epsilon=1e-7, left_out=(), kind=kind)
    _take_settings(model, checkpoint)
    assert model.encoder.architecture.hidden_size == 64
    assert model.encoder.mask_time_prob == masks
    assert model.preprocessor.get("normalize", False) is False
    with pytest.raises(ValueError, match="--config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"):
        _take_settings(model, replace(checkpoint, kind=other))

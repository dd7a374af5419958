from dataclasses import replace
from typing import Any

import pytest
from omegaconf import OmegaConf

from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.training.configuration import apply_checkpoint_settings
from recipe import load_recipe


@pytest.mark.parametrize(
    ("config_name", "kind", "other"),
    [("xlsr_hi", "wav2vec2", "wav2vec2-bert"), ("w2v_bert_hi", "wav2vec2-bert", "wav2vec2")],
)
def test_checkpoint_fixes_front_end_and_architecture_of_its_own_kind_only(config_name: str, kind: str, other: str):
    model = load_recipe(config_name).model
    fields = {**OmegaConf.to_container(model.encoder.architecture), "hidden_size": 64}
    masks = model.encoder.mask_time_prob
    checkpoint = EncoderCheckpoint("x", fields, {}, normalize=False, epsilon=1e-7, left_out=(), kind=kind)
    apply_checkpoint_settings(model, checkpoint)
    assert model.encoder.architecture.hidden_size == 64
    assert model.encoder.mask_time_prob == masks
    assert model.preprocessor.get("normalize", False) is False
    with pytest.raises(ValueError, match="--config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"):
        apply_checkpoint_settings(model, replace(checkpoint, kind=other))


def test_both_recipes_have_the_same_settings_but_for_front_end_and_encoder():
    def keys(tree: Any, prefix: str = "") -> set[str]:
        inner = [keys(value, f"{prefix}{key}.") for key, value in tree.items() if isinstance(value, dict)]
        return {f"{prefix}{key}" for key in tree}.union(*inner)

    names = ("xlsr_hi", "w2v_bert_hi")
    first, second = (keys(OmegaConf.to_container(load_recipe(name))) for name in names)
    differing = {key.rpartition(".")[0] for key in first ^ second}
    assert differing == {"model.encoder", "model.encoder.architecture", "model.preprocessor"}

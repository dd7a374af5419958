"""A pre-training model as a folder that transformers opens, with every tensor."""

from pathlib import Path

import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForPreTraining, Wav2Vec2ForPreTraining

from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.export.exporting import export_model
from nemo_models.export.pretraining_folder import named_as_transformers
from nemo_models.pretraining_model import XLSRPretrainingModel
from pretraining_pair import OBJECTIVE, SPAN, make_ours, make_theirs


@pytest.fixture(scope="module")
def model() -> XLSRPretrainingModel:
    return make_ours(make_theirs())


@pytest.fixture(scope="module")
def exported(model: XLSRPretrainingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    model.save_to(str(folder / "x.nemo"))
    report = export_model(folder / "x.nemo", "huggingface", folder / "hf")
    assert report.difference is not None and report.difference < 1e-5
    return folder / "hf"


def test_transformers_opens_it_with_every_tensor(model: XLSRPretrainingModel, exported: Path):
    found, info = AutoModelForPreTraining.from_pretrained(exported, output_loading_info=True)
    assert isinstance(found, Wav2Vec2ForPreTraining)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    expected = named_as_transformers(model)
    assert set(found.state_dict()) == set(expected)
    assert all(torch.equal(found.state_dict()[name], tensor) for name, tensor in expected.items())
    config = found.config
    assert (config.num_negatives, config.mask_time_length) == (OBJECTIVE["negatives"], SPAN)
    assert AutoFeatureExtractor.from_pretrained(exported).do_normalize is False


def test_it_is_a_checkpoint_to_continue_from(model: XLSRPretrainingModel, exported: Path):
    checkpoint = load_checkpoint(str(exported), with_head=False)
    for found, module in ((checkpoint.weights, model.encoder.network), (checkpoint.objective, model.objective)):
        assert all(torch.equal(found[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(("settings", "message"), [({"format": "onnx"}, "format=onnx"), ({"lm": "x.arpa"}, "lm=")])
def test_what_it_cannot_have_is_refused(exported: Path, tmp_path: Path, settings: dict, message: str):
    lm = tmp_path / settings.get("lm", "none")
    lm.touch()
    with pytest.raises(ValueError, match=rf"{message}.*a pre-training model"):
        export_model(
            exported.parent / "x.nemo",
            settings.get("format", "huggingface"),
            tmp_path / "out",
            lm=lm if "lm" in settings else None,
        )

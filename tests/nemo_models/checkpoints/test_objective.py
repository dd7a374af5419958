"""The tensors of the pre-training in checkpoints: kept in every form, and missing only with consent."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.objective import TENSORS, load_objective, require_objective
from nemo_models.layers.contrastive import ContrastiveObjective
from pretraining_pair import OBJECTIVE, make_ours, make_theirs
from project import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained checkpoint as transformers writes it."""
    folder = tmp_path_factory.mktemp("pretrained")
    make_theirs().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return folder


def test_hugging_face_checkpoint_keeps_quantizer_and_projections(folder: Path):
    checkpoint = load_checkpoint(str(folder), with_head=False)
    sizes = require_objective(checkpoint, allow_new=False)
    assert sizes == {name: OBJECTIVE[name] for name in ("groups", "entries", "codevector_dim", "projection_dim")}
    objective = ContrastiveObjective(32, 64, **sizes)
    load_objective(objective, checkpoint)
    expected = make_theirs().state_dict()
    assert set(objective.state_dict()) == set(TENSORS) <= set(expected)
    assert all(torch.equal(objective.state_dict()[name], expected[name]) for name in TENSORS)


def test_genuine_fairseq_checkpoint_keeps_quantizer_and_projections(shared_data: Path):
    path = shared_data / "checkpoints/fairseq_tiny_reference/tiny_xlsr_style.fairseq.pt"
    checkpoint = load_checkpoint(str(path))
    weights = torch.load(path, weights_only=False)["model"]  # this project's own oracle
    names = dict(zip(TENSORS, ("quantizer.vars", *TENSORS[1:5], "final_proj.weight", "final_proj.bias"), strict=True))
    assert require_objective(checkpoint, allow_new=False)
    for name, theirs in names.items():
        assert torch.equal(checkpoint.objective[name], weights[theirs].float())


def test_nemo_file_of_a_pre_training_is_a_checkpoint(tmp_path: Path):
    ours = make_ours(make_theirs())
    ours.save_to(str(tmp_path / "x.nemo"))
    checkpoint = load_checkpoint(str(tmp_path / "x.nemo"), with_head=False)
    for found, module in ((checkpoint.weights, ours.encoder.network), (checkpoint.objective, ours.objective)):
        assert set(found) == set(module.state_dict())
        assert all(torch.equal(found[name], value) for name, value in module.state_dict().items())
    assert (checkpoint.normalize, checkpoint.head) == (False, None)


def test_checkpoint_without_a_quantizer_says_what_starts_at_random():
    checkpoint = load_checkpoint(str(ROOT / "nemo_models/xlsr_tiny_hi"), with_head=False)
    with pytest.raises(ValueError, match=r"found no project_hid, project_q, quantizer.*allow_new_quantizer=true$"):
        require_objective(checkpoint, allow_new=False)
    assert require_objective(checkpoint, allow_new=True) is None


def test_tensors_that_do_not_belong_together_are_named(folder: Path):
    checkpoint = load_checkpoint(str(folder), with_head=False)
    wrong = replace(checkpoint, objective={**checkpoint.objective, "project_hid.weight": torch.zeros(24, 63)})
    with pytest.raises(ValueError, match=r"project_hid.weight of shape \(24, 63\), expected \(24, 64\)"):
        require_objective(wrong, allow_new=False)
    with pytest.raises(ValueError, match=r"found no quantizer, expected"):
        missing = {name: value for name, value in checkpoint.objective.items() if name != "quantizer.codevectors"}
        require_objective(replace(checkpoint, objective=missing), allow_new=False)
    with pytest.raises(ValueError, match=r"expected wav2vec 2\.0"):
        require_objective(replace(checkpoint, kind="wav2vec2-bert"), allow_new=True)

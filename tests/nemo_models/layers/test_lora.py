from pathlib import Path

import pytest
import torch
from nemo.collections.asr.models import ASRModel
from omegaconf import OmegaConf

from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.layers.lora import add_lora
from nemo_models.xlsr_encoder import XLSREncoder
from recipe import load_recipe
from topology import architecture

MERGED = 1e-5  # float32: the same sum, of products in another order
SIGNAL = torch.sin(torch.arange(16000.0) ** 1.3 / 40)[None]
LENGTH = torch.tensor([16000])


def settings(name: str, rank: int = 4) -> OmegaConf:
    return OmegaConf.merge(load_recipe(name).model.lora, {"r": rank, "dropout": 0.0})


def lora_model(rank: int = 4) -> XLSRCTCModel:
    torch.manual_seed(0)
    model = XLSRCTCModel(cfg=model_config(architecture(), ["क", "ा"], normalize=True, epsilon=1e-5))
    add_lora(model.encoder.network, settings("xlsr_hi", rank))
    return model


def train(model: XLSRCTCModel, steps: int = 3) -> set[str]:
    """A few steps of CTC; the names of what changed."""
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
    model.train()
    for _ in range(steps):
        log_probs, frames, _ = model(input_signal=SIGNAL, input_signal_length=LENGTH)
        loss = model.loss(
            log_probs=log_probs,
            targets=torch.tensor([[0, 1, 0]]),
            input_lengths=frames,
            target_lengths=torch.tensor([3]),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    return {name for name, weight in model.named_parameters() if not torch.equal(before[name], weight)}


def log_probs_of(model: XLSRCTCModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(input_signal=SIGNAL, input_signal_length=LENGTH)[0]


def test_updates_begin_as_nothing_and_only_they_and_the_head_learn():
    torch.manual_seed(0)
    plain = XLSRCTCModel(cfg=model_config(architecture(), ["क", "ा"], normalize=True, epsilon=1e-5))
    model = lora_model()
    assert torch.equal(log_probs_of(model), log_probs_of(plain))
    changed = train(model)
    assert changed and all(".lora_" in name or name.startswith("decoder.") for name in changed)
    assert {name.split(".")[-4] for name in changed if ".lora_" in name} == {"q_proj", "k_proj", "v_proj", "out_proj"}
    assert any(name.startswith("decoder.") for name in changed)


def test_nemos_freeze_and_unfreeze_leave_the_original_weights_frozen():
    model = lora_model()
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    model.encoder.freeze()
    assert not any(weight.requires_grad for weight in model.encoder.parameters())
    model.encoder.unfreeze()
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == trainable


def test_saved_model_is_merged_and_plain_and_the_one_in_training_untouched(tmp_path: Path):
    model = lora_model()
    train(model)
    in_training = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_to(str(tmp_path / "merged.nemo"))
    restored = ASRModel.restore_from(str(tmp_path / "merged.nemo"), map_location="cpu")
    torch.testing.assert_close(log_probs_of(restored), log_probs_of(model), rtol=0, atol=MERGED)
    assert not any("lora" in name or "base_layer" in name for name, _ in restored.named_parameters())
    assert model.state_dict().keys() == in_training.keys()  # what Lightning's checkpoints hold
    assert all(torch.equal(tensor, in_training[name]) for name, tensor in model.state_dict().items())
    q_proj = "encoder.wav2vec2.encoder.layers.0.attention.q_proj"
    assert not torch.equal(restored.state_dict()[f"{q_proj}.weight"], in_training[f"{q_proj}.base_layer.weight"])


def test_training_goes_on_from_a_checkpoint():
    model = lora_model()
    train(model)
    again = lora_model()
    again.load_state_dict(model.state_dict())
    assert torch.equal(log_probs_of(again), log_probs_of(model))


@pytest.mark.parametrize("rank", [0, 4])
def test_gradient_checkpointing_changes_neither_output_nor_any_gradient(rank: int):
    outputs, gradients = [], []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = XLSREncoder(architecture(), gradient_checkpointing=checkpointing).train()
        add_lora(encoder.network, settings("xlsr_hi", rank))
        output, _ = encoder(audio_signal=SIGNAL, length=LENGTH)
        output.square().sum().backward()
        outputs.append(output.detach())
        gradients.append({name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None})
    assert torch.equal(*outputs)
    assert gradients[0].keys() == gradients[1].keys()
    assert any(".lora_" in name for name in gradients[0]) == (rank > 0)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_rank_nought_changes_nothing_and_unknown_layers_are_named():
    names = set(lora_model(rank=0).state_dict())
    assert not any("lora" in name for name in names)
    with pytest.raises(ValueError, match="no_such_layer"):
        add_lora(
            lora_model(rank=0).encoder.network,
            OmegaConf.merge(settings("xlsr_hi"), {"target_modules": ["no_such_layer"]}),
        )


def test_w2v_berts_layers_have_the_names_of_its_recipe():
    from family import random_model

    network = random_model("w2v-bert-2.0")
    add_lora(network, settings("w2v_bert_hi"))
    learning = {
        name.split(".lora_")[0].split(".")[-1] for name, weight in network.named_parameters() if weight.requires_grad
    }
    assert learning == {"linear_q", "linear_k", "linear_v", "linear_out"}


def test_alpha_and_dropout_act_as_set():
    torch.manual_seed(0)
    network = XLSREncoder(architecture()).network
    add_lora(network, OmegaConf.merge(settings("xlsr_hi"), {"r": 4, "alpha": 12, "dropout": 0.5}))
    layer = network.encoder.layers[0].attention.q_proj
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(up)
    torch.testing.assert_close(layer.get_delta_weight("default"), 12 / 4 * up @ down)
    frames = torch.randn(1, 5, down.shape[1])
    assert torch.equal(layer.eval()(frames), layer(frames))
    assert not torch.allclose(layer.train()(frames), layer(frames))

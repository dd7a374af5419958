import torch
from omegaconf import OmegaConf
from transformers import Trainer

from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.optimization.parameter_groups import exclude_from_weight_decay
from topology import architecture


def recipe_model(weight_decay: float) -> XLSRCTCModel:
    config = model_config(architecture(), ["क", "ा"], normalize=True, epsilon=1e-5)
    config.optim_param_groups = {"encoder": {"lr": 1e-4}, "decoder": {"lr": 1e-3}}
    config.optim = {"name": "adamw", "lr": 1e-4, "weight_decay": weight_decay}
    return XLSRCTCModel(cfg=OmegaConf.create(config))


def test_encoder_and_head_have_different_rates_and_only_matrices_decay():
    model = recipe_model(weight_decay=0.1)
    optimizer, _ = model.setup_optimization()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }
    assert set(found) == set(names.values())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
    for name, (lr, decay) in found.items():
        assert lr == (1e-3 if name.startswith("decoder.") else 1e-4), name
        excluded = name.endswith((".bias", "masked_spec_embed", "original0")) or "norm.weight" in name
        assert decay == (0.0 if excluded else 0.1), name


def test_excludes_the_same_weights_as_transformers_trainer_and_single_vectors():
    network = recipe_model(0.1).encoder.network
    decays = set(Trainer.get_decay_parameter_names(None, network))
    groups = exclude_from_weight_decay([{"params": list(network.parameters()), "weight_decay": 0.1}])
    ours = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    names = {name for name, parameter in network.named_parameters() if id(parameter) in ours}
    assert names <= decays
    assert decays - names == {"masked_spec_embed", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"}


def test_decay_acts_on_matrices_alone():
    matrix, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW(exclude_from_weight_decay([{"params": [matrix, bias]}]), lr=0.1, weight_decay=0.5)
    matrix.grad, bias.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    assert torch.equal(bias.detach(), torch.ones(2))
    assert torch.allclose(matrix.detach(), torch.full((2, 2), 0.95))


def test_each_layer_learns_at_a_share_of_the_rate_of_the_layer_above():
    config = model_config(architecture(), ["क", "ा"], normalize=True, epsilon=1e-5)
    config.optim_param_groups = {"encoder": {"lr": 1e-4}}
    config.optim = {"name": "adamw", "lr": 1e-3, "weight_decay": 0.1}
    config.layer_lr_decay = 0.5
    model = XLSRCTCModel(cfg=OmegaConf.create(config))
    optimizer, _ = model.setup_optimization()
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    names = dict(model.named_parameters())
    assert len(rates) == len(names)
    depths = {"decoder.": None, "encoder.wav2vec2.encoder.layer_norm.": 0, "encoder.wav2vec2.feature_": 3}
    depths |= {f"encoder.wav2vec2.encoder.layers.{number}.": 2 - number for number in range(3)}
    depths |= {"encoder.wav2vec2.encoder.pos_conv_embed.": 3, "encoder.wav2vec2.masked_spec_embed": 3}
    for name, weight in names.items():
        (depth,) = (depth for beginning, depth in depths.items() if name.startswith(beginning))
        assert rates[id(weight)] == (1e-3 if depth is None else 1e-4 * 0.5**depth), name

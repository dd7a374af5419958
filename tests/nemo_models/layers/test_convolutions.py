import pytest
import torch
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from nemo_models.layers import convolutions
from nemo_models.layers.convolutions import FrozenFeatureEncoder, convolve, take_convolutions
from topology import architecture

# float32 sums of 30 to 100 products in another order, on outputs of about 1: 1e-6 was seen
TOLERANCE = 1e-5
# one step of bfloat16 is 2^-8 of a value; seven layers round on both ways, not at the same places
BFLOAT16_TOLERANCE = 0.03


def encoder(**changes: object) -> Wav2Vec2FeatureEncoder:
    torch.manual_seed(0)
    made = Wav2Vec2FeatureEncoder(Wav2Vec2Config(**architecture(**changes)))
    for layer in made.conv_layers:  # gains and offsets that are not 1 and 0
        torch.nn.init.uniform_(layer.layer_norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(layer.layer_norm.bias, std=0.1)
    made._freeze_parameters()
    return made


def shortened(original: Wav2Vec2FeatureEncoder) -> Wav2Vec2FeatureEncoder:
    original.__class__ = FrozenFeatureEncoder
    return original


def signals(samples: int) -> torch.Tensor:
    return torch.randn(2, samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 32_000 + 399])
@pytest.mark.parametrize("conv_bias", [True, False])
def test_frozen_layers_give_what_transformers_gives(samples: int, conv_bias: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(convolutions, "CONV_FRAMES", 13)
    theirs = encoder(conv_bias=conv_bias)
    expected = theirs(signals(samples))
    ours = shortened(theirs)(signals(samples))
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE)


def test_whole_batch_at_once_as_on_a_gpu_gives_the_same():
    theirs = encoder()
    with torch.no_grad():
        expected = theirs(signals(8000))
        ours = convolve(signals(8000), take_convolutions(theirs, torch.float32))
    torch.testing.assert_close(ours.transpose(1, 2), expected, rtol=0, atol=TOLERANCE)


def test_mixed_precision_stays_as_near_as_transformers_own():
    theirs = encoder()
    exact = theirs(signals(16_000))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = theirs(signals(16_000))
        ours = shortened(theirs)(signals(16_000))
    scale = float(exact.abs().max())
    assert ours.dtype == expected.dtype == torch.bfloat16
    assert float((ours - exact).abs().max()) < BFLOAT16_TOLERANCE * scale
    assert float((ours - exact).abs().mean()) < 2 * float((expected - exact).abs().mean())


def test_layers_that_learn_get_their_gradients():
    learning = shortened(encoder())
    for parameter in learning.parameters():
        parameter.requires_grad = True
    learning._requires_grad = True
    learning(signals(4000)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in learning.parameters())


def test_outside_training_the_sums_are_those_of_transformers():
    theirs = encoder().eval()
    expected = theirs(signals(4000))
    assert torch.equal(shortened(theirs)(signals(4000)), expected)


def test_layers_of_another_kind_go_the_long_way():
    theirs = Wav2Vec2FeatureEncoder(Wav2Vec2Config(**architecture(feat_extract_norm="group", conv_bias=False)))
    theirs._freeze_parameters()
    expected = theirs(signals(4000))
    assert torch.equal(shortened(theirs)(signals(4000)), expected)

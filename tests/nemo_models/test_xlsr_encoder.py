from collections.abc import Callable
from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from transformers import Wav2Vec2Config, Wav2Vec2Model

from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.xlsr_encoder import ARCHITECTURE_KEYS, XLSREncoder
from recipe import load_recipe
from topology import architecture

SAME_ARITHMETIC = 1e-5  # both sides run float32 kernels that may split the work otherwise
BATCH_INVARIANCE = 1e-4  # float32 through 24 layers, attention over another number of keys
XLSR_53 = OmegaConf.to_container(load_recipe("xlsr_hi").model.encoder.architecture)


def encoder_like(reference: Wav2Vec2Model) -> XLSREncoder:
    fields = {key: getattr(reference.config, key) for key in ARCHITECTURE_KEYS}
    encoder = XLSREncoder(architecture=fields).eval()
    weights = reference.state_dict()
    load_encoder_weights(encoder, EncoderCheckpoint("reference", fields, weights, True, 1e-5, ()))
    return encoder


def run_in_stages(model: Wav2Vec2Model, run: Callable[[], object]) -> dict[str, torch.Tensor]:
    """What comes out of the extractor, the projection, the position convolution and every layer during `run`."""
    found: dict[str, torch.Tensor] = {}
    named = {
        "extractor": model.feature_extractor,
        "projection": model.feature_projection.projection,
        "position": model.encoder.pos_conv_embed,
        **{f"layer {index}": layer for index, layer in enumerate(model.encoder.layers)},
        "final norm": model.encoder.layer_norm,
    }

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.update({name: output[0] if isinstance(output, tuple) else output})

    hooks = [module.register_forward_hook(keep(name)) for name, module in named.items()]
    with torch.inference_mode():
        run()
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("size", ["24 narrow layers", pytest.param("XLSR-53", marks=pytest.mark.slow)])
def test_every_stage_equals_transformers_with_and_without_padding(size: str):
    fields = XLSR_53 if size == "XLSR-53" else {**XLSR_53, **architecture(), "num_hidden_layers": 24}
    torch.manual_seed(1)
    reference = Wav2Vec2Model(Wav2Vec2Config(**fields)).eval()
    encoder = encoder_like(reference)
    noise = torch.randn(2, 16000)
    for shorter in (16000, 9000):
        lengths = torch.tensor([16000, shorter])
        mask = torch.arange(16000) < lengths[:, None]
        inputs = {"input_values": noise * mask, "attention_mask": None if mask.all() else mask.long()}
        expected = run_in_stages(reference, partial(reference, **inputs))
        found = run_in_stages(encoder.wav2vec2, partial(encoder, audio_signal=noise * mask, length=lengths))
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            difference = (found[name] - tensor).abs().max().item()
            assert difference <= SAME_ARITHMETIC, f"{name} differs by {difference}"


def test_output_is_transposed_last_hidden_state_with_exact_lengths():
    torch.manual_seed(1)
    reference = Wav2Vec2Model(Wav2Vec2Config(**architecture())).eval()
    signal = torch.randn(1, 12345)
    with torch.inference_mode():
        output, frames = encoder_like(reference)(audio_signal=signal, length=torch.tensor([12345]))
        expected = reference(signal).last_hidden_state
    torch.testing.assert_close(output.transpose(1, 2), expected, rtol=0, atol=SAME_ARITHMETIC)
    assert frames.tolist() == [expected.shape[1]]


def test_real_speech_alone_equals_real_speech_in_a_padded_batch(speech):
    torch.manual_seed(1)
    encoder = XLSREncoder(architecture=architecture()).eval()
    waves = [torch.from_numpy(wave) / wave.std() for wave in speech]
    lengths = torch.tensor([len(wave) for wave in waves])
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    with torch.inference_mode():
        together, frames = encoder(audio_signal=batch, length=lengths)
        for row, count, wave in zip(together, frames, waves, strict=True):
            alone, _ = encoder(audio_signal=wave[None], length=torch.tensor([len(wave)]))
            assert alone.shape[2] == count
            torch.testing.assert_close(row[:, :count], alone[0], rtol=0, atol=BATCH_INVARIANCE)


def test_frame_count_is_what_the_convolutions_give():
    encoder = XLSREncoder(architecture=architecture()).eval()
    for samples in (400, 401, 719, 720, 1039, 1040, 16000, 16001):
        with torch.inference_mode():
            made = encoder.wav2vec2.feature_extractor(torch.zeros(1, samples)).shape[2]
        assert int(encoder.frame_count(samples)) == made
    assert encoder.frame_count(torch.tensor([0, 10, 399])).tolist() == [0, 0, 0]
    assert encoder.receptive_field() == 400


def test_audio_too_short_for_a_frame_is_no_error_and_no_nan():
    encoder = XLSREncoder(architecture=architecture()).eval()
    for batch, lengths in ((torch.randn(1, 100), [100]), (torch.randn(2, 16000), [16000, 0])):
        output, frames = encoder(audio_signal=batch, length=torch.tensor(lengths))
        assert torch.isfinite(output).all()
        assert frames[-1] == 0


def test_masks_act_in_training_only_and_spare_short_audio():
    torch.manual_seed(0)
    encoder = XLSREncoder(architecture=architecture(), mask_time_prob=0.5, mask_time_length=10)
    signal, lengths = torch.randn(1, 16000), torch.tensor([16000])
    with torch.no_grad():
        unmasked, _ = encoder.eval()(audio_signal=signal, length=lengths)
        again, _ = encoder(audio_signal=signal, length=lengths)
        masked, _ = encoder.train()(audio_signal=signal, length=lengths)
        short, _ = encoder(audio_signal=signal[:, :1600], length=torch.tensor([1600]))
        short_unmasked, _ = encoder.eval()(audio_signal=signal[:, :1600], length=torch.tensor([1600]))
    assert torch.equal(unmasked, again)
    assert not torch.allclose(unmasked, masked, atol=1e-2)
    torch.testing.assert_close(short, short_unmasked)


def test_convolutions_stay_frozen_through_unfreeze():
    encoder = XLSREncoder(architecture=architecture())
    encoder.freeze()
    encoder.unfreeze()
    trainable = {name.split(".")[1] for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert trainable == {"feature_projection", "encoder", "masked_spec_embed"}
    free = XLSREncoder(architecture=architecture(), freeze_feature_encoder=False)
    assert all(weight.requires_grad for weight in free.parameters())


def test_gradients_with_checkpointing_equal_those_without():
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = XLSREncoder(architecture=architecture(), gradient_checkpointing=checkpointing).train()
        output, _ = encoder(audio_signal=torch.ones(1, 8000).cumsum(1).sin(), length=torch.tensor([8000]))
        output.square().sum().backward()
        gradients.append(encoder.wav2vec2.encoder.layers[0].attention.q_proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_architecture_must_be_complete_and_known(change: str):
    fields = architecture()
    if change == "missing":
        del fields["conv_bias"]
    else:
        fields["conv_biass"] = True
    with pytest.raises(ValueError, match="conv_bias"):
        XLSREncoder(architecture=fields)


@pytest.mark.parametrize(
    "setting",
    [
        "mask_time_prob",
        "mask_feature_prob",
        "layerdrop",
        "hidden_dropout",
        "attention_dropout",
        "activation_dropout",
        "feat_proj_dropout",
    ],
)
def test_each_regularisation_acts_in_training_only(setting: str):
    torch.manual_seed(0)
    encoder = XLSREncoder(architecture(), mask_feature_length=8, **{setting: 0.5})
    signal, length = torch.randn(1, 16000), torch.tensor([16000])
    with torch.no_grad():
        still, _ = encoder.eval()(audio_signal=signal, length=length)
        again, _ = encoder(audio_signal=signal, length=length)
        moved = [encoder.train()(audio_signal=signal, length=length)[0] for _ in range(4)]
    assert torch.equal(still, again)
    assert any(not torch.allclose(still, output, atol=1e-3) for output in moved)

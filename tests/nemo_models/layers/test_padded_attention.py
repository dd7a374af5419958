from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.layers import padded_attention
from nemo_models.training.watch import find_unalignable, measure_labels
from nemo_models.w2v_bert_encoder import W2V_BERT_ARCHITECTURE_KEYS, W2VBertEncoder
from nemo_models.waveform_normalizer import WaveformNormalizer
from nemo_models.xlsr_encoder import XLSREncoder
from topology import architecture

# float32 sums of the same products in another order, on outputs of about 1
TOLERANCE = 1e-5
LENGTHS = [16000, 9000, 16000, 720]
MASKS = {"mask_time_prob": 0.5, "mask_time_length": 4, "mask_feature_prob": 0.25, "mask_feature_length": 8}
CONFORMER = {
    "feature_projection_input_dim": 160,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "hidden_act": "swish",
    "layer_norm_eps": 1e-5,
    "conv_depthwise_kernel_size": 31,
    "position_embeddings_type": "relative_key",
    "left_max_position_embeddings": 64,
    "right_max_position_embeddings": 8,
}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor(LENGTHS)
    signal = torch.randn(len(LENGTHS), max(LENGTHS), generator=torch.Generator().manual_seed(0))
    return signal * (torch.arange(max(LENGTHS)) < lengths[:, None]), lengths


def encode(encoder: XLSREncoder, names: tuple[str, ...] = ()) -> list[torch.Tensor]:
    """The valid frames of each utterance, and the gradients of some weights for their sum of squares."""
    signal, lengths = batch()
    output, frames = encoder(audio_signal=signal, length=lengths)
    valid = [row[:, :count] for row, count in zip(output, frames, strict=True)]
    sum(row.square().sum() for row in valid).backward()
    weights = dict(encoder.named_parameters())
    return [row.detach() for row in valid] + [weights[name].grad for name in names]


def make(**settings: Any) -> XLSREncoder:
    torch.manual_seed(0)
    return XLSREncoder(architecture=architecture(), **settings).train()


def attend_one_by_one(query, key, value, begins, begins_of_keys, longest, longest_key):
    """What the kernel for packed sequences computes, in plain torch."""
    assert begins is begins_of_keys and longest == longest_key and begins.dtype is torch.int32
    assert begins[0] == 0 and begins[-1] == len(query) and (begins.diff() <= longest).all()
    attended = []
    for first, last in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        rows = [tensor[first:last].transpose(0, 1) for tensor in (query, key, value)]
        attended.append(torch.nn.functional.scaled_dot_product_attention(*rows).transpose(0, 1))
    return torch.cat(attended)


@pytest.mark.parametrize("has_kernel", [True, False])
def test_sequences_in_place_of_a_mask_give_the_same_frames_and_gradients(
    has_kernel: bool, monkeypatch: pytest.MonkeyPatch
):
    names = ("wav2vec2.encoder.layers.0.attention.q_proj.weight", "wav2vec2.feature_projection.projection.weight")
    expected = encode(make(), names)
    monkeypatch.setattr(padded_attention, "_has_kernel", lambda _: has_kernel)
    monkeypatch.setattr(padded_attention, "varlen_attn", attend_one_by_one)
    found = encode(make(varlen_attention=True), names)
    for ours, theirs in zip(found, expected, strict=True):
        size = max(1.0, float(theirs.abs().max()))  # frames are about 1; gradients are sums over a hundred of them
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE * (1 if size == 1.0 else 10 * size))


def test_masks_are_broadcast_and_bounds_hold_padding_apart():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert padded_attention.mask_keys(attention_mask=mask).shape == (2, 1, 1, 3)
    assert padded_attention.bound_sequences(attention_mask=mask).tolist() == [0, 2, 3, 6, 6]
    assert padded_attention.mask_keys(attention_mask=None) is padded_attention.bound_sequences(attention_mask=None)


@pytest.mark.slow
def test_compiled_layers_compute_the_same(monkeypatch: pytest.MonkeyPatch):
    compiled = []
    compile_layer = torch.nn.Module.compile

    def compile_without_code(layer: torch.nn.Module, **settings: Any) -> None:
        compiled.append(settings)
        compile_layer(layer, backend="eager", **settings)  # traced, which is what may fail; making C++ of it takes long

    monkeypatch.setattr(torch.nn.Module, "compile", compile_without_code)
    expected = encode(make())
    encoder = make()
    encoder.compile_layers()
    names = list(encoder.state_dict())
    assert compiled == [{"dynamic": True}] * 3
    for ours, theirs in zip(encode(encoder), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)
    assert names == list(make().state_dict())  # a checkpoint does not show it


class NoWaiting(TorchDispatchMode):
    """Fails where a GPU would have to be waited for. Tensors on `meta` have no values to look at, which finds most.

    What is left are numbers that are sent to the device one at a time, and writing where a mask is true.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [value for value in args if isinstance(value, torch.Tensor)]
        result = function(*args, **(kwargs or {}))
        is_sent = isinstance(result, torch.Tensor) and result.device.type == "meta"
        is_sent &= any(value.device.type == "cpu" for value in given)
        if is_sent and function.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            raise AssertionError(f"{function} sends to the device")
        if function.overloadpacket in (torch.ops.aten.index_put_, torch.ops.aten.index_put):
            masks = [index for index in args[1] if index is not None]
            is_fill = args[2].numel() == 1 and all(mask.dtype is torch.bool for mask in masks)  # masked_fill on a GPU
            if not is_fill:
                raise AssertionError(f"{function} counts a mask or sends a number")
        return result


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> Callable[[torch.nn.Module], torch.nn.Module]:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # which knows no such device
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    return lambda encoder: encoder.to("meta").train()


@pytest.mark.parametrize("varlen", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_training_step_waits_for_nothing(varlen: bool, checkpointing: bool, on_meta: Callable[..., torch.nn.Module]):
    encoder = on_meta(
        XLSREncoder(architecture(), **MASKS, varlen_attention=varlen, gradient_checkpointing=checkpointing)
    )
    signal, lengths = torch.empty(3, 16000, device="meta"), torch.empty(3, dtype=torch.long, device="meta")
    with NoWaiting():
        normalised, lengths = WaveformNormalizer()(input_signal=signal, length=lengths)
        output, _ = encoder(audio_signal=normalised, length=lengths)
        output.sum().backward()
    assert all(weight.grad is not None for weight in encoder.parameters() if weight.requires_grad)


def test_a_training_step_of_w2v_bert_waits_for_nothing(on_meta: Callable[..., torch.nn.Module]):
    encoder = on_meta(W2VBertEncoder({key: CONFORMER[key] for key in W2V_BERT_ARCHITECTURE_KEYS}, **MASKS))
    features, lengths = torch.empty(3, 160, 50, device="meta"), torch.empty(3, dtype=torch.long, device="meta")
    with NoWaiting():
        output, _ = encoder(audio_signal=features, length=lengths)
        output.sum().backward()


def test_a_frozen_encoder_waits_for_nothing(on_meta: Callable[..., torch.nn.Module]):
    encoder = on_meta(XLSREncoder(architecture()))
    encoder.freeze()
    encoder.train()  # as NeMo's `freeze_updates` does
    with NoWaiting():
        encoder(
            audio_signal=torch.empty(2, 16000, device="meta"), length=torch.empty(2, dtype=torch.long, device="meta")
        )


def test_a_models_way_to_its_log_probs_waits_for_nothing(on_meta: Callable[..., torch.nn.Module]):
    """Behind them NeMo's loss does wait: torch's CTC loss reads the lengths on the host."""
    model = on_meta(XLSRCTCModel(cfg=model_config(architecture(), ["क", " "], normalize=True, epsilon=1e-5)))
    with NoWaiting():
        log_probs, frames, _ = model(
            input_signal=torch.empty(2, 16000, device="meta"),
            input_signal_length=torch.empty(2, dtype=torch.long, device="meta"),
        )
        measure_labels(log_probs.detach(), frames)
        find_unalignable(torch.empty(2, 9, dtype=torch.long, device="meta"), frames, frames)
        log_probs.sum().backward()

"""The wav2vec 2.0 network for inference on a CPU: no padding anywhere, in float32, bfloat16 or 8-bit integers.

Five sixths of the arithmetic is in linear layers, which treat all frames the same way: they compute the frames of
several utterances as one matrix, without padding. Only convolutions and attention depend on the utterance, and compute
one at a time. So an utterance's output does not depend on the rest of its batch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from data_prep.arguments import require_choice
from nemo_models.inference.processor import has_bfloat16, has_int8, has_int8_dot_product
from nemo_models.layers.convolutions import convolve_in_pieces, take_convolutions
from nemo_models.xlsr_encoder import XLSREncoder, count_frames, network_receptive_field

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel
    from transformers import Wav2Vec2Model

FORMATS = ("float32", "bfloat16", "int8")
PACKED_FRAMES = 1024  # that go through the linear layers together: 20 s; more gains nothing and leaves the cache
SDPA_FRAMES = 2048  # from here attention does not lay out its weights: heads x frames² x 2 bytes
ROUNDED_ROWS = 256  # of weights at a time: a megabyte stays in the cache, and loading takes a tenth of the time
SMALLEST_SCALE = 1e-12  # instead of 0, for a row of zeros

Linear = Callable[[torch.Tensor], torch.Tensor]


class PackedEncoder(torch.nn.Module):
    """Stands in a model where its `XLSREncoder` stood, for inference on the CPU.

    Args:
        encoder: On the CPU; `supports_packing` of it. Its weights are taken over or copied; it is not changed.
        number_format: One of `FORMATS`. `bfloat16`: what linear layers, convolutions and attention multiply; sums are
            float32, as are normalisations and the residual stream. `int8`: the linear layers of the transformer with
            one scale for each output channel of the weights and one for each frame; the rest in bfloat16 where the
            processor multiplies it, else in float32.

    Raises:
        ValueError: `number_format` is unknown or not available on this processor.
    """

    def __init__(self, encoder: XLSREncoder, number_format: str) -> None:
        super().__init__()
        check_format(number_format)
        assert supports_packing(encoder)
        self.number_format = number_format
        self.subsampling_factor = encoder.subsampling_factor
        self._config = encoder.wav2vec2.config  # not the encoder itself, which would keep its weights in memory
        with torch.no_grad():
            self._network = _Network(encoder.wav2vec2, number_format)

    def forward(self, audio_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `XLSREncoder.forward`, with zeros in the frames beyond each length."""
        shortest = self.receptive_field()
        missing = max(0, shortest - audio_signal.shape[1])
        signals = functional.pad(audio_signal, (0, missing)).float()
        rows = [row[: max(samples, shortest)] for row, samples in zip(signals, length.tolist(), strict=True)]
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            encoded = [frames for pack in self._pack(rows) for frames in self._network(pack)]
        return torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True).transpose(1, 2), self.frame_count(length)

    def frame_count(self, samples: torch.Tensor | int) -> torch.Tensor:
        """As `XLSREncoder.frame_count`."""
        return count_frames(self._config, samples)

    def receptive_field(self) -> int:
        """Samples that one frame sees."""
        return network_receptive_field(self._config)

    def _pack(self, rows: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        pack: list[torch.Tensor] = []
        frames = 0
        for row in rows:
            count = int(self.frame_count(len(row)))
            if pack and frames + count > PACKED_FRAMES:
                yield pack
                pack, frames = [], 0
            pack.append(row)
            frames += count
        if pack:
            yield pack


def supports_packing(encoder: torch.nn.Module) -> bool:
    """Whether an encoder is of XLSR-53's kind: layer norm in the convolutions and before each block, GELU, the CPU."""
    if not isinstance(encoder, XLSREncoder) or not encoder.mask_padding:
        return False
    config = encoder.wav2vec2.config
    return bool(
        next(encoder.parameters()).device.type == "cpu"
        and config.feat_extract_norm == "layer"
        and config.do_stable_layer_norm
        and config.hidden_act == config.feat_extract_activation == "gelu"
    )


def pack_encoder(model: "EncDecCTCModel", number_format: str) -> None:
    """Put a `PackedEncoder` in the place of a model's encoder; from then on the model is for inference only."""
    model.encoder = PackedEncoder(model.encoder, number_format)


def check_format(number_format: str) -> None:
    """Check that this processor and build of torch can compute a number format.

    Raises:
        ValueError: The format is unknown or is not available here.
    """
    require_choice("compute_dtype", number_format, FORMATS)
    if number_format == "int8" and not (has_int8() and hasattr(torch.ops.onednn, "qlinear_pointwise")):
        raise ValueError(
            "compute_dtype=int8: expected an x86-64 processor with AVX2 and a torch with oneDNN; use float32, or "
            "export the model (export_model.py format=onnx quantization=int8) and run it in ONNX Runtime"
        )


class _Float32Linear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight, self._bias = weight.contiguous(), bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._weight, self._bias)


class _BFloat16Linear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = weight.to(torch.bfloat16).contiguous()
        self._bias = None if bias is None else bias.to(torch.bfloat16)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x.to(torch.bfloat16), self._weight, self._bias)


class _Int8Linear:
    """Weights rounded to 255 steps for each output channel, inputs for each row; the integer product is exact.

    A row's scale comes from that row alone. One scale for the whole input, which torch's and ONNX Runtime's dynamic
    quantisation use, would make an utterance's text depend on its neighbours, and lose more.

    Without an 8-bit dot product (AVX2 alone) the processor adds pairs of products in 16 bits. Inputs then have 127
    steps, so that no pair overflows: 2 x 127 x 127 < 2^15.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        scale, rounded = torch.empty(len(weight)), torch.empty_like(weight, dtype=torch.int8)
        pieces = (tensor.split(ROUNDED_ROWS) for tensor in (weight, scale, rounded))
        for rows, row_scale, row_steps in zip(*pieces, strict=True):
            row_scale.copy_((rows.abs().amax(1) / 127).clamp_min(SMALLEST_SCALE))
            row_steps.copy_((rows / row_scale[:, None]).round_())
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        steps, zero = (127, 128) if has_int8_dot_product() else (63, 64)
        self._steps, self._zero = steps, zero
        self._scale = scale / steps
        self._zero_point = torch.zeros(len(scale), dtype=torch.int32)
        self._bias = torch.zeros(len(scale)) if bias is None else bias
        self._middle = torch.tensor(zero + 0.5)  # the kernel takes unsigned bytes: 0 becomes `zero`, and .5 rounds

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        largest = x.abs().amax(-1, keepdim=True).clamp_min(SMALLEST_SCALE)
        rounded = torch.addcmul(self._middle, x, self._steps / largest).to(torch.uint8)
        options: tuple[Any, ...] = (None, 1.0, 0, torch.float32, "none", [], "")
        y = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, self._zero, self._weight, self._scale, self._zero_point, *options
        )
        return torch.addcmul(self._bias, y, largest)


LINEARS: dict[str, Callable[[torch.Tensor, torch.Tensor | None], Linear]] = {
    "float32": _Float32Linear,
    "bfloat16": _BFloat16Linear,
    "int8": _Int8Linear,
}


class _Norm:
    def __init__(self, norm: torch.nn.LayerNorm, dtype: torch.dtype = torch.float32) -> None:
        self._shape, self._eps = norm.normalized_shape, norm.eps
        self._weight, self._bias = norm.weight.to(dtype), norm.bias.to(dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, self._shape, self._weight, self._bias, self._eps)


class _Layer(NamedTuple):
    attention_norm: _Norm
    query_key_value: Linear
    attention_out: Linear
    final_norm: _Norm
    inner: Linear
    outer: Linear


class _Network:
    """`Wav2Vec2Model`'s arithmetic, frame by frame in rows: (frames, channels) throughout."""

    def __init__(self, network: "Wav2Vec2Model", number_format: str) -> None:
        self._linear = LINEARS[number_format]
        # 8-bit convolutions were no faster than bfloat16 ones, and lost more
        in_float32 = number_format == "float32" or (number_format == "int8" and not has_bfloat16())
        self._dtype = torch.float32 if in_float32 else torch.bfloat16
        self._heads = network.config.num_attention_heads
        self._convolutions = take_convolutions(network.feature_extractor, self._dtype)
        self._feature_norm = _Norm(network.feature_projection.layer_norm)
        self._projection = self._take_linear(network.feature_projection.projection)
        position: Any = network.encoder.pos_conv_embed.conv
        self._position_weight = position.weight.detach().to(self._dtype)  # weight norm folded in
        self._position_bias = position.bias.detach().to(self._dtype)
        self._layers = [self._take_layer(layer) for layer in network.encoder.layers]
        self._norm = _Norm(network.encoder.layer_norm)

    def __call__(self, signals: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Encode normalised waveforms, (n,) float32 each, of at least a receptive field; gives (frames, D) float32."""
        features = [convolve_in_pieces(signal.to(self._dtype), self._convolutions) for signal in signals]
        counts = [len(rows) for rows in features]
        x = self._projection(self._feature_norm(torch.cat(features).float())).float()
        x = torch.cat([rows + self._embed_positions(rows) for rows in x.split(counts)])
        for layer in self._layers:
            mixed = layer.query_key_value(layer.attention_norm(x)).to(self._dtype).split(counts)
            x = x + layer.attention_out(torch.cat([self._attend(rows) for rows in mixed]))
            x = x + layer.outer(functional.gelu(layer.inner(layer.final_norm(x))))
        return list(self._norm(x).split(counts))

    def _embed_positions(self, rows: torch.Tensor) -> torch.Tensor:
        channels, in_group, kernel = self._position_weight.shape
        x = rows.t()[None].to(self._dtype)
        x = functional.conv1d(
            x, self._position_weight, self._position_bias, padding=kernel // 2, groups=channels // in_group
        )
        return functional.gelu(x[0, :, : len(rows)]).t()

    def _attend(self, rows: torch.Tensor) -> torch.Tensor:
        """Attention of one utterance: (frames, 3 D) queries, keys and values to (frames, D)."""
        count = len(rows)
        query, key, value = rows.view(count, 3, self._heads, -1).permute(1, 2, 0, 3)
        if self._dtype is torch.float32 or count >= SDPA_FRAMES:
            attended = functional.scaled_dot_product_attention(query[None], key[None], value[None], scale=1.0)[0]
        else:  # in bfloat16 twice as fast as torch's fused kernel
            attended = torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value
        return attended.transpose(0, 1).reshape(count, -1)

    def _take_linear(self, layer: torch.nn.Linear) -> Linear:
        return self._linear(layer.weight, layer.bias)

    def _take_layer(self, layer: Any) -> _Layer:
        attention, feed_forward = layer.attention, layer.feed_forward
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        scale = attention.scaling  # on the weights: nothing is left to do for each frame
        weight = torch.cat([query.weight * scale, key.weight, value.weight])
        bias = torch.cat([query.bias * scale, key.bias, value.bias])
        return _Layer(
            _Norm(layer.layer_norm),
            self._linear(weight, bias),
            self._take_linear(attention.out_proj),
            _Norm(layer.final_layer_norm),
            self._take_linear(feed_forward.intermediate_dense),
            self._take_linear(feed_forward.output_dense),
        )

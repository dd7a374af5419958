"""wav2vec 2.0's convolutions without gradients: matrix products over windows of rows, with channels last.

transformers transposes every layer's output to normalise it and back again, and in mixed precision keeps it in float32
in between. With channels last nothing is transposed, and one number format is used throughout: half the time on a CPU,
and half the traffic to and from a GPU's memory, which limits these layers there.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers.activations import GELUActivation
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from nemo_models.layers.nemo_contract import is_exporting

CONV_FRAMES = 100  # computed at a time on a CPU: the largest output of a layer, 13 MB in float32, stays in its cache


class Convolution(NamedTuple):
    """One layer: a kernel over time, its layer norm, and GELU.

    Attributes:
        kernel: Rows that one output depends on.
        stride: Rows from one output to the next.
        multiply: (rows, kernel x channels in) to (rows, channels out).
        norm: Over the last dimension.
    """

    kernel: int
    stride: int
    multiply: Callable[[torch.Tensor], torch.Tensor]
    norm: Callable[[torch.Tensor], torch.Tensor]


def take_convolutions(encoder: Wav2Vec2FeatureEncoder, dtype: torch.dtype) -> list[Convolution]:
    """Prepare the layers of a feature encoder with layer norm for `convolve`, their weights converted to `dtype`."""
    return [_take_convolution(layer, dtype) for layer in encoder.conv_layers]


def convolve(signals: torch.Tensor, convolutions: Sequence[Convolution]) -> torch.Tensor:
    """Apply the layers one after the other.

    Args:
        signals: Normalised waveforms, (B, T), of at least the receptive field, in the layers' number format.
        convolutions: Layers, see `take_convolutions`.

    Returns:
        (B, frames, channels), in the same format.
    """
    x = signals[..., None].contiguous()
    for kernel, stride, multiply, norm in convolutions:
        batch, rows, channels = x.shape
        windows = x.as_strided(
            (batch, (rows - kernel) // stride + 1, kernel * channels), (rows * channels, stride * channels, 1)
        )
        rows_of_all = windows.reshape(-1, kernel * channels)  # two axes, or the bias would be added by itself
        x = functional.gelu(norm(multiply(rows_of_all))).view(*windows.shape[:2], -1)
    return x


def convolve_in_pieces(signal: torch.Tensor, convolutions: Sequence[Convolution]) -> torch.Tensor:
    """Apply the layers to one waveform (T,), `CONV_FRAMES` frames at a time; returns (frames, channels).

    The layers have no padding, so the pieces together equal `convolve` of the whole.
    """
    field = step = 1
    for convolution in reversed(convolutions):
        field = (field - 1) * convolution.stride + convolution.kernel
        step *= convolution.stride
    count = (len(signal) - field) // step + 1
    pieces = []
    for first in range(0, count, CONV_FRAMES):
        last = min(first + CONV_FRAMES, count) - 1
        pieces.append(convolve(signal[None, first * step : last * step + field], convolutions)[0])
    return torch.cat(pieces)


class FrozenFeatureEncoder(Wav2Vec2FeatureEncoder):
    """transformers' feature encoder, with the faster forward pass in training if it is frozen and has layer norm.

    Outside training it computes transformers' sums in transformers' order.
    """

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        """Overrides transformers' method: computes frozen convolutions without gradients.

        Args:
            input_values: Normalised waveforms, float, (B, T).

        Returns:
            (B, channels, frames), under autocast in its type.
        """
        if not self.training or self._requires_grad or is_exporting() or not has_layer_norm_and_gelu(self):
            return super().forward(input_values)
        device = input_values.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else next(self.parameters()).dtype
        with torch.no_grad(), torch.autocast(device, enabled=False):
            convolutions, signals = take_convolutions(self, dtype), input_values.to(dtype)
            if device == "cpu":
                frames = torch.stack([convolve_in_pieces(signal, convolutions) for signal in signals])
            else:
                frames = convolve(signals, convolutions)
        return frames.transpose(1, 2)


def has_layer_norm_and_gelu(encoder: Wav2Vec2FeatureEncoder) -> bool:
    """Whether `take_convolutions` supports every layer."""
    return all(
        isinstance(getattr(layer, "layer_norm", None), torch.nn.LayerNorm)
        and isinstance(layer.activation, GELUActivation)
        for layer in encoder.conv_layers
    )


def _take_convolution(layer: Any, dtype: torch.dtype) -> Convolution:
    weight = layer.conv.weight.permute(0, 2, 1).flatten(1).to(dtype)  # (out, kernel x in), the order within a window
    bias = None if layer.conv.bias is None else layer.conv.bias.to(dtype)
    norm = layer.layer_norm
    gain, offset = norm.weight.to(dtype), norm.bias.to(dtype)
    return Convolution(
        layer.conv.kernel_size[0],
        layer.conv.stride[0],
        lambda windows: functional.linear(windows, weight, bias),
        lambda x: functional.layer_norm(x, norm.normalized_shape, gain, offset, norm.eps),
    )

"""Takes a student's tensors out of its teacher's tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Selection:
    """The parts of a teacher that a student consists of, as indices in increasing order.

    Attributes:
        layers: Transformer layers.
        hidden: Channels of the residual stream.
        attention: For each kept layer: channels inside its attention, whole heads.
        neurons: For each kept layer: neurons of its feed-forward part.
        conv: Output channels of each convolution.
    """

    layers: tuple[int, ...]
    hidden: Tensor
    attention: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]
    conv: tuple[Tensor, ...]


def slice_encoder(weights: Mapping[str, Tensor], selection: Selection, config: Any) -> dict[str, Tensor]:
    """Cut a student's tensors out of its teacher's.

    Args:
        weights: The teacher's tensors by the names of transformers' `Wav2Vec2Model`.
        selection: The parts to keep.
        config: The teacher's `Wav2Vec2Config`.

    Returns:
        The student's tensors, copied, by the same names.
    """
    sliced: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        layer = _layer_number(name)
        if layer is None:
            sliced[name] = _slice_outside(name, tensor, selection)
        elif layer in selection.layers:
            place = selection.layers.index(layer)
            new_name = name.replace(f"encoder.layers.{layer}.", f"encoder.layers.{place}.", 1)
            sliced[new_name] = _slice_layer(name, tensor, selection, place)
    if len(selection.hidden) < config.hidden_size:
        sliced.update(_slice_position_convolution(weights, selection, config))
    return sliced


def _slice_layer(name: str, tensor: Tensor, selection: Selection, place: int) -> Tensor:
    hidden, inner, neurons = selection.hidden, selection.attention[place], selection.neurons[place]
    if ".intermediate_dense." in name:
        return _take(tensor, neurons, hidden)
    if ".output_dense." in name:
        return _take(tensor, hidden, neurons)
    if ".out_proj." in name:
        return _take(tensor, hidden, inner)
    if ".attention." in name:  # q_proj, k_proj, v_proj
        return _take(tensor, inner, hidden)
    return _take(tensor, hidden)  # layer norms


def _slice_outside(name: str, tensor: Tensor, selection: Selection) -> Tensor:
    """Slice a tensor outside of the transformer's layers; the position convolution follows separately."""
    parts = name.split(".")
    if parts[0] == "feature_extractor":
        number = int(parts[2])
        before = selection.conv[number - 1] if number else torch.arange(1)
        return _take(tensor, selection.conv[number], before)
    if parts[0] == "feature_projection":
        columns = (selection.conv[-1],)
        return _take(tensor, *(columns if "layer_norm" in name else (selection.hidden, *columns)))
    if "parametrizations" in name:
        return tensor.clone()
    return _take(tensor, selection.hidden)  # position bias, last layer norm, mask vector


def _slice_position_convolution(weights: Mapping[str, Tensor], selection: Selection, config: Any) -> dict[str, Tensor]:
    """Slice the position convolution, whose weight is stored as a direction and one length for each kernel step."""
    prefix = "encoder.pos_conv_embed.conv.parametrizations.weight."
    length, direction = weights[f"{prefix}original0"], weights[f"{prefix}original1"]
    weight = direction * (length / direction.norm(dim=(0, 1), keepdim=True))
    width = config.hidden_size // config.num_conv_pos_embedding_groups
    members = [selection.hidden[selection.hidden // width == n] for n in range(config.num_conv_pos_embedding_groups)]
    sliced = torch.cat([_take(weight, channels, channels % width) for channels in members])  # a group reads itself
    return {f"{prefix}original0": sliced.norm(dim=(0, 1), keepdim=True), f"{prefix}original1": sliced}


def _take(tensor: Tensor, *indices: Tensor) -> Tensor:
    """Copy rows of a tensor, and columns if it has more than one axis."""
    for axis, index in enumerate(indices[: tensor.dim()]):
        tensor = tensor.index_select(axis, index)
    return tensor.clone()


def _layer_number(name: str) -> int | None:
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["encoder", "layers"] else None

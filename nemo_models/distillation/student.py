"""Chooses a student's shape and builds the student from its teacher's weights.

A student is an ordinary `XLSRCTCModel`: fewer layers, fewer attention heads, narrower feed-forward parts and thinner
convolutions. Attention needs `hidden_size = heads x head width`, so fewer heads also make the residual stream narrower.
Nothing is drawn at random: each tensor of the student consists of rows and columns of the teacher's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from data_prep.arguments import is_int, require_int
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.importance import Importance
from nemo_models.distillation.slicing import Selection, slice_encoder
from nemo_models.layers.meta_init import encoders_on_meta
from nemo_models.xlsr_encoder import XLSREncoder

DATASETS = ("train_ds", "validation_ds", "test_ds")
GREEDY = {"strategy": "greedy_batch"}
"""Decoding settings of a student, and of its teacher: no language model, temperature 1."""


@dataclass(frozen=True)
class StudentShape:
    """A student, as `student` in the configuration describes it. `None` keeps the teacher's value.

    Attributes:
        layers: Number of transformer layers, chosen evenly from the teacher's first to its last; or the teacher's
            layers by number, from 0 and in increasing order.
        num_attention_heads: Attention heads of each layer; the residual stream becomes narrower in proportion.
        intermediate_size: Neurons of each feed-forward part.
        conv_dim: Channels of each convolution; one number for all, or one for each.
        conv_stride: Steps of the convolutions. Larger ones give fewer frames, which make every layer cheaper.
    """

    layers: int | Sequence[int] | None = None
    num_attention_heads: int | None = None
    intermediate_size: int | None = None
    conv_dim: int | Sequence[int] | None = None
    conv_stride: Sequence[int] | None = None


def build_student(teacher: XLSRCTCModel, shape: StudentShape, importance: Importance | None = None) -> XLSRCTCModel:
    """Build a student out of a teacher's weights.

    Args:
        teacher: A model with an `XLSREncoder`; it is not changed.
        shape: The student's shape.
        importance: How much each part of the teacher matters, see `measure_importance`; `None` judges by the weights.

    Returns:
        The student on the CPU, in evaluation mode, with the teacher's labels, normaliser and front-end. Its decoding is
        greedy. With nothing pruned but layers, each tensor equals the teacher's.

    Raises:
        ValueError: The teacher has no `XLSREncoder`, or the shape does not fit it.
    """
    config = student_config(teacher, shape)
    selection = select_parts(teacher, shape, importance or Importance.of_weights(teacher))
    with encoders_on_meta():
        student = XLSRCTCModel(cfg=config)
    take_weights(student, teacher, selection)
    return student.eval()


def take_weights(student: XLSRCTCModel, teacher: XLSRCTCModel, selection: Selection) -> None:
    """Set a student's first weights: copies of its teacher's.

    Args:
        student: A model of the selection's shape; its encoder may be on torch's `meta` device.
        teacher: The teacher.
        selection: The parts that the student consists of.
    """
    weights = slice_encoder(teacher.encoder.network.state_dict(), selection, teacher.encoder.network.config)
    student.encoder.network.load_state_dict(weights, strict=True, assign=True)
    head, source = student.decoder.decoder_layers[0], teacher.decoder.decoder_layers[0]
    with torch.no_grad():
        head.weight.copy_(source.weight[:, selection.hidden])
        head.bias.copy_(source.bias)
    student.encoder.unfreeze()  # tensors that were assigned bring the teacher's `requires_grad`


def student_config(teacher: XLSRCTCModel, shape: StudentShape) -> DictConfig:
    """Make a student's configuration, without settings of training.

    Args:
        teacher: The teacher.
        shape: The student's shape.

    Returns:
        The argument `cfg` of `XLSRCTCModel`.

    Raises:
        ValueError: The teacher has no `XLSREncoder`, or the shape does not fit it.
    """
    architecture = student_architecture(teacher, shape)
    config = DictConfig(OmegaConf.to_container(teacher.cfg, resolve=True))
    with open_dict(config):
        config.encoder.architecture = architecture
        config.preprocessor.window_stride *= stride_factor(teacher, architecture)
        config.decoder.feat_in = None
        config.decoding = GREEDY
        for key in (*DATASETS, "optim", "optim_param_groups", "nemo_version", "target"):
            config.pop(key, None)
    return config


def student_architecture(teacher: XLSRCTCModel, shape: StudentShape) -> dict[str, Any]:
    """Compute a student's architecture.

    Args:
        teacher: The teacher.
        shape: The student's shape.

    Returns:
        The `ARCHITECTURE_KEYS` of an `XLSREncoder` and their values.

    Raises:
        ValueError: The teacher has no `XLSREncoder`, or the shape does not fit it.
    """
    encoder = teacher.encoder
    if not isinstance(encoder, XLSREncoder):
        raise ValueError(
            f"teacher: found a {type(encoder).__name__}, expected a wav2vec 2.0 encoder (XLSREncoder); choose a "
            "teacher that was fine-tuned with xlsr_hi"
        )
    fields = OmegaConf.to_container(teacher.cfg.encoder.architecture, resolve=True)
    assert isinstance(fields, dict)
    architecture = {str(key): value for key, value in fields.items()}
    heads = _at_most("num_attention_heads", shape.num_attention_heads, architecture["num_attention_heads"])
    groups = architecture["num_conv_pos_embedding_groups"]
    hidden = heads * (architecture["hidden_size"] // architecture["num_attention_heads"])
    if hidden % groups:
        raise ValueError(
            f"student.shape.num_attention_heads={heads}: found hidden size {hidden}, expected a multiple of "
            f"{groups}, the groups of the position convolution; choose another number of heads"
        )
    return {
        **architecture,
        "num_hidden_layers": len(choose_layers(shape.layers, architecture["num_hidden_layers"])),
        "num_attention_heads": heads,
        "hidden_size": hidden,
        "intermediate_size": _at_most("intermediate_size", shape.intermediate_size, architecture["intermediate_size"]),
        "conv_dim": _conv_dim(shape.conv_dim, architecture["conv_dim"]),
        "conv_stride": _conv_stride(shape.conv_stride, architecture["conv_stride"]),
    }


def choose_layers(layers: int | Sequence[int] | None, available: int) -> tuple[int, ...]:
    """Choose the teacher's layers that a student starts from.

    Args:
        layers: See `StudentShape`.
        available: Number of the teacher's layers.

    Returns:
        Numbers of layers from 0, in increasing order.

    Raises:
        ValueError: There are not so many layers, or the list is not in increasing order.
    """
    if layers is None:
        return tuple(range(available))
    if isinstance(layers, int):
        require_int("student.shape.layers", layers, least=1, most=available)
        if layers == 1:
            return (available - 1,)
        return tuple(round(index * (available - 1) / (layers - 1)) for index in range(layers))
    chosen = tuple(layers)
    fits = all(is_int(layer) and 0 <= layer < available for layer in chosen)
    if not chosen or not fits or list(chosen) != sorted(set(chosen)):
        raise ValueError(
            f"student.shape.layers={list(chosen)}: expected numbers from 0 to {available - 1} in increasing order, "
            "each once; or one number, how many layers to keep"
        )
    return chosen


def select_parts(teacher: XLSRCTCModel, shape: StudentShape, importance: Importance) -> Selection:
    """Select the most important parts of a teacher for a student.

    Args:
        teacher: The teacher.
        shape: The student's shape, which fits the teacher.
        importance: How much each part matters.
    """
    architecture = student_architecture(teacher, shape)
    config = teacher.encoder.network.config
    head_width = config.hidden_size // config.num_attention_heads
    layers = choose_layers(shape.layers, config.num_hidden_layers)
    groups = importance.hidden.view(config.num_conv_pos_embedding_groups, -1)
    kept = architecture["hidden_size"] // len(groups)  # as many in each group of the position convolution
    hidden = torch.cat([_top(scores, kept) + n * groups.shape[1] for n, scores in enumerate(groups)])
    heads = [_top(importance.heads[layer], architecture["num_attention_heads"]) for layer in layers]
    inside = torch.arange(head_width)
    return Selection(
        layers=layers,
        hidden=hidden,
        attention=tuple((chosen[:, None] * head_width + inside).flatten() for chosen in heads),
        neurons=tuple(_top(importance.neurons[layer], architecture["intermediate_size"]) for layer in layers),
        conv=tuple(
            _top(scores, channels) for scores, channels in zip(importance.conv, architecture["conv_dim"], strict=True)
        ),
    )


def _top(scores: Tensor, count: int) -> Tensor:
    """Return the indices of the greatest scores in increasing order; of equal scores the first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _at_most(key: str, value: int | None, teacher: int) -> int:
    if value is None:
        return teacher
    require_int(f"student.shape.{key}", value, least=1, most=teacher)
    return value


def _conv_dim(value: int | Sequence[int] | None, teacher: Sequence[int]) -> list[int]:
    values = list(teacher) if value is None else [value] * len(teacher) if isinstance(value, int) else list(value)
    if len(values) != len(teacher):
        raise ValueError(
            f"student.shape.conv_dim={values}: expected {len(teacher)} numbers, one for each convolution; "
            "or one for all"
        )
    return [_at_most("conv_dim", channels, most) for channels, most in zip(values, teacher, strict=True)]


def _conv_stride(value: Sequence[int] | None, teacher: Sequence[int]) -> list[int]:
    values = list(teacher) if value is None else list(value)
    fits = len(values) == len(teacher) and all(
        is_int(step) and step >= before and step % before == 0 for step, before in zip(values, teacher, strict=True)
    )
    if not fits:
        raise ValueError(
            f"student.shape.conv_stride={values}: expected {len(teacher)} multiples of the teacher's {list(teacher)}; "
            "multiply one of them by 2"
        )
    return values


def stride_factor(teacher: XLSRCTCModel, architecture: Mapping[str, Any]) -> int:
    """Return how many of the teacher's frames one frame of the student covers.

    Args:
        teacher: The teacher.
        architecture: The student's architecture.
    """
    steps = [teacher.encoder.network.config.conv_stride, architecture["conv_stride"]]
    before, after = (int(torch.tensor(list(values)).prod()) for values in steps)
    return after // before

"""Reading fairseq's own checkpoints (`xlsr_53_56k.pt`) without fairseq and without running anything from the file.

The file is a pickle. It is opened with `weights_only=True`; the few classes that genuine fairseq files name are given
to the reader as inert stand-ins, so that even their constructors do not run.
"""

import argparse
import ast
import collections
import pickle
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nemo_models.checkpoint import EncoderCheckpoint
from nemo_models.waveform_normalizer import FAIRSEQ_EPSILON

PRETRAINING_TENSORS = re.compile(r"(quantizer|project_q|project_inp|final_proj|target_glu|input_quantizer)\.")
"""The contrastive task's own tensors: no encoder has a use for them."""
HEAD_TENSORS = re.compile(r"proj\.")
"""A CTC head, in a fine-tuned file."""

_CONV = r"feature_extractor\.conv_layers\.(\d+)\."
_LAYER = r"encoder\.layers\.(\d+)\."
_NAMES: tuple[tuple[str, str], ...] = (
    (r"mask_emb", "masked_spec_embed"),
    (_CONV + r"0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (
        _CONV + r"2(?:\.1)?\.(weight|bias)",
        r"feature_extractor.conv_layers.\1.layer_norm.\2",
    ),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"encoder\.pos_conv\.0\.bias", "encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (_LAYER + r"self_attn\.([kvq]|out)_proj\.(weight|bias)", r"encoder.layers.\1.attention.\2_proj.\3"),
    (_LAYER + r"self_attn_layer_norm\.(weight|bias)", r"encoder.layers.\1.layer_norm.\2"),
    (_LAYER + r"fc1\.(weight|bias)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (_LAYER + r"fc2\.(weight|bias)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (_LAYER + r"final_layer_norm\.(weight|bias)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"encoder\.layer_norm\.(weight|bias)", r"encoder.layer_norm.\1"),
)
"""fairseq's names → transformers' names; each is matched whole."""


class _Inert:
    """Takes the place of a class that a fairseq file names; it only keeps the attributes that the file gives it."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


def _inert(name: str) -> tuple[type, str]:
    return type(name.rpartition(".")[2], (_Inert,), {}), name


_NAMED_CLASSES: list[Any] = [
    argparse.Namespace,
    collections.defaultdict,
    collections.OrderedDict,
    dict,
    list,
    int,
    str,
    typing.Any,
    _inert("fairseq.data.dictionary.Dictionary"),
    _inert("omegaconf.dictconfig.DictConfig"),
    _inert("omegaconf.listconfig.ListConfig"),
    _inert("omegaconf.base.ContainerMetadata"),
    _inert("omegaconf.base.Metadata"),
    _inert("omegaconf.nodes.AnyNode"),
]


def load_fairseq(path: Path) -> EncoderCheckpoint:
    """Read the encoder of a fairseq wav2vec 2.0 checkpoint, pretrained or fine-tuned with CTC.

    Args:
        path: The `.pt` file.

    Returns:
        The encoder by transformers' names, with the settings of the task that it was trained for.

    Raises:
        ValueError: Not a PyTorch file, one that names other classes, or not a wav2vec 2.0 model.
    """
    content = _read(path)
    weights = content.get("model") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(f"{path}: not a fairseq checkpoint: it lacks a table of tensors under 'model'")
    model, task = _configuration(path, content)
    named, left_out = rename_tensors(weights, str(path))
    return EncoderCheckpoint(
        source=str(path),
        architecture=architecture_from_fairseq(model),
        weights=named,
        normalize=bool(task.get("normalize", model.get("normalize", model.get("extractor_mode") == "layer_norm"))),
        epsilon=FAIRSEQ_EPSILON,
        left_out=left_out,
    )


def rename_tensors(weights: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give fairseq's tensors the names that `transformers.Wav2Vec2Model` has for them.

    Args:
        weights: By fairseq's names, with or without a fine-tuned model's `w2v_encoder.w2v_model.` in front.
        source: What to call the checkpoint in an error.

    Returns:
        The encoder's tensors by their new names; the names of pretraining's and a head's tensors.

    Raises:
        ValueError: A name is neither.
    """
    named: dict[str, Any] = {}
    left_out, unknown = [], []
    for full_name, tensor in weights.items():
        name = full_name.removeprefix("w2v_encoder.").removeprefix("w2v_model.")
        is_head = full_name.startswith("w2v_encoder.") and HEAD_TENSORS.match(name)
        if is_head or PRETRAINING_TENSORS.match(name):
            left_out.append(full_name)
        elif (new_name := _new_name(name)) is not None:
            named[new_name] = tensor
        else:
            unknown.append(full_name)
    if unknown:
        raise ValueError(
            f"{source}: {len(unknown)} tensors have no place in a wav2vec 2.0 encoder: {', '.join(unknown)}"
        )
    return named, tuple(left_out)


def architecture_from_fairseq(model: Mapping[str, Any]) -> dict[str, Any]:
    """Translate fairseq's `model` configuration into `xlsr_encoder.ARCHITECTURE_KEYS`.

    Raises:
        ValueError: The configuration is of another kind of model, or asks for what wav2vec 2.0 in transformers lacks.
    """
    kind = model.get("_name", model.get("arch", "wav2vec2"))
    if kind not in ("wav2vec2", "wav2vec_ctc"):
        raise ValueError(f"the checkpoint's model is {kind!r}, not 'wav2vec2'")
    value = {**FAIRSEQ_DEFAULTS, **{key: setting for key, setting in model.items() if setting is not None}}
    for key, only in (("activation_fn", "gelu"), ("layer_type", "transformer"), ("pos_conv_depth", 1)):
        if value.get(key, only) != only:
            raise ValueError(f"the checkpoint has {key}={value[key]!r}; only {only!r} is supported")
    convolutions = parse_conv_layers(value["conv_feature_layers"])
    return {
        "conv_dim": [width for width, _, _ in convolutions],
        "conv_kernel": [kernel for _, kernel, _ in convolutions],
        "conv_stride": [stride for _, _, stride in convolutions],
        "conv_bias": bool(value["conv_bias"]),
        "feat_extract_norm": {"layer_norm": "layer", "default": "group"}[value["extractor_mode"]],
        "feat_extract_activation": "gelu",
        "hidden_size": int(value["encoder_embed_dim"]),
        "num_hidden_layers": int(value["encoder_layers"]),
        "num_attention_heads": int(value["encoder_attention_heads"]),
        "intermediate_size": int(value["encoder_ffn_embed_dim"]),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "do_stable_layer_norm": bool(value["layer_norm_first"]),
        "num_conv_pos_embeddings": int(value["conv_pos"]),
        "num_conv_pos_embedding_groups": int(value["conv_pos_groups"]),
    }


FAIRSEQ_DEFAULTS: Mapping[str, Any] = {
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
    "conv_bias": False,
    "extractor_mode": "default",
    "encoder_embed_dim": 768,
    "encoder_layers": 12,
    "encoder_attention_heads": 12,
    "encoder_ffn_embed_dim": 3072,
    "layer_norm_first": False,
    "conv_pos": 128,
    "conv_pos_groups": 16,
}
"""What fairseq assumes where a checkpoint is silent. Source: fairseq `models/wav2vec/wav2vec2.py`, `Wav2Vec2Config`."""


def parse_conv_layers(text: str) -> list[tuple[int, int, int]]:
    """Read fairseq's `conv_feature_layers`, Python such as `[(512, 10, 5)] + [(512, 3, 2)] * 4`, without running it.

    Args:
        text: Lists of (width, kernel, stride) joined by `+` and repeated by `*`.

    Returns:
        (width, kernel, stride) of each convolution.

    Raises:
        ValueError: Anything else stands there.
    """

    def read(node: ast.expr) -> list[tuple[int, int, int]]:
        match node:
            case ast.List():
                return [tuple(ast.literal_eval(item)) for item in node.elts]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return read(left) + read(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))) if 0 < times < 100:
                return read(left) * times
        raise ValueError

    try:
        layers = read(ast.parse(text.strip(), mode="eval").body)
        if layers and all(len(layer) == 3 and all(isinstance(n, int) and n > 0 for n in layer) for layer in layers):
            return layers
    except (ValueError, SyntaxError, TypeError, RecursionError):
        pass
    raise ValueError(f"conv_feature_layers={text!r}: expected lists of (width, kernel, stride)")


def _read(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_NAMED_CLASSES):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it names {blocked[1]}, which this reader does not admit" if blocked else "it is damaged or no pickle"
        raise ValueError(f"{path}: refused, {reason}") from error
    except (RuntimeError, EOFError, KeyError, AttributeError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise ValueError(f"{path}: not a readable PyTorch file ({reason})") from error


def _configuration(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `model` and `task` settings, from fairseq's new (`cfg`) or old (`args`) layout."""
    cfg = _plain(content.get("cfg"))
    if isinstance(cfg, dict) and isinstance(cfg.get("model"), dict):
        model, task = cfg["model"], cfg.get("task") or {}
    else:
        model = task = _plain(content.get("args"))
    if not isinstance(model, dict):
        raise ValueError(f"{path}: neither 'cfg' nor 'args' tells the model's configuration")
    if "w2v_args" in model:  # fine-tuned: the encoder's own configuration is kept inside
        inner = _plain(model["w2v_args"])
        model = {**inner, **(inner["model"] if isinstance(inner.get("model"), dict) else {})}
    return model, task if isinstance(task, dict) else {}


def _plain(value: Any) -> Any:
    """Undo the containers that fairseq keeps its configuration in: Namespace, and omegaconf's pickled nodes."""
    if isinstance(value, argparse.Namespace):
        return _plain(vars(value))
    if isinstance(value, _Inert):
        inside = vars(value)
        return _plain(inside["_content"] if "_content" in inside else inside.get("_val"))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _new_name(name: str) -> str | None:
    for pattern, replacement in _NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None

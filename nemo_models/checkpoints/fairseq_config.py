"""Reads the three forms of fairseq's configuration in a checkpoint, and translates them into transformers' keys."""

import argparse
import ast
import collections
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Inert:
    """A stand-in for a class that a fairseq file names; it only keeps the attributes that the file gives it."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


class InertArray(Inert):
    """A stand-in for classes that are filled by `__setstate__`: numpy's numbers and arrays."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _inert(name: str, base: type[Inert] = Inert) -> tuple[type, str]:
    return type(name.rpartition(".")[2], (base,), {}), name


NUMPY_CORES, NUMPY_MAKERS = ("core", "_core"), ("scalar", "_reconstruct")
NAMED_CLASSES: list[Any] = [
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
    *(_inert(f"omegaconf.nodes.{kind}Node") for kind in ("Any", "Integer", "Float", "Boolean", "String", "Enum")),
    *(_inert(f"numpy.{part}.multiarray.{name}", InertArray) for part in NUMPY_CORES for name in NUMPY_MAKERS),
    *(_inert(f"numpy.{name}", InertArray) for name in ("dtype", "ndarray")),
]
"""Classes that genuine fairseq files name. Those of fairseq, omegaconf and numpy are stand-ins, so that not even their
constructors run; numpy's are in the state of the training, which is not read."""


def read_configuration(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the encoder's and the task's settings in fairseq's new (`cfg`) or old (`args`) layout.

    Args:
        path: The file, for an error.
        content: What the file holds; classes in it are those of `NAMED_CLASSES`.

    Returns:
        The encoder's `model` settings; the `task` settings, together with a fine-tuned `model`'s own.

    Raises:
        ValueError: The file has neither.
    """
    cfg = plain(content.get("cfg"))
    if isinstance(cfg, dict) and isinstance(cfg.get("model"), dict):
        model, task = cfg["model"], cfg.get("task")
    else:
        model = task = plain(content.get("args"))
    if not isinstance(model, dict):
        raise ValueError(f"{path}: found neither 'cfg' nor 'args', expected the model's settings; take fairseq's file")
    task = {**model, **task} if isinstance(task, dict) else model
    if "w2v_args" in model:  # fine-tuned: the encoder's own configuration is kept inside
        if not isinstance(model["w2v_args"], dict):
            raise ValueError(
                f"{path}: found no encoder's configuration in 'w2v_args', expected one; take fairseq's own file"
            )
        inner = model["w2v_args"]
        model = inner["model"] if isinstance(inner.get("model"), dict) else inner
    return model, task


def architecture_from_fairseq(model: Mapping[str, Any], source: str = "the checkpoint") -> dict[str, Any]:
    """Translate fairseq's `model` configuration into `xlsr_encoder.ARCHITECTURE_KEYS`.

    Args:
        model: The encoder's settings.
        source: What to call the checkpoint in an error.

    Raises:
        ValueError: The configuration is of another kind of model, or of one that transformers does not have.
    """
    kind = model.get("_name", model.get("arch", "wav2vec2"))
    if kind not in ("wav2vec2", "wav2vec_ctc"):
        raise ValueError(
            f"{source}: found a model of kind {kind!r}, expected 'wav2vec2'; choose a checkpoint of such a model"
        )
    value = {**FAIRSEQ_DEFAULTS, **{key: setting for key, setting in model.items() if setting is not None}}
    for key, supported in SUPPORTED.items():
        if value.get(key, supported[0]) not in supported:
            names = " or ".join(map(repr, supported))
            adapters = " (language adapters, as MMS's fine-tuned models have)" if value[key] == "trf_adp" else ""
            raise ValueError(f"{source}: found {key}={value[key]!r}{adapters}, expected {names}")
    try:
        return _translate(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: invalid value in its configuration ({error}); download it again") from error


def _translate(value: Mapping[str, Any]) -> dict[str, Any]:
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


SUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "extractor_mode": ("default", "layer_norm"),
    "activation_fn": ("gelu",),
    "layer_type": ("transformer",),
    "pos_conv_depth": (1,),
    "conv_pos_batch_norm": (False,),
}
"""Values of fairseq's settings that `transformers.Wav2Vec2Model` has; MMS's adapters are another `layer_type`."""
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
"""fairseq's defaults for settings that a checkpoint lacks.

Source: fairseq `models/wav2vec/wav2vec2.py`, `Wav2Vec2Config`."""


def parse_conv_layers(text: str) -> list[tuple[int, int, int]]:
    """Read fairseq's `conv_feature_layers`, Python such as `[(512, 10, 5)] + [(512, 3, 2)] * 4`, without running it.

    Args:
        text: Lists of (width, kernel, stride) joined by `+` and repeated by `*`.

    Returns:
        (width, kernel, stride) of each convolution.

    Raises:
        ValueError: The text has another form.
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
        layers = read(ast.parse(str(text).strip(), mode="eval").body)
        if layers and all(len(layer) == 3 and all(isinstance(n, int) and n > 0 for n in layer) for layer in layers):
            return layers
    except (ValueError, SyntaxError, TypeError, RecursionError):
        pass
    raise ValueError(f"conv_feature_layers={text!r}: expected lists of (width, kernel, stride)")


def plain(value: Any) -> Any:
    """Convert a configuration to plain containers from Namespace and omegaconf's pickled nodes."""
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, Inert):
        inside = vars(value)
        return plain(inside["_content"] if "_content" in inside else inside.get("_val"))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value

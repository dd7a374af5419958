"""Reading fairseq's checkpoints (`xlsr_53_56k.pt`) without fairseq and without running code from the file.

The file is a pickle. It is opened with `weights_only=True`; the few classes that genuine fairseq files name are given
to the reader as inert stand-ins, so that even their constructors do not run.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from data_prep.arguments import name_some
from nemo_models.checkpoints.ctc_head import REMEDY, CTCHead, fairseq_vocabulary, parse_fairseq_dictionary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.fairseq_config import NAMED_CLASSES, architecture_from_fairseq, read_configuration
from nemo_models.checkpoints.fairseq_reference import FairseqReference
from nemo_models.files.tensor_files import check_is_payload, load_tensors
from nemo_models.waveform_normalizer import FAIRSEQ_EPSILON

DICTIONARY_FILE = "dict.ltr.txt"
PRETRAINING_TENSORS = re.compile(r"(quantizer|project_q|project_inp|final_proj|target_glu|input_quantizer)\.")
"""Tensors of the contrastive task, which an encoder does not need."""
OBJECTIVE_NAMES: tuple[tuple[str, str], ...] = (
    (r"quantizer\.vars", "quantizer.codevectors"),
    (r"quantizer\.weight_proj\.(weight|bias)", r"quantizer.weight_proj.\1"),
    (r"project_q\.(weight|bias)", r"project_q.\1"),
    (r"final_proj\.(weight|bias)", r"project_hid.\1"),
)
"""Those of them that continued pre-training starts from: fairseq's names → transformers' names."""
WRAPPER = "module."
"""What torch's DataParallel puts before the names of a model's tensors."""
HEAD = "w2v_encoder.proj."
"""A CTC head's tensors, in a fine-tuned file."""

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
    (
        r"encoder\.pos_conv\.0\.parametrizations\.weight\.original([01])",  # the same as newer torch names them
        r"encoder.pos_conv_embed.conv.parametrizations.weight.original\1",
    ),
    (_LAYER + r"self_attn\.([kvq]|out)_proj\.(weight|bias)", r"encoder.layers.\1.attention.\2_proj.\3"),
    (_LAYER + r"self_attn_layer_norm\.(weight|bias)", r"encoder.layers.\1.layer_norm.\2"),
    (_LAYER + r"fc1\.(weight|bias)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (_LAYER + r"fc2\.(weight|bias)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (_LAYER + r"final_layer_norm\.(weight|bias)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"encoder\.layer_norm\.(weight|bias)", r"encoder.layer_norm.\1"),
)
"""fairseq's names → transformers' names; each is matched whole."""


def load_fairseq(path: Path, with_head: bool = True) -> EncoderCheckpoint:
    """Read a fairseq wav2vec 2.0 checkpoint, pretrained or fine-tuned with CTC.

    Args:
        path: The `.pt` file; a fine-tuned model's `dict.ltr.txt` beside it where the file does not hold the dictionary.
        with_head: Read a CTC head and its dictionary.

    Returns:
        The encoder by transformers' names, with the settings of the task that it was trained for, and a CTC head.

    Raises:
        ValueError: Not a PyTorch file, one that names other classes, or not a wav2vec 2.0 model.
    """
    content = load_tensors(path, NAMED_CLASSES)
    weights = content.get("model") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(
            f"{path}: found no table of tensors under 'model', expected a fairseq checkpoint; of a Hugging Face "
            "checkpoint give the folder"
        )
    if weights and all(name.startswith(WRAPPER) for name in weights):
        weights = {name.removeprefix(WRAPPER): tensor for name, tensor in weights.items()}
    model, task = read_configuration(path, content)
    architecture = architecture_from_fairseq(model, str(path))
    named, left_out = rename_tensors(weights, str(path))
    head = _read_head(path, content, task, weights) if with_head else None
    if not with_head:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(HEAD)}
    normalize = bool(task.get("normalize", model.get("normalize", model.get("extractor_mode") == "layer_norm")))
    return EncoderCheckpoint(
        source=str(path),
        architecture=architecture,
        weights={name: tensor.float() for name, tensor in named.items()},
        normalize=normalize,
        epsilon=FAIRSEQ_EPSILON,
        left_out=left_out,
        head=head,
        reference=FairseqReference(weights, model, normalize),
        objective=_read_objective(weights),
    )


def _read_objective(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of the contrastive task by transformers' names."""
    found = {}
    for full_name, tensor in weights.items():
        new_name = _new_name(full_name.removeprefix("w2v_encoder.").removeprefix("w2v_model."), OBJECTIVE_NAMES)
        if new_name is not None:
            found[new_name] = tensor.float()
    return found


def rename_tensors(weights: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give fairseq's tensors the names that `transformers.Wav2Vec2Model` has for them.

    Args:
        weights: By fairseq's names, with or without a fine-tuned model's `w2v_encoder.w2v_model.` in front.
        source: What to call the checkpoint in an error.

    Returns:
        The encoder's tensors by their new names, a CTC head's left aside; the names of pretraining's tensors.

    Raises:
        ValueError: A name is neither.
    """
    named: dict[str, Any] = {}
    left_out, unknown = [], []
    for full_name, tensor in weights.items():
        name = full_name.removeprefix("w2v_encoder.").removeprefix("w2v_model.")
        if full_name in (f"{HEAD}weight", f"{HEAD}bias"):
            continue
        if PRETRAINING_TENSORS.match(name):
            left_out.append(full_name)
        elif (new_name := _new_name(name)) is not None:
            named[new_name] = tensor
        else:
            unknown.append(full_name)
    if unknown:
        raise ValueError(
            f"{source}: found {len(unknown)} tensors that no wav2vec 2.0 encoder has ({name_some(unknown)}), expected "
            "fairseq's names; choose a checkpoint of such a model"
        )
    return named, tuple(left_out)


def _read_head(
    path: Path, content: Mapping[str, Any], task: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> CTCHead | None:
    if f"{HEAD}weight" not in weights:
        return None
    if task.get("blank_weight"):
        raise ValueError(
            f"{path}: found blank_weight={task['blank_weight']}, expected 0; "
            "head=new makes a new head over the alphabet"
        )
    weight = weights[f"{HEAD}weight"].float()
    bias = weights[f"{HEAD}bias"].float() if f"{HEAD}bias" in weights else torch.zeros(len(weight))
    beside = path.with_name(DICTIONARY_FILE)
    state = content.get("task_state")
    symbols = getattr(state.get("target_dictionary"), "symbols", None) if isinstance(state, dict) else None
    if symbols:
        return CTCHead(weight, bias, fairseq_vocabulary(list(symbols)[4:]), f"{path} (task_state)")
    if not beside.is_file():
        return CTCHead(weight, bias, None, str(beside))
    check_is_payload(beside)
    try:
        lines = beside.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{beside}: found bytes that are not UTF-8 ({error}); {REMEDY}") from error
    return CTCHead(weight, bias, parse_fairseq_dictionary(lines, str(beside)), str(beside))


def _new_name(name: str, names: Sequence[tuple[str, str]] = _NAMES) -> str | None:
    for pattern, replacement in names:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None

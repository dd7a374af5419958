"""The checkpoints of assets/checkpoint_family.yaml with random weights at a small width, in each form."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2PreTrainedModel,
)

from project import ROOT
from topology import FAIRSEQ_NAMES

ASSETS = ROOT / "tests" / "assets"
MEMBERS: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
    (ASSETS / "checkpoint_family.yaml").read_text(encoding="utf-8")
)["members"]
ENGLISH = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
"""wav2vec2-base-960h's vocabulary: fairseq's order, capitals."""
ENGLISH_HEAD = "wav2vec2-large-960h-lv60-self"
"""A member with that vocabulary."""
HINDI = ["|", *"अआइईउएकखगचजतदनपबमयरलवसहािीुूेैोौं्", "[UNK]", "[PAD]"]
"""As the many fine-tuned XLSR-53 on the hub have it: the blank at the end, other names."""


QUICK = ("wav2vec2-large-xlsr-53", "wav2vec2-base-960h", "w2v-bert-2.0 with CTC")
"""A member of each kind, with a head and without one."""


def mark_slow(cases: Iterable[tuple[str, ...]]) -> list[Any]:
    """Mark the cases of a member, which is named first, as slow, except those of `QUICK`."""
    return [case if case[0] in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in cases]


def narrow(architecture: Mapping[str, Any], layers: int = 6) -> dict[str, Any]:
    """The same topology with four channels a head and so many layers; everything else is kept."""
    width = 4 * architecture["num_attention_heads"]
    ratio = architecture["intermediate_size"] // architecture["hidden_size"]
    fields = {**architecture, "hidden_size": width, "intermediate_size": ratio * width}
    fields["num_hidden_layers"] = min(layers, architecture["num_hidden_layers"])
    return {**fields, "conv_dim": [32] * 7} if "conv_dim" in fields else fields


def vocabulary_of(name: str) -> list[str] | None:
    """The tokens of a member's CTC head, in order."""
    if not MEMBERS[name]["head"]:
        return None
    return HINDI if "bert" in name else [*ENGLISH[:5], *HINDI[1:-2]] if "indic" in name else ENGLISH


def write_member(
    folder: Path, name: str, form: str, seed: int = 0, layers: int = 6
) -> tuple[str, Wav2Vec2PreTrainedModel]:
    """Write a member in a form; return its path, and transformers' model that it was written from."""
    vocabulary = vocabulary_of(name)
    model = random_model(name, seed, vocabulary, layers)
    if form == "fairseq":
        write_fairseq(folder / "checkpoint.pt", name, model, vocabulary)
        return str(folder / "checkpoint.pt"), model
    write_huggingface(folder, name, model, vocabulary)
    return str(folder), model


def random_model(
    name: str, seed: int = 0, vocabulary: list[str] | None = None, layers: int = 6
) -> Wav2Vec2PreTrainedModel:
    """A member as transformers builds it, pretrained or, with a vocabulary, with a CTC head whose texts are noise.

    Every weight is random, those of norms and biases too, so that none can be lost or exchanged unnoticed.
    """
    torch.manual_seed(seed)
    member = MEMBERS[name]
    fields = narrow(member["architecture"], layers)
    if vocabulary:
        fields |= {"vocab_size": len(vocabulary), "pad_token_id": vocabulary.index(_pad(vocabulary))}
    if member.get("kind") == "wav2vec2-bert":
        model = (Wav2Vec2BertForCTC if vocabulary else Wav2Vec2BertModel)(Wav2Vec2BertConfig(**fields))
    else:
        model = (Wav2Vec2ForCTC if vocabulary else Wav2Vec2ForPreTraining)(Wav2Vec2Config(**fields))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
        if vocabulary:
            model.lm_head.weight.normal_(std=1.0)
    return model.eval()


def write_huggingface(folder: Path, name: str, model: Wav2Vec2PreTrainedModel, vocabulary: list[str] | None) -> None:
    """Write a member as transformers saves it, its front-end and tokenizer included."""
    member = MEMBERS[name]
    model.save_pretrained(folder)
    if member.get("kind") == "wav2vec2-bert":
        SeamlessM4TFeatureExtractor().save_pretrained(folder)
    else:
        extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=member["attention_mask"])
        extractor.save_pretrained(folder)
    if vocabulary:
        numbers = {token: number for number, token in enumerate(vocabulary)}
        (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
        unknown = "<unk>" if "<unk>" in vocabulary else "[UNK]"
        tokenizer = Wav2Vec2CTCTokenizer(folder / "vocab.json", pad_token=_pad(vocabulary), unk_token=unknown)
        tokenizer.save_pretrained(folder)


def write_fairseq(path: Path, name: str, model: Wav2Vec2PreTrainedModel, vocabulary: list[str] | None) -> None:
    """Write a member as fairseq does: pretrained, or fine-tuned with `dict.ltr.txt` beside it."""
    member, fields = MEMBERS[name], model.config
    is_group = fields.feat_extract_norm == "group"
    weights = {}
    for full_name, tensor in model.state_dict().items():
        key = full_name.removeprefix("wav2vec2.")
        if key.startswith("lm_head."):
            weights[key.replace("lm_head", "w2v_encoder.proj")] = tensor
        elif not key.startswith(("quantizer", "project_")):
            weights[("w2v_encoder.w2v_model." if vocabulary else "") + fairseq_name(key, is_group)] = tensor
    convolutions = zip(fields.conv_dim, fields.conv_kernel, fields.conv_stride, strict=True)
    settings = {
        "_name": "wav2vec2",
        "conv_feature_layers": " + ".join(f"[{layer}]" for layer in convolutions),
        "conv_bias": fields.conv_bias,
        "extractor_mode": "default" if is_group else "layer_norm",
        "layer_norm_first": fields.do_stable_layer_norm,
        "encoder_embed_dim": fields.hidden_size,
        "encoder_layers": fields.num_hidden_layers,
        "encoder_attention_heads": fields.num_attention_heads,
        "encoder_ffn_embed_dim": fields.intermediate_size,
        "conv_pos": fields.num_conv_pos_embeddings,
        "conv_pos_groups": fields.num_conv_pos_embedding_groups,
    }
    task = {"normalize": member["fairseq_normalize"]}
    if vocabulary:  # as in wav2vec_small_960h.pt: the outer width is fairseq's default and says nothing
        settings = {"_name": "wav2vec_ctc", "encoder_embed_dim": 512, "w2v_args": {"model": settings, "task": task}}
        lines = [f"{symbol} 1\n" for symbol in vocabulary[4:]]
        path.with_name("dict.ltr.txt").write_text("".join(lines), encoding="utf-8")
    torch.save({"args": None, "cfg": {"model": settings, "task": task}, "model": weights}, path)


def fairseq_name(name: str, is_group: bool) -> str:
    """What fairseq calls a tensor of `transformers.Wav2Vec2Model`."""
    for ours, theirs in FAIRSEQ_NAMES:
        name = name.replace(ours, theirs)
    name = re.sub(r"(conv_layers\.\d+)\.conv\.", r"\1.0.", name)
    name = re.sub(r"(conv_layers\.\d+)\.layer_norm\.", r"\1.2." if is_group else r"\1.2.1.", name)
    return re.sub(r"(encoder\.layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm.", name)


def _pad(vocabulary: list[str]) -> str:
    return "<pad>" if "<pad>" in vocabulary else "[PAD]"


def change_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file, which may be missing."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}, ensure_ascii=False), encoding="utf-8")

"""XLSR-53's topology at a size for tests."""

import re
from pathlib import Path


def architecture(**changes: object) -> dict[str, object]:
    """XLSR-53's topology at a small width; `changes` are fields of a Hugging Face config."""
    return {
        "conv_dim": [32] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": True,
        "feat_extract_norm": "layer",
        "feat_extract_activation": "gelu",
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        **changes,
    }


FAIRSEQ_NAMES = (
    ("masked_spec_embed", "mask_emb"),
    (".conv.parametrizations.weight.original0", ".0.weight_g"),
    (".conv.parametrizations.weight.original1", ".0.weight_v"),
    ("pos_conv_embed.conv.bias", "pos_conv.0.bias"),
    ("pos_conv_embed", "pos_conv"),
    ("feature_projection.layer_norm", "layer_norm"),
    ("feature_projection.projection", "post_extract_proj"),
    ("feed_forward.intermediate_dense", "fc1"),
    ("feed_forward.output_dense", "fc2"),
    (".attention.", ".self_attn."),
)
"""What transformers calls a part of a tensor's name, and what fairseq calls it."""


def write_fairseq_checkpoint(path: Path, seed: int = 0) -> None:
    """Write a random encoder the way fairseq writes a pretrained one, contrastive tensors included."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(seed)
    fields: dict = architecture()
    weights = {}
    for name, tensor in Wav2Vec2Model(Wav2Vec2Config(**fields)).state_dict().items():
        for ours, theirs in FAIRSEQ_NAMES:
            name = name.replace(ours, theirs)
        name = re.sub(r"(conv_layers\.\d+)\.conv\.", r"\1.0.", name)
        name = re.sub(r"(conv_layers\.\d+)\.layer_norm\.", r"\1.2.1.", name)
        name = re.sub(r"(encoder\.layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm.", name)
        weights[name] = tensor
    groups, entries, width = 2, 8, 16
    weights["quantizer.vars"] = torch.rand(1, groups * entries, width // groups)
    for name, shape in (
        ("quantizer.weight_proj", (groups * entries, fields["conv_dim"][-1])),
        ("project_q", (24, width)),
        ("final_proj", (24, fields["hidden_size"])),
    ):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = torch.randn(shape), torch.zeros(shape[0])
    model = {
        "_name": "wav2vec2",
        "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] * 2",
        "conv_bias": True,
        "extractor_mode": "layer_norm",
        "layer_norm_first": True,
        "encoder_embed_dim": fields["hidden_size"],
        "encoder_layers": fields["num_hidden_layers"],
        "encoder_attention_heads": fields["num_attention_heads"],
        "encoder_ffn_embed_dim": fields["intermediate_size"],
        "conv_pos": fields["num_conv_pos_embeddings"],
        "conv_pos_groups": fields["num_conv_pos_embedding_groups"],
    }
    torch.save({"args": None, "cfg": {"model": model, "task": {"normalize": True}}, "model": weights}, path)

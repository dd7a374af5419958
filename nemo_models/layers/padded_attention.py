"""Attention in a padded batch with a mask of keys alone, or with sequence bounds, and without reading lengths back.

transformers builds a dense mask (B, 1, T, T) after it has asked the device whether anything is padded: a GPU then waits
for the host, and the dense mask rules out its fastest kernel. One length for each utterance is enough. Importing this
module registers both variants with transformers by name.
"""

from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

KEY_MASK = "key_mask"
"""Attention through `scaled_dot_product_attention`, with a mask that is broadcast over queries and heads."""
VARLEN = "varlen"
"""Attention through the kernel for packed sequences where it exists; elsewhere the same as `KEY_MASK`."""


def mask_keys(*_: Any, attention_mask: torch.Tensor | None = None, **__: Any) -> torch.Tensor | None:
    """Make the mask that all layers share; called by transformers.

    Args:
        attention_mask: True in frames of an utterance, bool, (B, T); `None` if no row is padded.

    Returns:
        Bool, (B, 1, 1, T).
    """
    return None if attention_mask is None else attention_mask[:, None, None, :]


def bound_sequences(*_: Any, attention_mask: torch.Tensor | None = None, **__: Any) -> torch.Tensor | None:
    """Divide the frames of all rows, one row after the other, into sequences: an utterance, its padding, and so on.

    No frame is moved, and the number of sequences does not depend on a value. Padding attends to padding, which costs
    little and keeps it finite.

    Args:
        attention_mask: See `mask_keys`; the frames of each utterance come first.

    Returns:
        The start of each sequence, and the end of the last, int32, (2 B + 1,).
    """
    if attention_mask is None:
        return None
    rows, frames = attention_mask.shape
    starts = torch.arange(rows, device=attention_mask.device) * frames
    bounds = torch.stack([starts, starts + attention_mask.sum(1)], dim=1).flatten()
    return functional.pad(bounds, (0, 1), value=rows * frames).int()


def attend_in_sequences(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each sequence; called by transformers' attention layers.

    Args:
        module: The layer.
        query: Float, (B, heads, T, width), like `key` and `value`.
        key: Float, the same shape.
        value: Float, the same shape.
        attention_mask: `bound_sequences`' result.
        dropout: Dropout of attention weights; the kernel does not support it.
        settings: Arguments of transformers' function.

    Returns:
        Float, (B, T, heads, width), and no weights.
    """
    rows, heads, frames, width = query.shape
    if attention_mask is None or dropout or not _has_kernel(query):
        lengths = None if attention_mask is None else (attention_mask[1::2] - attention_mask[:-1:2])[:, None]
        mask = None if lengths is None else torch.arange(frames, device=query.device) < lengths
        return sdpa_attention_forward(
            module, query, key, value, mask_keys(attention_mask=mask), dropout=dropout, **settings
        )
    q, k, v = (tensor.transpose(1, 2).reshape(rows * frames, heads, width) for tensor in (query, key, value))
    attended: Any = varlen_attn(q, k, v, attention_mask, attention_mask, frames, frames)  # scaled by width, as here
    return attended.view(rows, frames, heads, width), None


def _has_kernel(query: torch.Tensor) -> bool:
    return query.is_cuda and query.dtype in (torch.bfloat16, torch.float16)


AttentionMaskInterface.register(KEY_MASK, mask_keys)
AttentionInterface.register(KEY_MASK, sdpa_attention_forward)
AttentionMaskInterface.register(VARLEN, bound_sequences)
AttentionInterface.register(VARLEN, attend_in_sequences)

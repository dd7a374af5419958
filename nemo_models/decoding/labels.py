"""Labels of imported heads that mark something other than speech: never written into a text."""

from collections.abc import Mapping, Sequence
from typing import Any

SPECIAL_NAMES = frozenset(
    (
        *("<s>", "</s>", "<pad>", "<unk>", "<mask>", "<blank>", "<eps>", "<ctc_blank>"),
        *("[pad]", "[unk]", "[cls]", "[sep]", "[mask]", "[bos]", "[eos]"),
    )
)
"""What fairseq, Hugging Face, SpeechBrain and others call such tokens, in lower case."""
_TOKENIZER_KEYS = ("bos_token", "eos_token", "unk_token", "pad_token")


def find_special_labels(labels: Sequence[str], tokenizer: Mapping[str, Any] | None = None) -> tuple[int, ...]:
    """Return the indices of the labels that are special tokens.

    Args:
        labels: The model's labels, in order, without the blank.
        tokenizer: The settings of the checkpoint's tokenizer, which may name further ones; `None` without any.
    """
    named = {str((tokenizer or {}).get(key)).lower() for key in _TOKENIZER_KEYS} | SPECIAL_NAMES
    return tuple(index for index, label in enumerate(labels) if len(label) > 1 and label.lower() in named)

"""What a checkpoint is to this project, whatever file it comes from, and how its weights get into an encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from nemo_models.checkpoints.ctc_head import CTCHead
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.xlsr_encoder import XLSREncoder

MASK_VECTOR = "masked_spec_embed"
"""What masked frames become. Only training uses it, and checkpoints fine-tuned without masks lack it."""


class SourceRun(NamedTuple):
    """What the source of a checkpoint makes of a batch.

    Attributes:
        frames: The encoder's output, float32, (B, T', D).
        logits: The CTC head's output in the source's order of tokens, float32, (B, T', tokens); `None` without one.
        features: What the source's front-end gave its encoder, float32, (B, T', bands), where that is another thing
            than a scaled waveform.
    """

    frames: torch.Tensor
    logits: torch.Tensor | None
    features: torch.Tensor | None = None


class Reference(Protocol):
    """The source of a checkpoint as a model that runs apart from ours."""

    description: str

    def __call__(self, batches: Sequence[Sequence[torch.Tensor]]) -> list[SourceRun]:
        """Run batches of waveforms (float32, 16 kHz, of any lengths), padded as the source pads."""
        ...


@dataclass(frozen=True)
class EncoderCheckpoint:
    """An encoder's weights and what belongs to them.

    Attributes:
        source: The path or hub id that it was read from.
        architecture: The `ARCHITECTURE_KEYS` of its kind of encoder and their values.
        weights: Tensors by the names of transformers' model of that kind.
        normalize: Whether the encoder reads normalised waveforms.
        epsilon: Added to the variance when normalising.
        left_out: Names of tensors in the source that no encoder needs: pretraining's.
        kind: transformers' `model_type`: `wav2vec2` or `wav2vec2-bert`.
        mask_padding: Whether normalisation and attention leave padding out; see `XLSREncoder`.
        head: The CTC head that comes with it.
        normalizer_fingerprint: Of this project's text normalisation, where the head was trained on transcripts that
            went through it.
        reference: The source as a model of its own.
    """

    source: str
    architecture: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    normalize: bool
    epsilon: float
    left_out: tuple[str, ...]
    kind: str = "wav2vec2"
    mask_padding: bool = True
    head: CTCHead | None = None
    normalizer_fingerprint: str | None = None
    reference: Reference | None = None


def load_encoder_weights(encoder: XLSREncoder | W2VBertEncoder, checkpoint: EncoderCheckpoint) -> None:
    """Give an encoder of the same architecture a checkpoint's weights.

    They are copied; an encoder built inside `weightless_encoders` takes the checkpoint's own tensors instead.

    Raises:
        ValueError: A tensor is missing, unknown, or of another shape; all such are named.
    """
    own = encoder.network.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    weights = dict(checkpoint.weights)
    if MASK_VECTOR in expected and MASK_VECTOR not in weights:
        weights[MASK_VECTOR] = torch.rand(expected[MASK_VECTOR], generator=torch.Generator().manual_seed(0))
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in found]
    problems += [f"unknown {name} {shape}" for name, shape in found.items() if name not in expected]
    problems += [
        f"{name} is {found[name]}, the configuration says {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        raise ValueError(f"{checkpoint.source}: {len(problems)} tensors do not fit: {'; '.join(problems)}")
    is_weightless = any(tensor.is_meta for tensor in own.values())
    encoder.network.load_state_dict(weights, strict=True, assign=is_weightless)

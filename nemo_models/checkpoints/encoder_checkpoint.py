"""`EncoderCheckpoint`, the form of every checkpoint that was read, and the loading of its weights into an encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch

from data_prep.arguments import name_some
from nemo_models.checkpoints.ctc_head import CTCHead
from nemo_models.checkpoints.pyctcdecode_files import SourceLM
from nemo_models.layers.meta_init import is_on_meta
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.xlsr_encoder import XLSREncoder

MASK_VECTOR = "masked_spec_embed"
"""The vector of masked frames. Only training uses it, and checkpoints fine-tuned without masks lack it."""


class SourceRun(NamedTuple):
    """The output of a checkpoint's source for a batch.

    Attributes:
        frames: The encoder's output, float32, (B, T', D).
        logits: The CTC head's output in the source's order of tokens, float32, (B, T', tokens); `None` without one.
        features: Output of the source's front-end, float32, (B, T', bands); `None` if that is a scaled waveform.
    """

    frames: torch.Tensor
    logits: torch.Tensor | None
    features: torch.Tensor | None = None


class SourceModel(Protocol):
    """The source of a checkpoint as a model that shares no code with ours."""

    description: str

    def __call__(self, batches: Sequence[Sequence[torch.Tensor]]) -> list[SourceRun]:
        """Run batches of waveforms (float32, 16 kHz, of any lengths), padded as the source pads."""
        ...


@dataclass(frozen=True)
class EncoderCheckpoint:
    """An encoder's weights, and its head and settings.

    Attributes:
        source: The path or hub id that it was read from.
        architecture: The `ARCHITECTURE_KEYS` of its kind of encoder and their values.
        weights: Tensors by the names of transformers' model of that kind.
        normalize: Whether the encoder reads normalised waveforms.
        epsilon: Added to the variance when normalising.
        left_out: Names of tensors in the source that the encoder lacks: those of pre-training, or of another head.
        kind: transformers' `model_type`: `wav2vec2` or `wav2vec2-bert`.
        mask_padding: Whether normalisation and attention leave padding out; see `XLSREncoder`.
        head: The CTC head that comes with it.
        word_lm: The word language model that comes with the head.
        normalizer_fingerprint: Version of this project's text normalisation that the head's transcripts went through;
            `None` for heads that others trained.
        languages: Code -> labels, or label -> letter, where the head writes several languages.
        reference: The source as a model that runs without ours.
        objective: Tensors of the pre-training's objective by transformers' names (`quantizer.codevectors`, …); empty
            where the source has none.
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
    word_lm: SourceLM | None = None
    normalizer_fingerprint: str | None = None
    languages: Mapping[str, Sequence[str] | Mapping[str, str]] = field(default_factory=dict)
    reference: SourceModel | None = None
    objective: Mapping[str, torch.Tensor] = field(default_factory=dict)


def load_encoder_weights(encoder: XLSREncoder | W2VBertEncoder, checkpoint: EncoderCheckpoint) -> None:
    """Load a checkpoint's weights into an encoder of the same architecture.

    They are copied; an encoder built inside `encoders_on_meta` takes the checkpoint's own tensors instead.

    Raises:
        ValueError: Tensors are missing, unknown, of another shape, or not finite; the first are named.
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
        raise ValueError(
            f"{checkpoint.source}: {len(problems)} tensors do not fit its configuration: {name_some(problems, '; ')}; "
            "expected the configuration of these weights"
        )
    require_finite(checkpoint.source, weights, "take another copy of the checkpoint, or an earlier one")
    encoder.network.load_state_dict(weights, strict=True, assign=is_on_meta(encoder.network))


def require_finite(source: str, tensors: Mapping[str, torch.Tensor], remedy: str) -> None:
    """Refuse weights that are not numbers, as a failed training leaves them.

    Raises:
        ValueError: A tensor holds NaN or infinite values.
    """
    wrong = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise ValueError(f"{source}: found NaN or infinite values in {name_some(wrong)}, expected numbers; {remedy}")

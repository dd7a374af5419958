"""What a checkpoint is to this project, wherever it comes from: one value, one door.

`load_checkpoint` opens a fairseq `.pt`, a Hugging Face folder or hub id, or a `.nemo` of ours, and accounts for every
tensor in it; `load_encoder_weights` puts the weights into an encoder.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from nemo_models.ctc_head import CTCHead, Vocabulary, source_vocabulary
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.xlsr_encoder import XLSREncoder

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".nemo", ".safetensors", ".ckpt")
"""What a hub id does not end in: such a name is of a file that is missing."""
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


def load_checkpoint(source: str, with_head: bool = True) -> EncoderCheckpoint:
    """Read a checkpoint.

    Args:
        source: A fairseq `.pt`, a folder with Hugging Face's `config.json` and weights, a hub id such as
            `facebook/wav2vec2-large-xlsr-53`, or a `.nemo` of this project.
        with_head: Read a CTC head; otherwise nothing that is wrong with it or its vocabulary matters.

    Returns:
        Its encoder and CTC head, every tensor of the source either in one of them or in `left_out`.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is not a wav2vec 2.0 checkpoint, is damaged, or holds tensors that cannot be placed.
    """
    path = Path(source)
    if path.is_dir():
        from nemo_models.checkpoints.huggingface_checkpoint import load_huggingface

        return load_huggingface(path, source, with_head)
    if path.is_file() and path.suffix == ".nemo":
        return _load_nemo(path, with_head)
    if path.is_file():
        from nemo_models.checkpoints.fairseq_checkpoint import load_fairseq

        return load_fairseq(path, with_head)
    if HUB_ID.fullmatch(source) and path.suffix not in FILE_SUFFIXES:
        from nemo_models.checkpoints.huggingface_checkpoint import download_huggingface, load_huggingface

        return load_huggingface(download_huggingface(source), source, with_head)
    raise FileNotFoundError(
        f"{source}: no such checkpoint; give a fairseq .pt, a Hugging Face folder, a hub id (owner/name) or a .nemo"
    )


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


def _load_nemo(path: Path, with_head: bool) -> EncoderCheckpoint:
    from nemo_models.model_loading import load_ctc_model

    model = load_ctc_model(path)
    if not isinstance(model.encoder, XLSREncoder | W2VBertEncoder):
        raise ValueError(f"{path}: its encoder is a {type(model.encoder).__name__}, expected one of this project's")
    layer = model.decoder.decoder_layers[0]
    labels = tuple(model.decoder.vocabulary)
    vocabulary = source_vocabulary(model.cfg) or Vocabulary((*labels, "<blank>"), len(labels))
    head = CTCHead(layer.weight[vocabulary.classes, :, 0], layer.bias[vocabulary.classes], vocabulary, str(path))
    return EncoderCheckpoint(
        source=str(path),
        architecture=dict(model.cfg.encoder.architecture),
        weights=model.encoder.network.state_dict(),
        normalize=getattr(model.preprocessor, "normalize", True),
        epsilon=getattr(model.preprocessor, "epsilon", 0.0),
        left_out=(),
        kind=model.encoder.network.config.model_type,
        mask_padding=getattr(model.encoder, "mask_padding", True),
        head=head if with_head else None,
        normalizer_fingerprint=model.cfg.get("normalizer_fingerprint"),
    )

"""What an encoder checkpoint is to this project, wherever it comes from: one value, one door.

`load_checkpoint` opens a fairseq `.pt`, a Hugging Face folder or hub id, or a `.nemo` of ours, and accounts for every
tensor in it; `load_encoder_weights` puts the weights into an `XLSREncoder`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nemo_models.xlsr_encoder import XLSREncoder

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class EncoderCheckpoint:
    """An encoder's weights and what belongs to them.

    Attributes:
        source: The path or hub id that it was read from.
        architecture: `xlsr_encoder.ARCHITECTURE_KEYS` and their values.
        weights: Tensors by `transformers.Wav2Vec2Model`'s names.
        normalize: Whether the encoder reads normalised waveforms.
        epsilon: Added to the variance when normalising.
        left_out: Names of tensors in the source that no encoder needs: pretraining's and a head's.
    """

    source: str
    architecture: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    normalize: bool
    epsilon: float
    left_out: tuple[str, ...]


def load_checkpoint(source: str) -> EncoderCheckpoint:
    """Read an encoder checkpoint.

    Args:
        source: A fairseq `.pt`, a folder with Hugging Face's `config.json` and weights, a hub id such as
            `facebook/wav2vec2-large-xlsr-53`, or a `.nemo` of this project.

    Returns:
        Its encoder, every tensor of the source either in `weights` or in `left_out`.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is not a wav2vec 2.0 checkpoint, is damaged, or holds tensors that cannot be placed.
    """
    path = Path(source)
    if path.is_dir():
        from nemo_models.huggingface_checkpoint import load_huggingface

        return load_huggingface(path, source)
    if path.is_file() and path.suffix == ".nemo":
        return _load_nemo(path)
    if path.is_file():
        from nemo_models.fairseq_checkpoint import load_fairseq

        return load_fairseq(path)
    if HUB_ID.fullmatch(source) and not path.suffix:
        from nemo_models.huggingface_checkpoint import download_huggingface, load_huggingface

        return load_huggingface(download_huggingface(source), source)
    raise FileNotFoundError(
        f"{source}: no such checkpoint; give a fairseq .pt, a Hugging Face folder, a hub id (owner/name) or a .nemo"
    )


def load_encoder_weights(encoder: XLSREncoder, checkpoint: EncoderCheckpoint) -> None:
    """Copy a checkpoint's weights into an encoder of the same architecture.

    Raises:
        ValueError: A tensor is missing, unknown, or of another shape; all such are named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in encoder.wav2vec2.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in found]
    problems += [f"unknown {name} {shape}" for name, shape in found.items() if name not in expected]
    problems += [
        f"{name} is {found[name]}, the configuration says {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        raise ValueError(f"{checkpoint.source}: {len(problems)} tensors do not fit: {'; '.join(problems)}")
    encoder.wav2vec2.load_state_dict(dict(checkpoint.weights), strict=True)


def _load_nemo(path: Path) -> EncoderCheckpoint:
    from nemo_models.ctc_model import XLSRCTCModel

    model = XLSRCTCModel.restore_from(str(path), map_location="cpu")
    return EncoderCheckpoint(
        source=str(path),
        architecture=dict(model.cfg.encoder.architecture),
        weights=model.encoder.wav2vec2.state_dict(),
        normalize=model.preprocessor.normalize,
        epsilon=model.preprocessor.epsilon,
        left_out=tuple(f"decoder.{name}" for name in model.decoder.state_dict()),
    )

"""`load_checkpoint` reads a fairseq `.pt`, a Hugging Face folder or hub id, or a `.nemo` as an `EncoderCheckpoint`."""

import re
from pathlib import Path

from nemo_models.checkpoints.ctc_head import CTCHead, Vocabulary, source_vocabulary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.fairseq_checkpoint import load_fairseq
from nemo_models.checkpoints.huggingface_checkpoint import WEIGHT_FILES, download_huggingface, load_huggingface
from nemo_models.files.model_language import LANGUAGES_KEY
from nemo_models.inference.model_loading import is_pretraining_model, load_ctc_model, load_pretraining_model
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.xlsr_encoder import XLSREncoder

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".nemo", ".safetensors", ".ckpt")
"""Suffixes of files: a name with one of them is a missing file, not a hub id."""


def load_checkpoint(source: str, with_head: bool = True) -> EncoderCheckpoint:
    """Read a checkpoint.

    Args:
        source: A fairseq `.pt`, a folder with Hugging Face's `config.json` and weights, a hub id such as
            `facebook/wav2vec2-large-xlsr-53`, or a `.nemo` of this project.
        with_head: Read a CTC head; otherwise it and its vocabulary are not opened.

    Returns:
        Its encoder and CTC head, every tensor of the source either in one of them or in `left_out`.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: It is not a wav2vec 2.0 checkpoint, is damaged, or holds unknown tensors.
    """
    path = Path(source)
    if path.is_dir():
        return load_huggingface(path, source, with_head)
    if path.is_file() and path.suffix == ".nemo":
        return _load_nemo(path, with_head)
    if path.is_file() and (path.suffix == ".safetensors" or path.name in WEIGHT_FILES):
        raise ValueError(
            f"checkpoint={source}: found the weights alone, expected the folder with config.json beside them; "
            f"give checkpoint={path.parent}"
        )
    if path.is_file():
        return load_fairseq(path, with_head)
    if HUB_ID.fullmatch(source) and path.suffix not in FILE_SUFFIXES:
        return load_huggingface(download_huggingface(source), source, with_head)
    raise FileNotFoundError(
        f"{source}: no such checkpoint; give a fairseq .pt, a Hugging Face folder, a hub id (owner/name) or a .nemo"
    )


def _load_nemo(path: Path, with_head: bool) -> EncoderCheckpoint:
    if is_pretraining_model(path):
        return _load_pretraining_model(path)
    model = load_ctc_model(path)
    if not isinstance(model.encoder, XLSREncoder | W2VBertEncoder):
        raise ValueError(
            f"{path}: found an encoder of type {type(model.encoder).__name__}, expected XLSREncoder or W2VBertEncoder; "
            "choose a model of this project"
        )
    layer = model.decoder.decoder_layers[0]
    labels = tuple(model.decoder.vocabulary)
    vocabulary = source_vocabulary(model.cfg) or Vocabulary((*labels, "<blank>"), len(labels))
    rows = vocabulary.nemo_indices
    head = CTCHead(layer.weight[rows, :, 0], layer.bias[rows], vocabulary, str(path))
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
        languages=dict(model.cfg.get(LANGUAGES_KEY) or {}),
    )


def _load_pretraining_model(path: Path) -> EncoderCheckpoint:
    model = load_pretraining_model(path)
    objective = model.objective.state_dict()
    return EncoderCheckpoint(
        source=str(path),
        architecture=dict(model.cfg.encoder.architecture),
        weights=model.encoder.network.state_dict(),
        normalize=model.preprocessor.normalize,
        epsilon=model.preprocessor.epsilon,
        left_out=tuple(objective),
        mask_padding=model.encoder.mask_padding,
        objective=objective,
    )

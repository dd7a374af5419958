"""`load_checkpoint`: a fairseq `.pt`, a Hugging Face folder or hub id, or a `.nemo` of this project, all read alike."""

import re
from pathlib import Path

from nemo_models.checkpoints.ctc_head import CTCHead, Vocabulary, source_vocabulary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.fairseq_checkpoint import load_fairseq
from nemo_models.checkpoints.huggingface_checkpoint import download_huggingface, load_huggingface
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.xlsr_encoder import XLSREncoder

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".nemo", ".safetensors", ".ckpt")
"""What a hub id does not end in: such a name is of a file that is missing."""


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
        return load_huggingface(path, source, with_head)
    if path.is_file() and path.suffix == ".nemo":
        return _load_nemo(path, with_head)
    if path.is_file():
        return load_fairseq(path, with_head)
    if HUB_ID.fullmatch(source) and path.suffix not in FILE_SUFFIXES:
        return load_huggingface(download_huggingface(source), source, with_head)
    raise FileNotFoundError(
        f"{source}: no such checkpoint; give a fairseq .pt, a Hugging Face folder, a hub id (owner/name) or a .nemo"
    )


def _load_nemo(path: Path, with_head: bool) -> EncoderCheckpoint:
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

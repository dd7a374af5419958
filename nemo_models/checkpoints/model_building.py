"""A new model: its configuration, around an architecture or a checkpoint, and the checkpoint's weights in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from nemo_models.checkpoints.ctc_head import keep_source_vocabulary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.layers.meta_init import weightless_encoders


def model_config(
    architecture: Mapping[str, Any],
    labels: Sequence[str],
    normalize: bool,
    epsilon: float,
    sample_rate: int = 16000,
    kind: str = "wav2vec2",
    mask_padding: bool = True,
) -> DictConfig:
    """The configuration of an `XLSRCTCModel` around a checkpoint, with nothing in it about training.

    Args:
        architecture: The checkpoint's, as in `EncoderCheckpoint`.
        labels: Characters that the head can write, in order; the blank comes after them.
        normalize: Whether the checkpoint reads normalised waveforms.
        epsilon: Added to the variance there.
        sample_rate: Of the checkpoint's audio, Hz.
        kind: Of encoder, as in `EncoderCheckpoint`.
        mask_padding: As in `EncoderCheckpoint`.

    Returns:
        What `XLSRCTCModel(cfg=…)` takes.
    """
    if kind == "wav2vec2":
        preprocessor = {
            "_target_": "nemo_models.waveform_normalizer.WaveformNormalizer",
            "normalize": normalize,
            "epsilon": epsilon,
            "mask_padding": mask_padding,
        }
        encoder = {"_target_": "nemo_models.xlsr_encoder.XLSREncoder", "mask_padding": mask_padding}
    else:
        preprocessor = {"_target_": "nemo_models.w2v_bert_features.LogMelFeatures"}
        encoder = {"_target_": "nemo_models.w2v_bert_encoder.W2VBertEncoder"}
    return OmegaConf.create(
        {
            "sample_rate": sample_rate,
            "labels": list(labels),
            "normalizer_fingerprint": NORMALIZER_FINGERPRINT,
            "preprocessor": {**preprocessor, "sample_rate": sample_rate, "window_stride": 0.02},
            "encoder": {**encoder, "architecture": dict(architecture)},
            "decoder": {
                "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
                "feat_in": None,
                "num_classes": -1,
                "vocabulary": list(labels),
            },
        }
    )


def config_of_checkpoint(checkpoint: EncoderCheckpoint, labels: Sequence[str]) -> DictConfig:
    """`model_config` of a checkpoint that has been read."""
    return model_config(
        checkpoint.architecture,
        labels,
        checkpoint.normalize,
        checkpoint.epsilon,
        kind=checkpoint.kind,
        mask_padding=checkpoint.mask_padding,
    )


def model_from_checkpoint(
    checkpoint: EncoderCheckpoint, labels: Sequence[str] | None = None, seed: int = 0
) -> XLSRCTCModel:
    """Build a model around a checkpoint's encoder, with a new head or its own.

    Args:
        checkpoint: The encoder, and the head where `labels` is `None`. The model keeps its tensors, uncopied.
        labels: Characters that a new head is to write; `None` takes the checkpoint's head and its labels.
        seed: For a new head's random weights.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        ValueError: The weights do not fit the checkpoint's own configuration, or there is no usable head in it.
    """
    head = checkpoint.head if labels is None else None
    if labels is None:
        if head is None:
            raise ValueError(f"{checkpoint.source}: has no CTC head; a new one needs labels")
        labels = head.require_vocabulary().labels
    config = config_of_checkpoint(checkpoint, labels)
    with torch.random.fork_rng(devices=[]), weightless_encoders():
        torch.manual_seed(seed)
        try:
            model = XLSRCTCModel(cfg=config)
        except Exception as error:  # hydra's, transformers' or torch's, as a value that cannot be meets one of them
            cause = error.__cause__ if isinstance(error, InstantiationException) else error
            reason = " ".join(f"{type(cause).__name__}: {cause}".split())
            raise ValueError(f"{checkpoint.source}: its configuration cannot be built ({reason})") from error
    load_encoder_weights(model.encoder, checkpoint)
    if head is not None:
        model.cfg.normalizer_fingerprint = checkpoint.normalizer_fingerprint  # none: others' transcripts, unknown
        layer = model.decoder.decoder_layers[0]
        if head.weight.shape[1] != layer.weight.shape[1]:
            raise ValueError(
                f"{checkpoint.source}: the head reads {head.weight.shape[1]} channels, "
                f"the encoder gives {layer.weight.shape[1]}"
            )
        vocabulary = head.require_vocabulary()
        with torch.no_grad():
            layer.weight.copy_(vocabulary.blank_last(head.weight)[..., None])
            layer.bias.copy_(vocabulary.blank_last(head.bias))
        if vocabulary.tokenizer is not None:
            keep_source_vocabulary(model.cfg, vocabulary)
    return model.eval()

"""Building a model: its configuration around an architecture or a checkpoint, and the checkpoint's weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.normalizer import fingerprint_language
from nemo_models.checkpoints.ctc_head import keep_source_vocabulary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights, require_finite
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.model_language import LANGUAGES_KEY, describe_labels
from nemo_models.layers.meta_init import encoders_on_meta


def model_config(
    architecture: Mapping[str, Any],
    labels: Sequence[str],
    normalize: bool,
    epsilon: float,
    sample_rate: int = 16000,
    kind: str = "wav2vec2",
    mask_padding: bool = True,
    language: str = DEFAULT_LANGUAGE,
    script: str | None = None,
) -> DictConfig:
    """Make the configuration of an `XLSRCTCModel` around a checkpoint, without settings of training.

    Args:
        architecture: The checkpoint's architecture, as in `EncoderCheckpoint`.
        labels: Characters that the head can write, in order; the blank comes after them.
        normalize: Whether the checkpoint reads normalised waveforms.
        epsilon: Added to the variance there.
        sample_rate: Rate of the checkpoint's audio, Hz.
        kind: Kind of encoder, see `EncoderCheckpoint`.
        mask_padding: See `EncoderCheckpoint`.
        language: Code of the language that a new head writes, or the path of a language file; or several.
        script: Script in which it writes several, see `folding`; `None`: each in its own.

    Returns:
        The argument `cfg` of `XLSRCTCModel`.
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
            "normalizer_fingerprint": fingerprint_language(language),
            **describe_labels(language, script),
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


def config_of_checkpoint(
    checkpoint: EncoderCheckpoint,
    labels: Sequence[str],
    language: str = DEFAULT_LANGUAGE,
    script: str | None = None,
) -> DictConfig:
    """Make the configuration of a model around a checkpoint, see `model_config`."""
    return model_config(
        checkpoint.architecture,
        labels,
        checkpoint.normalize,
        checkpoint.epsilon,
        kind=checkpoint.kind,
        mask_padding=checkpoint.mask_padding,
        language=language,
        script=script,
    )


def model_from_checkpoint(
    checkpoint: EncoderCheckpoint,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    language: str = DEFAULT_LANGUAGE,
    script: str | None = None,
) -> XLSRCTCModel:
    """Build a model around a checkpoint's encoder, with a new head or its own.

    Args:
        checkpoint: The encoder, and the head where `labels` is `None`. The model keeps its tensors, uncopied.
        labels: Characters that a new head is to write; `None` takes the checkpoint's head and its labels.
        seed: For a new head's random weights.
        language: Code of the language that a new head writes, or the path of a language file; or several.
        script: See `model_config`.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        ValueError: The weights do not fit the checkpoint's own configuration, or there is no usable head in it.
    """
    head = checkpoint.head if labels is None else None
    if labels is None:
        if head is None:
            raise ValueError(f"{checkpoint.source}: found no CTC head, expected one where labels=None; give labels")
        labels = head.require_vocabulary().labels
    config = config_of_checkpoint(checkpoint, labels, language, script)
    if head is not None and checkpoint.languages:
        config[LANGUAGES_KEY] = dict(checkpoint.languages)
    with torch.random.fork_rng(devices=[]), encoders_on_meta():
        torch.manual_seed(seed)
        try:
            model = XLSRCTCModel(cfg=config)
        except Exception as error:  # of hydra, transformers or torch, whichever meets an invalid value
            cause = error.__cause__ if isinstance(error, InstantiationException) else error
            reason = " ".join(f"{type(cause).__name__}: {cause}".split())
            raise ValueError(
                f"{checkpoint.source}: invalid value in its configuration ({reason}); download it again"
            ) from error
    load_encoder_weights(model.encoder, checkpoint)
    if head is not None:
        model.cfg.normalizer_fingerprint = checkpoint.normalizer_fingerprint  # None: trained by others
        layer = model.decoder.decoder_layers[0]
        if head.weight.shape[1] != layer.weight.shape[1]:
            raise ValueError(
                f"{checkpoint.source}: found a head over {head.weight.shape[1]} channels, expected "
                f"{layer.weight.shape[1]}, the encoder's; head=new makes a new one over the alphabet"
            )
        tensors = {"head.weight": head.weight, "head.bias": head.bias}
        require_finite(checkpoint.source, tensors, "head=new makes a new head over the alphabet")
        vocabulary = head.require_vocabulary()
        with torch.no_grad():
            layer.weight.copy_(vocabulary.blank_last(head.weight)[..., None])
            layer.bias.copy_(vocabulary.blank_last(head.bias))
        if vocabulary.tokenizer is not None:
            keep_source_vocabulary(model.cfg, vocabulary)
    return model.eval()

"""Export of a pre-training model to Hugging Face's `Wav2Vec2ForPreTraining`: a folder with every tensor."""

from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

from nemo_models.checkpoints.huggingface_checkpoint import EPSILON_KEY
from nemo_models.export.probes import pad_waveforms, probe_waveforms
from nemo_models.pretraining_model import XLSRPretrainingModel
from nemo_models.waveform_normalizer import HUGGING_FACE_EPSILON
from nemo_models.xlsr_encoder import ARCHITECTURE_KEYS

PREFIX = "wav2vec2."
"""What `Wav2Vec2ForPreTraining` puts before the names of the encoder's tensors."""


def write_pretraining_folder(model: XLSRPretrainingModel, folder: Path) -> list[str]:
    """Write a pre-training model and its feature extractor; the tensors equal the model's, bit for bit.

    Args:
        model: The model.
        folder: An empty folder.

    Returns:
        Notes for the user, a sentence each.
    """
    network, objective = model.encoder.network, model.objective
    settings = {key: getattr(network.config, key) for key in ARCHITECTURE_KEYS}
    masks = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
    config = Wav2Vec2Config(
        **settings,
        **{key: getattr(network.config, key) for key in masks},
        num_codevector_groups=objective.quantizer.groups,
        num_codevectors_per_group=objective.quantizer.entries,
        codevector_dim=objective.project_q.in_features,
        proj_codevector_dim=objective.project_q.out_features,
        num_negatives=objective.negatives,
        contrastive_logits_temperature=objective.similarity_temperature,
        diversity_loss_weight=objective.diversity_weight,
    )
    with torch.device("meta"):
        theirs = Wav2Vec2ForPreTraining(config)
    theirs.load_state_dict(named_as_transformers(model), strict=True, assign=True)
    theirs.save_pretrained(folder)
    epsilon = float(model.preprocessor.epsilon)
    Wav2Vec2FeatureExtractor(
        sampling_rate=int(model.cfg.sample_rate),
        do_normalize=model.preprocessor.normalize,
        return_attention_mask=model.encoder.mask_padding,
        **({EPSILON_KEY: epsilon} if epsilon != HUGGING_FACE_EPSILON else {}),
    ).save_pretrained(folder)
    return []


def named_as_transformers(model: XLSRPretrainingModel) -> dict[str, torch.Tensor]:
    """Return a model's tensors under the names of `Wav2Vec2ForPreTraining`."""
    encoder = {f"{PREFIX}{name}": tensor for name, tensor in model.encoder.network.state_dict().items()}
    return {**encoder, **model.objective.state_dict()}


def compare_pretraining_folder(model: XLSRPretrainingModel, folder: Path) -> float:
    """Load a folder with transformers alone and compare what it predicts and quantizes with the model, on noise.

    Returns:
        The largest difference of a projected value on a valid frame; infinite where a tensor is missing or differs.
    """
    loaded: Any = Wav2Vec2ForPreTraining.from_pretrained(folder, output_loading_info=True)
    theirs, info = loaded
    expected = named_as_transformers(model)
    found = theirs.eval().state_dict()
    if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")) or set(found) != set(expected):
        return float("inf")
    if not all(torch.equal(found[name], tensor) for name, tensor in expected.items()):
        return float("inf")
    signal, lengths = pad_waveforms(probe_waveforms())
    with torch.inference_mode():
        values, lengths = model.preprocessor(input_signal=signal, length=lengths)
        frames = model.encoder.frame_count(lengths)
        mask = torch.zeros(len(values), int(frames.max()), dtype=torch.bool)
        hidden, features = model.encoder.encode_masked(values, lengths, mask)
        attention = (torch.arange(values.shape[1]) < lengths[:, None]).long() if model.encoder.mask_padding else None
        output = theirs(values, attention_mask=attention)
        valid = torch.arange(mask.shape[1]) < frames[:, None]
        quantized = model.objective.project_q(model.objective.quantizer(features[valid], temperature=1.0).vectors)
        pairs = (
            (model.objective.project_hid(hidden)[valid], output.projected_states[valid]),
            (quantized, output.projected_quantized_states[valid]),
        )
        return max(float((ours - other).abs().max()) for ours, other in pairs)

"""One pre-training model twice: transformers' `Wav2Vec2ForPreTraining` and ours, with the same weights and draws."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

from nemo_models.layers.contrastive import Draws
from nemo_models.pretraining_model import XLSRPretrainingModel
from topology import architecture

OBJECTIVE = {"groups": 2, "entries": 320, "codevector_dim": 32, "projection_dim": 24, "negatives": 20}
"""A small objective; the codebooks are as large as XLSR-53's, so that two frames rarely have the same codes."""
NO_DROPOUT = {
    f"{name}_dropout": 0.0 for name in ("hidden", "attention", "activation", "feat_proj", "feat_quantizer", "final")
}
MASK_SHARE, SPAN = 0.5, 4
TEMPERATURE = 0.7


def model_settings(**changes: Any) -> DictConfig:
    """The configuration of a small model without randomness beside that of the objective."""
    encoder = {
        "_target_": "nemo_models.xlsr_encoder.XLSREncoder",
        "architecture": architecture(),
        "freeze_feature_encoder": False,
        "mask_time_prob": MASK_SHARE,
        "mask_time_length": SPAN,
    }
    preprocessor = {"_target_": "nemo_models.waveform_normalizer.WaveformNormalizer", "normalize": False}
    return OmegaConf.merge(
        {
            "sample_rate": 16000,
            "preprocessor": preprocessor,
            "encoder": encoder,
            "objective": OBJECTIVE,
            "gumbel_temperature": {"start": TEMPERATURE, "end": TEMPERATURE, "decay": 1.0},
        },
        changes,
    )


def make_theirs(seed: int = 0) -> Wav2Vec2ForPreTraining:
    """transformers' model with random weights."""
    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        **architecture(),
        **NO_DROPOUT,
        layerdrop=0.0,
        mask_feature_prob=0.0,
        num_codevector_groups=OBJECTIVE["groups"],
        num_codevectors_per_group=OBJECTIVE["entries"],
        codevector_dim=OBJECTIVE["codevector_dim"],
        proj_codevector_dim=OBJECTIVE["projection_dim"],
        num_negatives=OBJECTIVE["negatives"],
    )
    model = Wav2Vec2ForPreTraining(config).train()
    model.set_gumbel_temperature(TEMPERATURE)
    return model


def make_ours(theirs: Wav2Vec2ForPreTraining, trainer: Any = None, **changes: Any) -> XLSRPretrainingModel:
    """Our model with the weights of transformers'."""
    model = XLSRPretrainingModel(cfg=model_settings(**changes), trainer=trainer).train()
    state = theirs.state_dict()
    model.encoder.network.load_state_dict(
        {name.removeprefix("wav2vec2."): value for name, value in state.items() if name.startswith("wav2vec2.")}
    )
    model.objective.load_state_dict({name: value for name, value in state.items() if not name.startswith("wav2vec2.")})
    return model


class Batch(NamedTuple):
    """Waveforms with the random numbers of both implementations; N masked frames of B x T."""

    signal: Tensor
    lengths: Tensor
    mask: Tensor
    negatives: Tensor  # transformers' numbers, (B, T, K)
    noise: Tensor  # (B, T, groups, entries)

    def our_draws(self) -> Draws:
        """The same numbers in our form: of masked frames only, negatives by their place in the utterance."""
        place = self.mask.cumsum(1) - 1
        return Draws(self.noise[self.mask], place.flatten()[self.negatives[self.mask]])

    def attention_mask(self) -> Tensor:
        return (torch.arange(self.signal.shape[1]) < self.lengths[:, None]).long()


def make_batch(seconds: tuple[float, ...], seed: int = 0) -> Batch:
    """Noise of some lengths, with masks and negatives that transformers' own functions draw."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([round(16000 * s) for s in seconds])
    signal = torch.randn(len(seconds), int(lengths.max()), generator=generator)
    signal = signal.masked_fill(torch.arange(signal.shape[1]) >= lengths[:, None], 0.0)
    frames = ((lengths - 400) // 320) + 1
    size = int(frames.max())
    np.random.seed(seed)
    valid = (torch.arange(size) < frames[:, None]).long()
    mask = _compute_mask_indices((len(seconds), size), MASK_SHARE, SPAN, valid, min_masks=2)
    negatives = _sample_negative_indices(mask.shape, OBJECTIVE["negatives"], mask)
    shape = (*mask.shape, OBJECTIVE["groups"], OBJECTIVE["entries"])
    noise = -torch.empty(shape).exponential_(generator=generator).log()
    return Batch(signal, lengths, torch.from_numpy(mask), torch.from_numpy(negatives).long(), noise)


@contextmanager
def given_noise(noise: Tensor) -> Iterator[None]:
    """Let `torch.nn.functional.gumbel_softmax`, which transformers calls, use this noise."""

    def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, **_: Any) -> Tensor:
        soft = ((logits + noise.reshape(logits.shape)) / tau).softmax(-1)
        one_hot = torch.zeros_like(logits).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
        return one_hot - soft.detach() + soft  # as torch computes it

    with mock.patch("torch.nn.functional.gumbel_softmax", gumbel_softmax):
        yield


def run_theirs(model: Wav2Vec2ForPreTraining, batch: Batch) -> Any:
    """Compute transformers' losses of a batch."""
    with given_noise(batch.noise):
        return model(
            batch.signal,
            attention_mask=batch.attention_mask(),
            mask_time_indices=batch.mask,
            sampled_negative_indices=batch.negatives,
        )

"""wav2vec 2.0's contrastive objective: for each masked frame, find its quantized target among others of the utterance.

Only masked frames are computed, packed one after the other. Similarities are one matrix product for each utterance,
from which the negatives' are taken: transformers copies the vectors of 100 negatives for every frame instead.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from nemo_models.layers.quantizer import GumbelQuantizer, measure_perplexity

COSINE_EPSILON = 1e-8
"""Least norm of a vector in a cosine, torch's default."""


class Draws(NamedTuple):
    """The random numbers of one batch, for a reproduction with another implementation.

    Attributes:
        noise: Gumbel noise of each masked frame, float32, (N, groups, entries).
        negatives: Negatives of each masked frame, see `sample_negatives`, int64, (N, K).
    """

    noise: Tensor | None = None
    negatives: Tensor | None = None


class ContrastiveOutput(NamedTuple):
    """The loss of a batch and what is measured beside it. Losses are sums over masked frames, in nats.

    Attributes:
        loss: The weighted sum of the three losses, scalar.
        contrastive: Cross-entropy of the target among the negatives, scalar.
        diversity: Share of the codebooks that is not used, times the masked frames, scalar.
        feature_penalty: Mean square of the convolutions' output, times the masked frames, scalar; 0 without a weight.
        masked: Number of masked frames, int64, scalar.
        correct: Masked frames whose target is the most similar, int64, scalar.
        probability_perplexity: Perplexity of the mean probabilities of each group, float32, (groups,).
        code_perplexity: Perplexity of the chosen entries of each group, float32, (groups,).
        positive_similarity: Mean cosine with the targets, -1 to 1, scalar.
        negative_similarity: Mean cosine with the negatives, -1 to 1, scalar.
    """

    loss: Tensor
    contrastive: Tensor
    diversity: Tensor
    feature_penalty: Tensor
    masked: Tensor
    correct: Tensor
    probability_perplexity: Tensor
    code_perplexity: Tensor
    positive_similarity: Tensor
    negative_similarity: Tensor


class ContrastiveObjective(torch.nn.Module):
    """Quantizer, projections and loss of the pre-training; its tensors have transformers' names.

    Args:
        width: Channels of the convolutions' output.
        hidden_size: Channels of the encoder's output.
        groups: Codebooks.
        entries: Entries of each codebook.
        codevector_dim: Width of a code vector.
        projection_dim: Width in which predictions and targets are compared.
        negatives: Negatives for each masked frame.
        similarity_temperature: Divides cosines, above 0.
        diversity_weight: Weight of the diversity loss, 0 or more.
        feature_penalty: Weight of the feature penalty, 0 or more.
        feature_dropout: Dropout on the quantizer's input, 0 to 1.

    Source: wav2vec 2.0 (Baevski et al., 2020), section 3.2; transformers' `Wav2Vec2ForPreTraining`.
    """

    def __init__(
        self,
        width: int,
        hidden_size: int,
        groups: int = 2,
        entries: int = 320,
        codevector_dim: int = 768,
        projection_dim: int = 768,
        negatives: int = 100,
        similarity_temperature: float = 0.1,
        diversity_weight: float = 0.1,
        feature_penalty: float = 0.0,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.negatives, self.similarity_temperature = negatives, similarity_temperature
        self.diversity_weight, self.feature_penalty_weight = diversity_weight, feature_penalty
        self.dropout_features = torch.nn.Dropout(feature_dropout)
        self.quantizer = GumbelQuantizer(width, groups, entries, codevector_dim)
        self.project_q = torch.nn.Linear(codevector_dim, projection_dim)
        self.project_hid = torch.nn.Linear(hidden_size, projection_dim)

    def forward(
        self,
        hidden: Tensor,
        features: Tensor,
        mask: Tensor,
        temperature: float = 1.0,
        feature_energy: Tensor | None = None,
        draws: Draws | None = None,
    ) -> ContrastiveOutput:
        """Compute the loss of a batch.

        Args:
            hidden: The encoder's output, whose input was masked, float, (B, T, hidden_size).
            features: Normalised output of the convolutions, not masked, float, (B, T, width).
            mask: True where masked, bool, (B, T). A row has none or at least two.
            temperature: Temperature of the Gumbel softmax.
            feature_energy: Mean square of the convolutions' output, scalar; `None` without the penalty.
            draws: Random numbers to use; `None` draws them.
        """
        draws = draws or Draws()
        counts = mask.sum(dim=1)
        quantized = self.quantizer(self.dropout_features(features[mask]), temperature, draws.noise)
        targets = self.project_q(quantized.vectors.to(self.project_q.weight.dtype))
        predictions = self.project_hid(hidden[mask])
        negatives = draws.negatives if draws.negatives is not None else sample_negatives(counts, self.negatives)
        with torch.autocast(hidden.device.type, enabled=False):
            cosines, is_target = compare_frames(
                predictions.float(), targets.float(), quantized.codes, counts, negatives
            )
            logits = (cosines / self.similarity_temperature).masked_fill(is_target, -torch.inf)
            contrastive = functional.cross_entropy(
                logits, logits.new_zeros(len(logits), dtype=torch.int64), reduction="sum"
            )
            perplexity = measure_perplexity(quantized.probabilities)
            size = self.quantizer.groups * self.quantizer.entries
            masked = counts.sum()
            diversity = (size - perplexity.sum()) / size * masked
            penalty = logits.new_zeros(()) if feature_energy is None else feature_energy.float() * masked
            loss = contrastive + self.diversity_weight * diversity + self.feature_penalty_weight * penalty
        with torch.no_grad():
            best = logits[:, 1:].max(dim=1).values if len(logits) else logits[:, 0]
            count = masked.clamp(min=1)
            return ContrastiveOutput(
                loss,
                contrastive.detach(),
                diversity.detach(),
                penalty.detach(),
                masked,
                ((logits[:, 0] > best) & best.isfinite()).sum(),  # all negatives alike is no success
                perplexity.detach(),
                measure_perplexity(quantized.usage),
                cosines[:, 0].sum() / count,
                cosines[:, 1:].sum() / (count * self.negatives),
            )


def sample_negatives(counts: Tensor, number: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw for each masked frame other masked frames of its utterance, uniformly and with replacement.

    Args:
        counts: Masked frames of each utterance, int64, (B,), none of them 1.
        number: Negatives for each frame.
        generator: Random generator on the device of `counts`; `None`: that device's default one.

    Returns:
        Positions among the masked frames of the utterance, from 0, int64, (counts.sum(), number).

    Source: wav2vec 2.0 (Baevski et al., 2020), section 3.2; transformers' `_sample_negative_indices`.
    """
    others = (counts - 1).repeat_interleave(counts)[:, None]
    lot = torch.rand(len(others), number, generator=generator, device=counts.device, dtype=torch.float64)
    drawn = (lot * others).long().minimum(others - 1)
    return drawn + (drawn >= place_in_utterance(counts)[:, None])


def place_in_utterance(counts: Tensor) -> Tensor:
    """Number the packed frames of each utterance from 0.

    Args:
        counts: Frames of each utterance, int64, (B,).

    Returns:
        int64, (counts.sum(),).
    """
    starts = counts.cumsum(0) - counts
    return torch.arange(int(counts.sum()), device=counts.device) - starts.repeat_interleave(counts)


def compare_frames(
    predictions: Tensor, targets: Tensor, codes: Tensor, counts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare each prediction with its target and its negatives.

    Args:
        predictions: Float, (N, P), the utterances' masked frames one after the other.
        targets: Float, (N, P).
        codes: Codebook entries of each target, int64, (N, groups).
        counts: Frames of each utterance, int64, (B,).
        negatives: See `sample_negatives`, int64, (N, K).

    Returns:
        Cosines with the target and with each negative, (N, 1 + K); and True for a negative with the target's own codes,
        which is no wrong answer, bool, (N, 1 + K).
    """
    place = place_in_utterance(counts)
    choices = torch.cat([place[:, None], negatives], dim=1)
    first = (torch.arange(len(place), device=place.device) - place)[:, None]  # of the frame's utterance
    same = (codes[first + negatives] == codes[:, None]).all(dim=-1)
    is_target = functional.pad(same, (1, 0))  # the target itself is not masked
    if not len(place):
        return predictions.sum(dim=1, keepdim=True) * 0 + targets.sum(dim=1, keepdim=True) * 0, is_target[:, :1]
    sizes = counts.tolist()
    predicted, wanted = (
        pad_sequence(list(functional.normalize(x, dim=-1, eps=COSINE_EPSILON).split(sizes)), batch_first=True)
        for x in (predictions, targets)
    )
    similarity = torch.bmm(predicted, wanted.transpose(1, 2))
    valid = torch.arange(similarity.shape[1], device=place.device) < counts[:, None]
    return similarity[valid].gather(1, choices), is_target

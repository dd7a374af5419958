"""The quantizer of wav2vec 2.0's pre-training: a Gumbel softmax over the entries of several codebooks.

transformers multiplies every frame with every entry and keeps the products, 1 MB for each frame of XLSR-53. Here the
choice is a matrix product, and only the frames that the loss reads are quantized.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Quantized(NamedTuple):
    """Quantized frames.

    Attributes:
        vectors: Code vectors, the groups' parts joined, float, (N, codevector_dim).
        codes: Chosen entry of each group, int64, (N, groups).
        probabilities: Mean over the frames of each entry's probability without noise, float32, (groups, entries).
        usage: Share of the frames that chose each entry, float32, (groups, entries).
    """

    vectors: Tensor
    codes: Tensor
    probabilities: Tensor
    usage: Tensor


class GumbelQuantizer(torch.nn.Module):
    """Replaces each frame by entries of learned codebooks, one of each group.

    Its tensors have transformers' names and shapes.

    Args:
        width: Channels of a frame.
        groups: Codebooks.
        entries: Entries of each codebook.
        codevector_dim: Width of the joined code vectors, a multiple of `groups`.

    Raises:
        ValueError: `codevector_dim` is not a multiple of `groups`.

    Source: wav2vec 2.0 (Baevski et al., 2020), section 2; transformers' `Wav2Vec2GumbelVectorQuantizer`.
    """

    def __init__(self, width: int, groups: int, entries: int, codevector_dim: int) -> None:
        super().__init__()
        if codevector_dim % groups:
            raise ValueError(
                f"model.objective.codevector_dim={codevector_dim}: expected a multiple of the {groups} groups; "
                "change it or model.objective.groups"
            )
        self.groups, self.entries = groups, entries
        self.codevectors = torch.nn.Parameter(torch.rand(1, groups * entries, codevector_dim // groups))
        self.weight_proj = torch.nn.Linear(width, groups * entries)
        torch.nn.init.normal_(self.weight_proj.weight)
        torch.nn.init.zeros_(self.weight_proj.bias)

    def forward(self, frames: Tensor, temperature: float, noise: Tensor | None = None) -> Quantized:
        """Quantize frames; in training the choice is random, and its gradient is that of the softmax.

        Args:
            frames: Float, (N, width).
            temperature: Temperature of the softmax, above 0; the lower, the nearer its gradient is to that of a choice.
            noise: Gumbel noise to add, float32, (N, groups, entries); `None` draws it.
        """
        scores = self.weight_proj(frames).view(-1, self.groups, self.entries).float()
        soft = scores.softmax(dim=-1)
        if self.training:
            noise = draw_gumbel_noise(scores) if noise is None else noise
            weights = ((scores + noise) / temperature).softmax(dim=-1)
            codes = weights.argmax(dim=-1)
            hard = functional.one_hot(codes, self.entries).float()
            choice = hard + (weights - weights.detach())  # in this order the value is exactly that of `hard`
        else:
            codes = scores.argmax(dim=-1)
            choice = hard = functional.one_hot(codes, self.entries).float()
        books = self.codevectors.view(self.groups, self.entries, -1)
        vectors = torch.bmm(choice.to(books.dtype).transpose(0, 1), books).transpose(0, 1).flatten(1)
        count = max(len(frames), 1)
        return Quantized(vectors, codes, soft.sum(dim=0) / count, hard.sum(dim=0) / count)


def draw_gumbel_noise(like: Tensor) -> Tensor:
    """Draw Gumbel noise in the shape of a tensor."""
    return -torch.empty_like(like).exponential_().log()


def measure_perplexity(shares: Tensor) -> Tensor:
    """Return how many entries of each codebook are in use: the exponential of the entropy, from 1 to `entries`.

    Args:
        shares: Shares that add up to 1, float, (groups, entries).

    Returns:
        Float, (groups,).
    """
    return torch.special.entr(shares).sum(dim=-1).exp()

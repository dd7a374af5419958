"""Masks over spans of frames and of channels, wav2vec 2.0's regularisation in fine-tuning, drawn on the device.

transformers draws them with numpy: in every step the lengths go to the host and the masks back, and a GPU waits for
both. Here a mask is a few tensor operations whose shapes do not depend on a value.
"""

from typing import TYPE_CHECKING

import torch

MIN_TIME_SPANS = 2
"""Least spans in an utterance that has room for them, in fairseq and in transformers."""


def sample_span_mask(
    lengths: torch.Tensor,
    size: int,
    share: float,
    span: int,
    min_spans: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Draw spans that may overlap, each row's uniformly among its own positions.

    A row gets `share * length / span` spans, a fraction rounded up with its own probability, and no start twice.
    Differences from transformers' `_compute_mask_indices`, all intended:

    - The fraction is rounded for each row separately (as in fairseq), not with one random number for the whole batch.
    - The spans of a row leave at least one position free. transformers masks all of an utterance of `span + 1` frames.
    - The number of spans that fit follows from the row's own length, not the batch's: the distribution of an
      utterance's mask is the same in any batch.
    - A row without spans stays unmasked; transformers then masks the last position of the batch, which is padding.

    Args:
        lengths: Valid positions of each row, integer, (B,); spans lie within them.
        size: Positions of the longest row, padding included.
        share: Share of the positions that spans would cover if none overlapped, ≥ 0.
        span: Positions in a span, ≥ 1.
        min_spans: Least spans in a row that has room for them.
        generator: Random generator on the device of `lengths`; `None`: that device's default one.

    Returns:
        True where masked, bool, (B, size), on the device of `lengths`.

    Source: wav2vec 2.0 (Baevski et al., 2020), sections 3.1 and 4.3; transformers' `_compute_mask_indices`.
    """
    rows, device = lengths.shape[0], lengths.device
    most = min(max(int(share * size / span) + 1, min_spans), (size - 1) // span)
    if most <= 0:
        return torch.zeros(rows, size, dtype=torch.bool, device=device)
    rounding = torch.rand(rows, generator=generator, device=device)
    spans = (lengths * (share / span) + rounding).long().clamp(min=min_spans).minimum((lengths - 1) // span)
    lot = torch.rand(rows, size, generator=generator, device=device)
    reach = torch.arange(size, device=device) + span  # where a span ends that starts here
    starts = lot.masked_fill(reach > lengths[:, None], -1.0).topk(most, dim=1).indices
    drawn = torch.arange(most, device=device) < spans[:, None]
    began = torch.zeros(rows, size, dtype=torch.int32, device=device).scatter(1, starts, drawn.int()).cumsum(1)
    ended = torch.nn.functional.pad(began, (span, 0))[:, :size]
    return began > ended


if TYPE_CHECKING:
    from transformers import PreTrainedModel as _Network
else:
    _Network = object


class SpanMasking(_Network):
    """A transformers network of the wav2vec 2.0 kind with its masks drawn here: `class X(SpanMasking, Wav2Vec2Model)`.

    The amount of masking comes from the network's configuration (`mask_time_prob`, …). A masked frame becomes the
    network's vector `masked_spec_embed`, which a pretrained checkpoint has learned.
    """

    masked_spec_embed: torch.nn.Parameter

    def sample_time_mask(self, lengths: torch.Tensor, frames: int) -> torch.Tensor | None:
        """Draw the frames to mask in this step: the network's argument `mask_time_indices`.

        Args:
            lengths: Valid frames of each utterance, int64, (B,).
            frames: Frames of the batch.

        Returns:
            True where masked, bool, (B, frames); `None` without masking, such as outside training.
        """
        if not self.training or self.config.mask_time_prob <= 0:
            return None
        return sample_span_mask(
            lengths, frames, self.config.mask_time_prob, self.config.mask_time_length, MIN_TIME_SPANS
        )

    def _mask_hidden_states(
        self,
        hidden_states: torch.Tensor,
        mask_time_indices: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Overrides transformers' method: selects with fixed shapes; indexing with a mask would wait for the GPU."""
        if mask_time_indices is not None:
            vector = self.masked_spec_embed.to(hidden_states.dtype)
            hidden_states = torch.where(mask_time_indices[..., None], vector, hidden_states)
        if self.training and self.config.mask_feature_prob > 0:
            rows, _, width = hidden_states.shape
            widths = torch.full((rows,), width, device=hidden_states.device)
            channels = sample_span_mask(widths, width, self.config.mask_feature_prob, self.config.mask_feature_length)
            hidden_states = hidden_states.masked_fill(channels[:, None], 0)
        return hidden_states

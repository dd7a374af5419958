"""Decoding of CTC log-probabilities with NeMo's own decoders, made independent of the batch that an utterance is in."""

import torch

PADDED_LOG_PROB = -1e4  # natural log; "impossible" for a beam search, and still a finite float16


def mask_log_probs(log_probs: torch.Tensor, lengths: torch.Tensor, blank_id: int) -> torch.Tensor:
    """Make every frame beyond an utterance's length a certain blank.

    NeMo's `beam_batch` goes on extending hypotheses on padded frames, so that without this mask an utterance's text
    depends on the longest utterance beside it. A certain blank extends nothing and adds 0 to a score.

    Args:
        log_probs: (B, T, V+1) float, natural log-probabilities.
        lengths: (B,) integer, valid frames of each utterance, 0 … T.
        blank_id: Index of the blank in the last dimension.

    Returns:
        (B, T, V+1), same dtype: blank 0 and every other label `PADDED_LOG_PROB` where `t >= lengths[b]`, unchanged
        elsewhere. The input is not written to.
    """
    frames = torch.arange(log_probs.shape[1], device=log_probs.device)
    is_padding = frames[None, :] >= lengths.to(log_probs.device)[:, None]
    certain_blank = torch.full_like(log_probs[:1, :1], PADDED_LOG_PROB)
    certain_blank[..., blank_id] = 0.0
    return torch.where(is_padding[..., None], certain_blank, log_probs)

import math

import numpy as np
import pytest
import torch
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from nemo_models.layers.span_masking import sample_span_mask
from nemo_models.xlsr_encoder import XLSREncoder
from topology import architecture

DRAWS = 4000


def spans_of(mask: torch.Tensor) -> torch.Tensor:
    """Masked runs of each row, (B,)."""
    return (mask & ~torch.nn.functional.pad(mask, (1, 0))[:, :-1]).sum(1)


def reference_masks(lengths: list[int], size: int, share: float, span: int, min_spans: int, draws: int) -> torch.Tensor:
    """transformers' masks, (draws, B, size)."""
    np.random.seed(0)
    valid = (torch.arange(size) < torch.tensor(lengths)[:, None]).long()
    masks = [_compute_mask_indices((len(lengths), size), share, span, valid, min_spans) for _ in range(draws)]
    return torch.from_numpy(np.stack(masks))


def our_masks(lengths: list[int], size: int, share: float, span: int, min_spans: int, draws: int) -> torch.Tensor:
    """Ours, all draws in one batch, (draws, B, size)."""
    rows = torch.tensor(lengths).repeat(draws)
    generator = torch.Generator().manual_seed(0)
    return sample_span_mask(rows, size, share, span, min_spans, generator).view(draws, len(lengths), size)


@pytest.mark.parametrize(
    ("share", "span", "min_spans", "lengths"),
    [(0.5, 10, 2, [499, 250, 77]), (0.75, 10, 2, [499, 120]), (0.05, 10, 2, [300, 61]), (0.25, 64, 0, [1024, 1024])],
)
def test_distribution_is_that_of_transformers(share: float, span: int, min_spans: int, lengths: list[int]):
    size = max(lengths)
    ours = our_masks(lengths, size, share, span, min_spans, DRAWS)
    theirs = reference_masks(lengths, size, share, span, min_spans, DRAWS // 4)
    for row, length in enumerate(lengths):
        for measure in (lambda masks: masks.float().mean(1), lambda masks: spans_of(masks).float()):
            a, b = measure(ours[:, row, :length]), measure(theirs[:, row, :length])
            error = math.sqrt(a.var() / len(a) + b.var() / len(b))
            assert abs(a.mean() - b.mean()) < 4.5 * error  # chance of a false alarm: 1e-5
            assert 0.8 < (a.std() + 1e-6) / (b.std() + 1e-6) < 1.25  # 10 standard errors with 1000 and 4000 draws


def test_starts_are_uniform_and_end_with_the_utterance():
    lengths, span = [40, 25], 10
    mask = sample_span_mask(
        torch.tensor(lengths).repeat(DRAWS), 40, span / 40, span, generator=torch.Generator().manual_seed(1)
    ).view(DRAWS, 2, 40)
    for row, length in enumerate(lengths):
        single = mask[:, row][mask[:, row].sum(1) == span]  # one span, or none in the shorter
        starts = torch.bincount(single.int().argmax(1), minlength=40)[: length - span + 1].float()
        expected = starts.sum() / len(starts)
        chi_square = ((starts - expected) ** 2 / expected).sum() / (len(starts) - 1)
        assert chi_square < 2.2  # 1 on average; with 15 or more degrees of freedom above 2.2 once in 200 at most
        assert (starts > 0).all()
        assert starts.sum() == len(single)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.75, 1.0, 3.0])
def test_padding_is_never_masked_nor_a_whole_utterance(share: float):
    lengths = [0, 1, 9, 10, 11, 15, 20, 21, 50, 200]
    mask = our_masks(lengths, 200, share, 10, 2, 500)
    for row, length in enumerate(lengths):
        assert not mask[:, row, length:].any()
        if length <= 10:
            assert not mask[:, row].any()  # no room for a span beside a free frame
        else:
            assert mask[:, row].any(dim=1).all()  # the least number of spans holds
            assert not mask[:, row, :length].all(dim=1).any()


def test_an_utterance_is_masked_alike_in_any_batch():
    alone = our_masks([60], 60, 0.75, 10, 2, DRAWS).float().mean()
    beside = our_masks([60, 500], 500, 0.75, 10, 2, DRAWS)[:, 0, :60].float().mean()
    assert alone == pytest.approx(float(beside), abs=0.01)  # standard error 0.0015


def test_same_generator_same_mask_and_rows_differ():
    lengths = torch.tensor([200, 200])
    draws = [sample_span_mask(lengths, 200, 0.5, 10, 2, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws)
    assert not torch.equal(draws[0][0], draws[0][1])


def test_compiles_whole_and_asks_for_no_value():
    """One graph without a break: nothing in it waits for what a tensor holds."""
    compiled = torch.compile(sample_span_mask, fullgraph=True, backend="eager")
    mask = compiled(torch.tensor([300, 120]), 300, 0.5, 10, 2)
    assert mask.any(dim=1).all()
    assert not mask[1, 120:].any()
    meta = sample_span_mask(
        torch.empty(2, dtype=torch.long, device="meta"), 300, 0.5, 10, 2
    )  # has no values to ask for
    assert meta.shape == (2, 300)


def test_masked_frames_are_the_learned_vector_and_masked_channels_zero():
    torch.manual_seed(0)
    encoder = XLSREncoder(
        architecture(), mask_time_prob=0.5, mask_time_length=5, mask_feature_prob=0.3, mask_feature_length=8
    ).train()
    network = encoder.network
    network.masked_spec_embed.data.fill_(3.0)
    seen: list[torch.Tensor] = []
    network.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    lengths = torch.tensor([32000, 16000])
    output, frames = encoder(audio_signal=torch.randn(2, 32000), length=lengths)
    masked = (seen[0] == 3.0).any(dim=2)
    zeroed = (seen[0] == 0.0).all(dim=1)
    for row in range(2):
        assert zeroed[row].any() and not zeroed[row].all()
        assert (seen[0][row][masked[row]][:, ~zeroed[row]] == 3.0).all()
        assert masked[row, : frames[row]].any() and not masked[row, : frames[row]].all()
    assert not masked[1, frames[1] :].any()
    output.sum().backward()
    assert network.masked_spec_embed.grad.abs().sum() > 0  # the vector still learns

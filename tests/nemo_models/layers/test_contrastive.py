"""Negatives, the choice of code vectors, and the loss, against plain computations."""

import math

import numpy as np
import pytest
import torch
from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

from nemo_models.layers.contrastive import ContrastiveObjective, Draws, compare_frames, sample_negatives
from nemo_models.layers.quantizer import GumbelQuantizer, draw_gumbel_noise, measure_perplexity

WIDTH, HIDDEN = 6, 5


def test_negatives_are_uniform_over_the_other_masked_frames_as_in_transformers():
    counts = torch.tensor([7, 0, 3])
    draws = 6000
    found = sample_negatives(counts, draws, torch.Generator().manual_seed(0))
    assert found.shape == (10, draws)
    mask = np.zeros((3, 9), dtype=bool)
    mask[0, [0, 2, 3, 4, 6, 7, 8]] = mask[2, [1, 4, 5]] = True
    np.random.seed(0)
    theirs = _sample_negative_indices(mask.shape, draws, mask)[mask]
    for number, size in enumerate([7] * 7 + [3] * 3):
        own, first = (number, 0) if number < 7 else (number - 7, 2 * 9)
        tally = torch.bincount(found[number], minlength=size)
        positions = np.flatnonzero(mask[0 if number < 7 else 2])
        reference = [int((theirs[number] - first == position).sum()) for position in positions]
        for count in (tally, torch.tensor(reference)):
            assert len(count) == size and int(count[own]) == 0
            others = torch.cat([count[:own], count[own + 1 :]]).float()
            expected = draws / (size - 1)
            chi_square = float(((others - expected) ** 2 / expected).sum())
            assert chi_square < size - 2 + 6 * math.sqrt(2 * (size - 1)) + 6  # chance of a false alarm: below 1e-5


def test_quantizer_chooses_by_noise_and_has_the_gradient_of_the_softmax():
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(WIDTH, groups=2, entries=4, codevector_dim=6)
    frames = torch.randn(50, WIDTH, requires_grad=True)
    noise = draw_gumbel_noise(torch.empty(50, 2, 4))
    found = quantizer(frames, 0.5, noise)
    scores = quantizer.weight_proj(frames).view(50, 2, 4)
    soft = ((scores + noise) / 0.5).softmax(-1)
    assert torch.equal(found.codes, soft.argmax(-1))
    books = quantizer.codevectors.view(2, 4, 3)
    rows = [torch.cat([books[group, found.codes[n, group]] for group in range(2)]) for n in range(50)]
    assert torch.equal(found.vectors, torch.stack(rows))  # exactly entries of the codebooks
    target = torch.randn(50, 6)
    expected = torch.autograd.grad((torch.einsum("ngv,gvd->ngd", soft, books).flatten(1) * target).sum(), frames)[0]
    gradient = torch.autograd.grad((found.vectors * target).sum(), frames)[0]
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)
    quantizer.eval()
    assert torch.equal(quantizer(frames, 0.5).codes, scores.argmax(-1))


def test_gumbel_choice_follows_the_softmax_of_the_scores():
    quantizer = GumbelQuantizer(1, groups=1, entries=3, codevector_dim=1)
    with torch.no_grad():
        quantizer.weight_proj.weight.zero_()
        quantizer.weight_proj.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    torch.manual_seed(0)
    count = 20000
    usage = quantizer(torch.zeros(count, 1), 2.0).usage[0]
    expected = torch.tensor([0.0, 1.0, -1.0]).softmax(0)
    assert (usage - expected).abs().max() < 5 * 0.5 / math.sqrt(count)  # 5 standard errors


def test_perplexity_counts_the_entries_in_use():
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    assert measure_perplexity(shares).tolist() == pytest.approx([4.0, 1.0, 2.0])


def test_loss_is_that_of_a_plain_loop_also_where_negatives_have_the_targets_codes():
    """Small codebooks: many negatives are the target itself, and leave the sum."""
    torch.manual_seed(1)
    objective = ContrastiveObjective(
        WIDTH, HIDDEN, groups=2, entries=2, codevector_dim=4, projection_dim=3, negatives=5, feature_penalty=0.3
    )
    hidden, features = torch.randn(3, 8, HIDDEN), torch.randn(3, 8, WIDTH)
    mask = torch.zeros(3, 8, dtype=torch.bool)
    mask[0, 1:6] = mask[2, 2:8] = True
    counts = mask.sum(1)
    draws = Draws(draw_gumbel_noise(torch.empty(11, 2, 2)), sample_negatives(counts, 5))
    found = objective(hidden, features, mask, 0.9, feature_energy=torch.tensor(2.0), draws=draws)
    quantized = objective.quantizer(features[mask], 0.9, draws.noise)
    targets, predictions = objective.project_q(quantized.vectors), objective.project_hid(hidden[mask])
    first = [0] * 5 + [5] * 6
    total, left_out = 0.0, 0
    for n in range(11):
        others = [first[n] + int(place) for place in draws.negatives[n]]
        kept = [other for other in others if not torch.equal(quantized.codes[other], quantized.codes[n])]
        left_out += len(others) - len(kept)
        cosines = torch.stack([torch.cosine_similarity(predictions[n], targets[m], dim=0) for m in [n, *kept]])
        total += (-(cosines / 0.1).log_softmax(0)[0]).item()
    assert left_out > 5
    assert float(found.contrastive) == pytest.approx(total, rel=1e-5)
    assert float(found.feature_penalty) == pytest.approx(2.0 * 11)
    assert float(found.loss) == pytest.approx(total + 0.1 * float(found.diversity) + 0.3 * 22, rel=1e-5)


def test_cosines_do_not_depend_on_the_other_utterances():
    torch.manual_seed(0)
    counts = torch.tensor([4, 6])
    predictions, targets, codes = torch.randn(10, 3), torch.randn(10, 3), torch.arange(20).view(10, 2)
    negatives = sample_negatives(counts, 7)
    together, _ = compare_frames(predictions, targets, codes, counts, negatives)
    alone, _ = compare_frames(predictions[4:], targets[4:], codes[4:], counts[1:], negatives[4:])
    torch.testing.assert_close(together[4:], alone, rtol=1e-6, atol=1e-6)


def test_a_codebook_of_one_entry_in_use_is_no_success():
    """All targets alike: nothing can be told apart, so no frame counts as correct."""
    torch.manual_seed(0)
    objective = ContrastiveObjective(
        WIDTH, HIDDEN, groups=1, entries=2, codevector_dim=2, projection_dim=3, negatives=4
    )
    with torch.no_grad():
        objective.quantizer.weight_proj.bias.copy_(torch.tensor([1e4, 0.0]))
    output = objective(torch.randn(1, 6, HIDDEN), torch.randn(1, 6, WIDTH), torch.ones(1, 6, dtype=torch.bool))
    assert (int(output.correct), int(output.masked)) == (0, 6)
    assert output.code_perplexity.tolist() == [1.0]

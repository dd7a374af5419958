"""The losses against plain references, written as loops."""

import math

import pytest
import torch

from nemo_models.distillation.losses import (
    divergence_loss,
    expand_top,
    frame_weights,
    hidden_loss,
    keep_top,
    match_frames,
)

BLANK = 3


def random_log_probs(seed: int, frames: int = 7) -> torch.Tensor:
    logits = torch.randn(2, frames, BLANK + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (3 * logits).log_softmax(-1)


def test_frames_near_a_label_count_fully_and_padding_not_at_all():
    best = torch.tensor([[BLANK, BLANK, BLANK, 0, BLANK, BLANK, BLANK], [BLANK, 1, BLANK, BLANK, 0, 0, 0]])
    log_probs = torch.nn.functional.one_hot(best, BLANK + 1).double().log_softmax(-1)
    weights = frame_weights(log_probs, torch.tensor([7, 4]), blank_weight=0.25, neighbours=1)
    assert weights.tolist() == [[0.25, 0.25, 1, 1, 1, 0.25, 0.25], [1, 1, 1, 0.25, 0, 0, 0]]


def test_the_divergence_equals_torchs_and_a_loops():
    student, teacher = random_log_probs(0).requires_grad_(), random_log_probs(1)
    weights = torch.rand(2, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    loss = divergence_loss(student, teacher, weights)
    total = 0.0
    for b in range(2):
        for t in range(7):
            p, q = teacher[b, t].exp(), student[b, t].detach().exp()
            share = float(weights[b, t] / weights[b].sum()) / 2
            total += share * sum(float(p[c] * (p[c] / q[c]).log()) for c in range(BLANK + 1))
    assert float(loss) == pytest.approx(total, rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, student)
    expected = -teacher.exp() * (weights / weights.sum(dim=1, keepdim=True) / 2)[..., None]
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)  # float64: rounding alone


def test_equal_outputs_have_no_loss():
    log_probs, lengths = random_log_probs(0), torch.tensor([7, 5])
    assert float(divergence_loss(log_probs, log_probs, torch.ones(2, 7))) == 0
    assert float(hidden_loss(log_probs, log_probs, lengths)) == 0


def test_padding_changes_no_loss():
    student, teacher, lengths = random_log_probs(0), random_log_probs(1), torch.tensor([7, 5])
    damaged = student.clone()
    damaged[1, 5:] = 1e3
    weights = frame_weights(teacher, lengths, 0.5, 1)
    assert divergence_loss(damaged, teacher, weights) == divergence_loss(student, teacher, weights)
    assert hidden_loss(damaged, teacher, lengths) == hidden_loss(student, teacher, lengths)


def test_hidden_loss_is_relative_to_the_teachers_power():
    teacher, lengths = random_log_probs(1), torch.tensor([7, 5])
    assert float(hidden_loss(torch.zeros_like(teacher), teacher, lengths)) == pytest.approx(1)
    assert float(hidden_loss(2 * teacher, 4 * teacher, lengths)) == pytest.approx(0.25)


def test_all_labels_kept_are_the_same_and_fewer_still_sum_to_one():
    log_probs = random_log_probs(0)
    everything = expand_top(*keep_top(log_probs, None), BLANK + 1)
    torch.testing.assert_close(everything, log_probs, rtol=0, atol=1e-12)  # float64: one more log-softmax
    two = expand_top(*keep_top(log_probs, 2), BLANK + 1)
    torch.testing.assert_close(two.exp().sum(-1), torch.ones(2, 7, dtype=torch.float64))
    assert (two.isneginf().sum(-1) == BLANK + 1 - 2).all()
    assert math.isfinite(float(divergence_loss(log_probs, two, torch.ones(2, 7))))


def test_a_frame_of_larger_steps_is_blank_only_if_all_frames_that_it_covers_are():
    teacher, lengths = random_log_probs(0), torch.tensor([7, 4])
    matched = match_frames(teacher, lengths, student_frames=4, factor=2)
    for b, t, covered in ((0, 1, [2, 3]), (1, 0, [0, 1]), (0, 3, [6])):  # the last frame covers one
        p = [teacher[b, frame].exp().tolist() for frame in covered]
        blank = math.prod(frame[BLANK] for frame in p)
        sums = [sum(frame[label] for frame in p) for label in range(BLANK)]
        expected = [(1 - blank) * each / sum(sums) for each in sums] + [blank]
        assert matched[b, t].exp().tolist() == pytest.approx(expected, rel=1e-12)
    assert matched[1, 2].exp().tolist() == [0, 0, 0, 1]  # beyond the end
    assert torch.equal(match_frames(teacher, lengths, 6, 1), teacher[:, :6])


def test_a_label_in_one_of_two_frames_counts_as_a_label():
    best = torch.tensor([[BLANK, 1, BLANK, BLANK, 0, BLANK]])
    log_probs = (6 * torch.nn.functional.one_hot(best, BLANK + 1).double()).log_softmax(-1)
    matched = match_frames(log_probs, torch.tensor([6]), student_frames=3, factor=2)
    assert matched.argmax(-1).tolist() == [[1, BLANK, 0]]
    assert frame_weights(matched, torch.tensor([3]), 0.1, 0).tolist() == [[1, pytest.approx(0.1), 1]]


def test_the_loss_of_a_batch_is_the_mean_over_its_utterances():
    student, teacher, lengths = random_log_probs(0), random_log_probs(1), torch.tensor([7, 5])
    weights = frame_weights(teacher, lengths, 0.5, 1)
    for loss, last in ((divergence_loss, weights), (hidden_loss, lengths)):
        alone = [float(loss(student[n : n + 1], teacher[n : n + 1], last[n : n + 1])) for n in (0, 1)]
        assert float(loss(student, teacher, last)) == pytest.approx(sum(alone) / 2, rel=1e-6)  # sums in float32

import math

import pytest
import torch

from nemo_models.training.batch_measures import find_unalignable, measure_labels


def test_blank_share_and_entropy_are_those_of_valid_frames():
    log_probs = torch.full((2, 3, 3), -20.0)  # two labels and the blank
    for utterance, frame, best in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 2)):
        log_probs[utterance, frame, best] = 0.0
    log_probs[1, 1:, 0] = 0.0  # padding
    measured = measure_labels(log_probs, torch.tensor([3, 1]))
    assert measured["blank_share"] == 2 / 4
    assert measured["label_entropy"].item() == pytest.approx(math.log(2), abs=1e-6)  # rest of 4e-9 a frame
    always_one = measure_labels(log_probs[:, :1], torch.tensor([1, 0]))
    assert always_one["label_entropy"].item() == pytest.approx(0.0, abs=1e-6)


def test_unalignable_utterances_are_those_whose_loss_zero_infinity_hides():
    targets = torch.tensor([[0, 0, 1, 9], [0, 1, 2, 3], [0, 0, 0, 0], [1, 1, 1, 1]])
    lengths = torch.tensor([3, 4, 1, 0])
    for frames in range(1, 6):
        log_probs = torch.randn(frames, 4, 11).log_softmax(-1)
        given = torch.full((4,), frames)
        loss = torch.nn.functional.ctc_loss(log_probs, targets, given, lengths, blank=10, reduction="none")
        assert find_unalignable(targets, lengths, given).tolist() == torch.isinf(loss).tolist()

"""Crops of a batch without transcripts."""

import torch

from nemo_models.training_data.unlabelled import crop_batch


def test_rows_are_cut_to_the_shortest_at_uniform_places():
    lengths = torch.tensor([5, 8, 6])
    audio = torch.arange(1.0, 9.0).repeat(3, 1).masked_fill(torch.arange(8) >= lengths[:, None], 0.0)
    starts: list[set[float]] = [set(), set(), set()]
    for _ in range(300):
        cropped, cut = crop_batch(audio, lengths)
        assert cropped.shape == (3, 5) and cut.tolist() == [5, 5, 5]
        assert torch.equal(cropped - cropped[:, :1], torch.arange(5.0).repeat(3, 1))  # neighbours stay neighbours
        for row, start in enumerate(cropped[:, 0].tolist()):
            starts[row].add(start)
    assert starts == [{1.0}, {1.0, 2.0, 3.0, 4.0}, {1.0, 2.0}]  # no padding, every place


def test_crops_have_a_limit():
    cropped, cut = crop_batch(torch.ones(2, 9), torch.tensor([9, 7]), max_samples=4)
    assert cropped.shape == (2, 4) and cut.tolist() == [4, 4]

import pytest
import torch

from data_prep.conv_frames import CONV_LAYERS, count_conv_frames, count_ctc_steps, measure_receptive_field


def test_frames_are_those_of_real_convolutions():
    layers = torch.nn.Sequential(*(torch.nn.Conv1d(1, 1, kernel, stride) for kernel, stride in CONV_LAYERS))
    for samples in [400, 401, 719, 720, 721, 1039, 1040, 15999, 16000, 16001, 50_003, 160_000]:
        assert count_conv_frames(samples) == layers(torch.zeros(1, 1, samples)).shape[2], samples
    for samples in (0, 1, 399):
        assert count_conv_frames(samples) == 0


@pytest.mark.parametrize("text", ["क", "कक", "कख", "ककक", "कखख कक", "किताब"])
def test_the_ctc_loss_is_finite_from_the_counted_steps_on(text: str):
    symbols = sorted(set(text))
    labels = torch.tensor([[1 + symbols.index(char) for char in text]])
    steps = count_ctc_steps(text)
    for frames, finite in ((steps, True), (steps - 1, False)):
        logits = torch.zeros(max(frames, 1), 1, len(symbols) + 1).log_softmax(-1)
        lengths = torch.tensor([frames]), torch.tensor([len(text)])
        if frames:
            assert (
                torch.isfinite(torch.nn.functional.ctc_loss(logits, labels, *lengths, reduction="none")).item()
                == finite
            )


def test_a_tensor_of_lengths_gives_the_counts_of_each():
    lengths = torch.tensor([[0, 399, 400], [16_000, 16_001, 160_000]])
    counts = [[count_conv_frames(int(length)) for length in row] for row in lengths]
    assert count_conv_frames(lengths).tolist() == counts


def test_the_receptive_field_is_the_shortest_audio_with_a_frame():
    field = measure_receptive_field()
    assert (field, count_conv_frames(field), count_conv_frames(field - 1)) == (400, 1, 0)

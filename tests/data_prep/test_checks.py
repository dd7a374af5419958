import pytest
import torch

from data_prep.alphabet import load_alphabet
from data_prep.checks import (
    CONV_LAYERS,
    ERROR_REASONS,
    POLICY_REASONS,
    check_alignment,
    check_duration,
    check_text,
    count_ctc_steps,
    count_encoder_frames,
)


def test_frames_are_those_of_real_convolutions():
    layers = torch.nn.Sequential(*(torch.nn.Conv1d(1, 1, kernel, stride) for kernel, stride in CONV_LAYERS))
    for samples in [400, 401, 719, 720, 721, 1039, 1040, 15999, 16000, 16001, 50_003, 160_000]:
        assert count_encoder_frames(samples) == layers(torch.zeros(1, 1, samples)).shape[2], samples
    for samples in (0, 1, 399):
        assert count_encoder_frames(samples) == 0


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


def test_alignment_is_refused_by_one_frame():
    assert check_alignment(400 + 320, "कख") is None
    assert check_alignment(400 + 319, "कख") == (
        "ctc_infeasible",
        "1 encoder frames, 2 needed by 2 labels and their repeats",
    )
    assert check_alignment(400 + 320, "कक")[0] == "ctc_infeasible"


def test_durations_have_inclusive_limits():
    assert check_duration(8000, 0.5, 30.0) is None and check_duration(480_000, 0.5, 30.0) is None
    assert check_duration(7999, 0.5, 30.0) == ("too_short", "0.500 s, min_duration is 0.5 s")
    assert check_duration(480_001, 0.5, 30.0)[0] == "too_long"
    assert check_duration(0, 0.0, 30.0)[0] == "empty_audio"


def test_texts():
    assert check_text("नमस्ते दुनिया", load_alphabet()) is None
    assert check_text("", load_alphabet())[0] == "empty_text"
    assert check_text("१क1", load_alphabet()) == ("outside_alphabet", "U+0967 DEVANAGARI DIGIT ONE, U+0031 DIGIT ONE")
    assert check_text("बंसीे", load_alphabet()) == (
        "malformed_text",
        "U+0947 DEVANAGARI VOWEL SIGN E cannot stand where it does",
    )


def test_a_reason_is_an_error_or_policy_never_both():
    assert not ERROR_REASONS.keys() & POLICY_REASONS.keys()

"""Windows' log-probabilities joined: each frame once, in order, whatever order they come in."""

import numpy as np
import pytest
import torch

from nemo_models.transcription.audio_windows import cut_windows
from nemo_models.transcription.log_prob_joiner import LONGEST_DECODED_FRAMES, LogProbJoiner

RATE, STEP = 1000, 20
VOCABULARY = ["क", " ", "ख"]
BLANK = 3


def one_hot(labels):
    return torch.nn.functional.one_hot(torch.as_tensor(labels), len(VOCABULARY) + 1).float().log().clamp(min=-50)


def join(labels, loudness, order_seed):
    """Cut audio of one frame a label, let an ideal model label each window, join."""
    generator = np.random.default_rng(0)
    samples = (np.repeat(loudness, STEP) * generator.standard_normal(len(labels) * STEP)).astype(np.float32)
    windows = list(cut_windows(iter([samples]), RATE, STEP))
    joiner, segments = LogProbJoiner(VOCABULARY, STEP), []
    for number in np.random.default_rng(order_seed).permutation(len(windows)).tolist():
        assert not joiner.done
        first = windows[number].start // STEP
        segments += joiner.add(windows[number], one_hot(labels[first : first + len(windows[number].samples) // STEP]))
    assert joiner.done
    return windows, segments


@pytest.mark.parametrize("order_seed", range(4))
def test_frames_come_back_in_order_and_once(order_seed):
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 4, 12_000)
    loudness = np.where((np.arange(12_000) // 40) % 29 == 0, 0.001, 0.1)  # a pause of 0.8 s every 23 s
    loudness[5_000:9_000] = 0.1  # and none for 80 s
    windows, segments = join(labels, loudness, order_seed)
    assert any(window.joined for window in windows) and not all(window.joined for window in windows)
    reached = 0
    for segment in segments:
        assert segment.start_frame == reached
        assert 0 < len(segment.log_probs) <= LONGEST_DECODED_FRAMES
        reached += len(segment.log_probs)
    joined = torch.cat([segment.log_probs for segment in segments]).argmax(dim=-1)
    assert joined.tolist() == labels.tolist()


@pytest.mark.parametrize(("gap", "ends_with"), [(1, 1), (BLANK, BLANK), (2, None)])
def test_speech_without_a_pause_is_parted_between_words(gap, ends_with):
    """Ten minutes of one word a second: parts end with a space, else a blank, else where they must."""
    labels = np.zeros(30_000, dtype=int)
    labels[::50] = gap
    _, segments = join(labels, np.full(30_000, 0.1), 0)
    assert len(segments) > 9
    for segment in segments[:-1]:
        assert len(segment.log_probs) > LONGEST_DECODED_FRAMES // 2
        if ends_with is not None:
            assert int(segment.log_probs[-1].argmax()) == ends_with


def test_nothing_old_is_held():
    """Memory of a long input: at no time more than what is not decoded yet, a minute and a window."""
    labels = np.zeros(90_000, dtype=int)
    generator = np.random.default_rng(0)
    samples = 0.1 * generator.standard_normal(len(labels) * STEP).astype(np.float32)
    joiner = LogProbJoiner(VOCABULARY, STEP)
    for window in cut_windows(iter([samples]), RATE, STEP):
        joiner.add(window, one_hot(labels[: len(window.samples) // STEP]))
        assert sum(map(len, joiner._held)) <= LONGEST_DECODED_FRAMES + 1500

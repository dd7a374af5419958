"""Plans of windows: every moment covered once, cuts in pauses, nothing that depends on how the audio was read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_models.transcription.audio_windows import (
    BREATH_S,
    LONG_PAUSE_S,
    OVERLAP_S,
    SHORTEST_WINDOW_S,
    WINDOW_S,
    cut_windows,
    find_pauses,
)

RATE, STEP = 1000, 20  # a slow rate, so that minutes are cheap; 20 ms a frame as in the model

stretches = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0003, 0.01, 0.3]), st.floats(0.05, 40.0)), min_size=1, max_size=12
)


def signal(levels_and_seconds):
    """Noise of given loudnesses, one after another."""
    generator = np.random.default_rng(0)
    parts = [level * generator.standard_normal(round(seconds * RATE)) for level, seconds in levels_and_seconds]
    return np.concatenate(parts).astype(np.float32)


def blocks(samples, size):
    return (samples[start : start + size] for start in range(0, len(samples), size))


def plan(samples, size=10_000, window_s=WINDOW_S):
    return list(cut_windows(blocks(samples, size), RATE, STEP, window_s))


def check_plan(samples, windows, window_s):
    reached = 0
    for number, window in enumerate(windows):
        assert window.start % STEP == 0
        assert len(window.samples) <= window_s * RATE
        assert np.array_equal(window.samples, samples[window.start : window.start + len(window.samples)])
        assert window.start + window.first_frame * STEP == reached, "a gap, or a moment twice"
        assert window.last == (number == len(windows) - 1)
        margin = OVERLAP_S / 2 * RATE
        assert window.first_frame in (0, margin / STEP)
        if window.joined:
            reached = window.start + window.end_frame * STEP
            assert window.start + len(window.samples) - reached == margin, "context after the last frame that counts"
        else:
            assert window.end_frame is None
            reached = window.start + len(window.samples)
        assert reached - window.start - window.first_frame * STEP >= SHORTEST_WINDOW_S * RATE or len(windows) == 1
    assert reached == len(samples)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(stretches, st.sampled_from([12.0, 20.0, WINDOW_S]), st.integers(1, 30_000))
def test_every_moment_is_covered_once(parts, window_s, block_size):
    samples = signal(parts)
    windows = plan(samples, window_s=window_s)
    check_plan(samples, windows, window_s)
    again = plan(samples, block_size, window_s)
    assert [(w.start, len(w.samples), w.first_frame, w.end_frame, w.joined, w.last) for w in again] == [
        (w.start, len(w.samples), w.first_frame, w.end_frame, w.joined, w.last) for w in windows
    ]


def test_what_fits_stays_whole():
    for seconds in (0, 0.01, WINDOW_S):
        samples = signal([(0.1, seconds / 2), (0.0, seconds / 2)])
        (window,) = plan(samples)
        assert np.array_equal(window.samples, samples) and window.last and window.start == 0


def test_long_pauses_part_utterances_and_short_ones_do_not():
    spoken = [3.0, 7.0, 12.0, 2.0, 20.0]
    parts = [part for seconds in spoken for part in ((0.1, seconds), (0.001, 1.0))][:-1]
    parts[2:3] = [(0.1, 3.4), (0.001, LONG_PAUSE_S - 0.2), (0.1, 3.0)]  # a breath within the second utterance
    windows = plan(signal(parts))
    ends = np.cumsum([seconds + 1.0 for seconds in spoken])[:-1] - 0.5
    # 20 ms frames of loudness and the model's steps of 20 ms: each may move a cut by one
    assert np.allclose([window.start / RATE for window in windows[1:]], ends, atol=0.04)
    assert not any(window.joined for window in windows)


def test_longest_short_pause_is_taken_where_no_long_one_comes():
    parts = [(0.1, 18.0), (0.001, 0.22), (0.1, 5.0), (0.001, 0.26), (0.1, 20.0)]
    first, second = plan(signal(parts))
    assert second.start / RATE == pytest.approx(23.35, abs=0.04) and not first.joined


def test_a_breath_ends_a_window_that_is_as_long_as_most_utterances():
    breath = BREATH_S + 0.1
    parts = [part for seconds in (4.0, 4.0, 4.0, 9.0, 9.0) for part in ((0.1, seconds), (0.001, breath))][:-1]
    first, second = plan(signal(parts))
    assert second.start / RATE == pytest.approx(3 * (4.0 + breath) - breath / 2, abs=0.04) and not first.joined
    assert second.last, "9 s are not as long"


def test_speech_without_a_pause_is_joined():
    windows = plan(signal([(0.1, 100.0)]))
    assert [window.start / RATE for window in windows] == [0, 22, 44, 66, 88]
    assert [window.joined for window in windows] == [True] * 4 + [False]


def test_silence_is_never_a_window_of_its_own():
    """The model makes every window equally loud: alone, the noise of a room would be as loud as speech.

    Silence that is nearly as long as a window cannot but be one.
    """
    for silence in (2.0, 10.0):
        parts = [(0.001, silence), (0.1, 5.0), (0.001, silence), (0.1, 5.0), (0.001, silence), (0.1, 20.0)]
        for window in plan(signal([*parts, (0.001, silence)])):
            assert np.abs(window.samples).max() > 0.1


def test_pauses_are_found_by_contrast():
    assert find_pauses(signal([(0.1, 5.0)]), RATE) == []
    noisy = signal([(0.1, 2.0), (0.02, 0.5), (0.1, 2.0)])  # 14 dB apart
    assert [(start / RATE, end / RATE) for start, end in find_pauses(noisy, RATE)] == [(2.0, 2.5)]
    assert find_pauses(signal([(0.1, 2.0), (0.05, 0.5), (0.1, 2.0)]), RATE) == [], "6 dB are no pause"
    assert find_pauses(np.zeros(3, np.float32), RATE) == []


@pytest.mark.parametrize("window_s", [0.0, 9.99, float("nan"), float("inf")])
def test_windows_too_short_to_go_on_are_refused(window_s):
    with pytest.raises(ValueError, match=r"window_s=.*: expected a number, 10"):
        plan(np.zeros(RATE, np.float32), window_s=window_s)

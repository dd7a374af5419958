"""Cuts long recordings into windows for the model: at pauses if there are any, otherwise with an overlap.

A recording that fits into one window stays whole. A longer one is cut in the middle of every long pause, so that a
window resembles a training utterance: one utterance with its loudness. After `USUAL_S` without a long pause, the next
breath is the cut; if a whole window has no breath, the cut is in the middle of its longest short pause. If there is no
pause at all, windows overlap so far that no frame that counts is near an end. Windows cover every sample, and the
frames that count cover every moment once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from data_prep.arguments import require_number

WINDOW_S = 30.0  # longest window; what the recipe trains on at most
LONG_PAUSE_S = 0.8  # ends a window; 2 % of mined or read utterances hold one
BREATH_S = 0.3  # ends a window that is as long as most utterances
USUAL_S = 10.0  # from here it is: a model hears several utterances at once worse than each alone
SHORT_PAUSE_S = 0.2  # shortest stretch of quiet that is a pause at all, and not a plosive
OVERLAP_S = 8.0  # of two windows where nobody pauses; each lends the other half of it as context
SHORTEST_WINDOW_S = 1.0
LEAST_WINDOW_S = OVERLAP_S + 2 * SHORTEST_WINDOW_S  # of the longest windows: below it, a cut makes no progress
LEVEL_FRAME_S = 0.02  # one loudness value
FLOOR_DB = -80.0  # of full scale; what is below is as quiet as that
FLOOR_PERCENTILE, SPEECH_PERCENTILE = 1, 98  # of loudness: the room (a third of a second of it is enough), and speech
# Quiet is what is near the room's level, or far below speech where the room is quieter still; never near speech.
ABOVE_FLOOR_DB, BELOW_SPEECH_DB, LEAST_CONTRAST_DB = 6.0, 30.0, 10.0


@dataclass(frozen=True)
class AudioWindow:
    """A stretch of audio that goes through the model at once.

    Attributes:
        samples: (n,) float32.
        start: Its first sample, counted from the input's beginning; a multiple of the model's frame step.
        first_frame: The first of its frames that counts (those before it are the window's before).
        end_frame: Where those that count end; `None`: all to the end.
        joined: Whether the next window goes on within the same speech, so that the two are decoded as one.
        last: Whether the input ends with it.
        number: Its position among the input's windows, from 0.
        index: The input's position in its job.
        warning: What is wrong with the input although it gives a text (`reason: details`); `None`: nothing.
    """

    samples: np.ndarray
    start: int
    first_frame: int = 0
    end_frame: int | None = None
    joined: bool = False
    last: bool = False
    number: int = 0
    index: int = 0
    warning: str | None = None


def cut_windows(
    blocks: Iterable[np.ndarray], sample_rate_hz: int, frame_step: int, window_s: float = WINDOW_S, index: int = 0
) -> Iterator[AudioWindow]:
    """Cut a stream of audio into windows, reading no further ahead than one window.

    Args:
        blocks: (n,) float32 each, one after another.
        sample_rate_hz: Their rate.
        frame_step: Samples from one frame of the model to the next.
        window_s: Longest window, seconds, from `LEAST_WINDOW_S`.
        index: The input's position in its job, for the windows to carry.

    Yields:
        Windows in order. They cover every sample; with `first_frame` and `end_frame`, the frames cover every moment
        once. An empty stream is one empty window.

    Raises:
        ValueError: `window_s` is shorter.
    """
    require_number("window_s", window_s, LEAST_WINDOW_S)
    longest, shortest, overlap = (
        round(seconds * sample_rate_hz / (2 * frame_step)) * 2 * frame_step
        for seconds in (window_s, SHORTEST_WINDOW_S, OVERLAP_S)
    )
    source = iter(blocks)
    held: np.ndarray = np.zeros(0, np.float32)
    start, first_frame, number, more = 0, 0, 0, True
    while True:
        if more:
            held, more = _fill(held, source, longest + shortest)
        if start == 0 and len(held) <= longest:
            break
        allowed = (first_frame * frame_step + shortest, min(longest, len(held) - shortest))
        cut = _find_cut(held[: longest + shortest], allowed, sample_rate_hz, frame_step, needed=len(held) > longest)
        if cut is not None:
            yield AudioWindow(held[:cut], start, first_frame, number=number, index=index)
            step, first_frame = cut, 0
        elif len(held) > longest:
            end_frame = (longest - overlap // 2) // frame_step
            yield AudioWindow(held[:longest], start, first_frame, end_frame, joined=True, number=number, index=index)
            step, first_frame = longest - overlap, overlap // 2 // frame_step
        else:
            break
        number += 1
        held, start = held[step:].copy(), start + step  # a copy, so that the rest does not keep the whole in memory
    yield AudioWindow(held, start, first_frame, last=True, number=number, index=index)


def _fill(held: np.ndarray, source: Iterator[np.ndarray], wanted: int) -> tuple[np.ndarray, bool]:
    """Read until more than `wanted` samples are held; also return whether there may be more to read."""
    blocks, count = [held], len(held)
    while count <= wanted:
        block = next(source, None)
        if block is None:
            return np.concatenate(blocks), False
        blocks.append(block)
        count += len(block)
    return np.concatenate(blocks), True


def _find_cut(
    samples: np.ndarray, allowed: tuple[int, int], sample_rate_hz: int, frame_step: int, needed: bool
) -> int | None:
    """Find where to cut, in samples: the first pause that is long enough, else, if `needed`, the longest later one."""
    pauses = []
    for start, end in find_pauses(samples, sample_rate_hz):
        cut = (start + end) // 2 // frame_step * frame_step
        # Quiet before all speech, or after it, is not a window: alone, normalisation would make it loud.
        if start > 0 and end < len(samples) - LEVEL_FRAME_S * sample_rate_hz and allowed[0] <= cut <= allowed[1]:
            pauses.append((end - start, cut))
    for length, cut in pauses:
        if length >= (LONG_PAUSE_S if cut < USUAL_S * sample_rate_hz else BREATH_S) * sample_rate_hz:
            return cut
    late = [pause for pause in pauses if pause[1] >= len(samples) // 2] if needed else []
    return max(late)[1] if late else None


def find_pauses(samples: np.ndarray, sample_rate_hz: int) -> list[tuple[int, int]]:
    """Find the pauses between speech, by loudness against that of the stretch itself.

    Args:
        samples: (n,) float32.
        sample_rate_hz: Their rate.

    Returns:
        First sample and end of each stretch of quiet of `SHORT_PAUSE_S` or more, in order. None where the quiet is less
        than `LEAST_CONTRAST_DB` below the loud.
    """
    step = round(LEVEL_FRAME_S * sample_rate_hz)
    if len(samples) < step:
        return []
    power = np.square(samples[: len(samples) // step * step].reshape(-1, step)).mean(axis=1)
    levels = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    floor, speech = np.percentile(levels, (FLOOR_PERCENTILE, SPEECH_PERCENTILE))
    if speech - floor < LEAST_CONTRAST_DB:
        return []
    limit = min(max(floor + ABOVE_FLOOR_DB, speech - BELOW_SPEECH_DB), speech - LEAST_CONTRAST_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], levels <= limit, [False]))))
    return [
        (int(first) * step, int(end) * step)
        for first, end in edges.reshape(-1, 2)
        if (end - first) * step >= SHORT_PAUSE_S * sample_rate_hz
    ]

"""Digital silence: parts of audio without any signal, for which a recogniser must write nothing.

For an input of zeros a model may still write a letter or a short word. Here only audio without any signal is silence
(one value repeated, or the noise of rounding to 16 bits). No speech is that quiet; a rule about loudness would drop
speech recorded at a low level.
"""

import numpy as np
import torch

from data_prep.audio.measures import SILENCE_RANGE
from nemo_models.decoding.strategy import certain_blank

FRAME_S = 0.02
MARGIN_S = 1.0  # of silence around a signal, where a label for the signal may still come


def find_silence(samples: np.ndarray, sample_rate_hz: int) -> list[tuple[int, int]]:
    """Find the stretches in which nothing can be said.

    Args:
        samples: (n,) float32, full scale 1.0.
        sample_rate_hz: Their rate.

    Returns:
        First sample and end of each stretch, in order. Each is at least `MARGIN_S` away from any signal.
    """
    step = round(FRAME_S * sample_rate_hz)
    count = len(samples) // step
    frames = samples[: count * step].reshape(count, step)
    silent = np.zeros(count + 1, bool)
    silent[:count] = frames.max(axis=1) - frames.min(axis=1) <= SILENCE_RANGE if count else False
    rest = samples[count * step :]
    silent[count] = not len(rest) or rest.max() - rest.min() <= SILENCE_RANGE
    if not silent.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False]))))
    margin = round(MARGIN_S * sample_rate_hz)
    found = []
    for first, end in edges.reshape(-1, 2).tolist():
        start = 0 if first == 0 else first * step + margin
        stop = len(samples) if end > count else end * step - margin
        if start < stop:
            found.append((start, stop))
    return found


def blank_silence(log_probs: torch.Tensor, waveform: np.ndarray, sample_rate_hz: int, frame_step: int) -> torch.Tensor:
    """Make the frames of digital silence certain to be blank.

    Args:
        log_probs: (frames, V+1) float32, natural log, blank last.
        waveform: (n,) float32, full scale 1.0, that they were computed from.
        sample_rate_hz: Its rate.
        frame_step: Samples from one frame to the next.

    Returns:
        The same log-probabilities, or a changed copy if there is silence.
    """
    stretches = find_silence(waveform, sample_rate_hz)
    if stretches:
        log_probs = log_probs.clone()
    for start, end in stretches:
        last = len(log_probs) if end == len(waveform) else end // frame_step
        log_probs[start // frame_step : last] = certain_blank(log_probs, log_probs.shape[-1] - 1)
    return log_probs

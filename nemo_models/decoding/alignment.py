"""Finds the frames of a text's characters: the best CTC path of the text through the log-probabilities.

Decoders keep at most the first frame of a character (pyctcdecode: of a word). The best path gives the frames of each
character for every kind of search, and depends on the utterance alone.
"""

from collections.abc import Sequence

import numba
import numpy as np

from data_prep.conv_frames import count_ctc_steps


def align_tokens(log_probs: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Find the most probable CTC path that spells `tokens`.

    Args:
        log_probs: (T, V+1) float, natural log-probabilities of one utterance's valid frames, blank last.
        tokens: Labels to spell, 0 … V-1, without blanks.

    Returns:
        (len(tokens), 2) int64: the first frame of each token, and the frame after its last one. Blanks belong to no
        token.

    Raises:
        ValueError: There are too few frames to spell the tokens (a repeated label needs a blank between).
    """
    labels = np.asarray(tokens, dtype=np.int64)
    if not len(labels):
        return np.zeros((0, 2), dtype=np.int64)
    needed = count_ctc_steps(labels.tolist())
    if len(log_probs) < needed:
        raise ValueError(f"{len(log_probs)} frames: expected {needed} or more to spell {len(labels)} tokens")
    return _best_path(np.ascontiguousarray(log_probs, dtype=np.float32), labels)


@numba.njit(cache=True, nogil=True)
def _best_path(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Viterbi over the states blank, label, blank, label, …, blank; state `s` is label `s // 2` where odd."""
    frames, blank, states = len(log_probs), log_probs.shape[1] - 1, 2 * len(labels) + 1
    score = np.full(states, -np.inf)
    score[0], score[1] = log_probs[0, blank], log_probs[0, labels[0]]
    steps = np.zeros((frames, states), dtype=np.int8)  # how many states back each state was reached from
    for frame in range(1, frames):
        # From the last state down, so that the scores below still are those of the frame before. States outside these
        # bounds cannot be reached yet, or cannot reach the end any more.
        for state in range(min(states, 2 * frame + 2) - 1, max(0, states - 2 * (frames - frame)) - 1, -1):
            best = score[state]
            if state >= 1 and score[state - 1] > best:
                best, steps[frame, state] = score[state - 1], 1
            is_label = state % 2 == 1
            if is_label and state >= 3 and labels[state // 2] != labels[state // 2 - 1] and score[state - 2] > best:
                best, steps[frame, state] = score[state - 2], 2
            score[state] = best + log_probs[frame, labels[state // 2] if is_label else blank]
    spans = np.zeros((len(labels), 2), dtype=np.int64)
    state = states - 1 if score[states - 1] > score[states - 2] else states - 2
    for frame in range(frames - 1, -1, -1):
        if state % 2 == 1:
            spans[state // 2, 0] = frame
            if spans[state // 2, 1] == 0:
                spans[state // 2, 1] = frame + 1
        state -= steps[frame, state]
    return spans

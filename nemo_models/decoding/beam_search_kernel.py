"""The compiled part of `beam_search`: beam search over one utterance's CTC log-probabilities.

It computes the same sums in float32 as NeMo's `BatchedBeamCTCComputer.batched_beam_search_torch`, in the same order, so
that both choose the same hypotheses. NeMo runs 76 tensor operations for each frame, 400 with a language model; this
search visits each candidate once.

- A language model's scores over all labels (a *row*) are computed once for each state that a hypothesis reaches, and
  kept. Most frames extend hypotheses by blanks or repeats, which stay in their state.
- A frame's candidates are visited in the order of NeMo's flat index (hypothesis, then label). Two kinds are dropped at
  once: one that is not better than the worst of a full beam, and one that is `threshold` or more below the best so far,
  which would be pruned after the frame, since the best only rises.
- Frames beyond an utterance's length are not visited.

Of equal scores, the lower flat index wins. NeMo uses `torch.topk`, which does not define the order.
"""

from typing import Any

import numpy as np

from data_prep.compiled import compiled
from nemo_models.decoding.beam_search_data import Beam, Candidates, Fusion, Rows, Settings, Tokens

START_STATE = 0  # the state of a language model that holds all unigrams
NONE = -1  # no label, no frame, no state
ROW_SLOTS = 1024  # number of language model states whose rows are kept; a power of two
SLOT_MULTIPLIER = 0x9E3779B1  # 2³² / golden ratio: spreads neighbouring states over the slots
HASH_MULTIPLIER = 6364136223846793005  # NeMo's hash of tokens: hash · multiplier + 1 + label (mod 2⁶⁴)
MINUS_INFINITY = np.float32(-np.inf)
ZERO: Any = np.int64(0)  # first value of counters; for a literal 0 numba would compile their functions twice


@compiled
def search(
    log_probs: np.ndarray, settings: Settings, fusion: Fusion
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Search one utterance.

    Args:
        log_probs: (T, V+1) float32, C-contiguous, natural log.
        settings: Settings of the search.
        fusion: Models whose scores are added.

    Returns:
        The hypotheses in the beam, in its order (by score before the end of the text was scored): scores (H,) float32;
        and, with the tokens of all hypotheses one after the other, bounds (H+1,) int64, labels, first frames and
        numbers of frames, int64 each.
    """
    frames, width = log_probs.shape
    models = len(fusion.alphas)
    rows = _make_rows(models, width - 1)
    beam, extended = _make_beam(settings.beam_size, models), _make_beam(settings.beam_size, models)
    candidates = Candidates(
        np.empty(settings.beam_size, np.float32), np.empty(settings.beam_size, np.int64), np.empty(width, np.float32)
    )
    tokens = _make_tokens(frames * settings.beam_size + 1)  # pages that are never written take no memory
    beam.scores[0], beam.labels[0], beam.hashes[0], beam.counts[0] = 0.0, NONE, 0, 0
    beam.nodes[0], beam.ends[0] = 0, NONE
    for m in range(models):
        beam.states[0, m] = fusion.initial_states[m]
    hypotheses, nodes = ZERO + 1, ZERO + 1  # node 0 is where all begin
    for frame in range(frames):
        found = _choose(log_probs[frame], settings, fusion, beam, hypotheses, rows, candidates)
        hypotheses, nodes = _extend(
            frame, settings.blank, fusion, beam, found, candidates, rows, extended, tokens, nodes
        )
        beam, extended = extended, beam
    for index in range(hypotheses):
        for m in range(models):
            if fusion.has_final[m]:
                beam.scores[index] += fusion.models[m].final_weights[beam.states[index, m]] * fusion.alphas[m]
    return _read_out(beam, hypotheses, tokens)


@compiled
def _make_rows(models: int, labels: int) -> Rows:
    shape = (models, ROW_SLOTS, labels)
    return Rows(np.full((models, ROW_SLOTS), NONE, np.int64), np.empty(shape, np.float32), np.empty(shape, np.int64))


@compiled
def _make_beam(size: int, models: int) -> Beam:
    return Beam(
        np.empty(size, np.float32),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty((size, models), np.int64),
    )


@compiled
def _make_tokens(size: int) -> Tokens:
    return Tokens(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    )


@compiled
def _find_row(rows: Rows, fusion: Fusion, m: int, state: int) -> int:
    """Return the slot that holds the row of a model's state; compute the row if it is missing."""
    slot = ((state * SLOT_MULTIPLIER) >> 16) & (ROW_SLOTS - 1)
    if rows.states[m, slot] == state:
        return slot
    rows.states[m, slot] = state
    model, alpha = fusion.models[m], fusion.alphas[m]
    scores, targets = rows.scores[m, slot], rows.targets[m, slot]
    targets[:] = NONE
    backoff = np.float32(0.0)
    while True:
        for arc in range(model.arc_bounds[state, 0], model.arc_bounds[state, 1]):
            label = model.arc_labels[arc]
            if targets[label] == NONE:  # else a longer context has it
                targets[label] = model.arc_targets[arc]
                scores[label] = alpha * (backoff + model.arc_weights[arc])
        if state == START_STATE:
            return slot
        backoff += model.backoff_weights[state]
        state = model.backoff_targets[state]


@compiled
def _choose(
    log_probs: np.ndarray,
    settings: Settings,
    fusion: Fusion,
    beam: Beam,
    hypotheses: int,
    rows: Rows,
    candidates: Candidates,
) -> int:
    """Write a frame's best extensions into `candidates`, and return their number."""
    width, found = len(log_probs), ZERO
    best, sums = candidates.scores, candidates.sums
    least = MINUS_INFINITY  # a candidate must be above it; NaN never is
    for index in range(hypotheses):
        score, last = beam.scores[index], beam.labels[index]
        for label in range(width):
            sums[label] = (log_probs[label] + score) + settings.beta
        for m in range(len(fusion.alphas)):
            row = rows.scores[m, _find_row(rows, fusion, m, beam.states[index, m])]
            for label in range(width - 1):
                sums[label] += row[label]
        sums[settings.blank] = log_probs[settings.blank] + score
        if last != NONE:
            sums[last] = log_probs[last] + score
        for label in range(width):
            if sums[label] > least:
                found = _insert(sums[label], index * width + label, candidates, found)
                least = max(least, best[0] - settings.threshold)
                if found == len(best):
                    least = max(least, best[found - 1])
    while found and not best[found - 1] > best[0] - settings.threshold:
        found -= 1
    return found


@compiled
def _insert(score: np.float32, index: int, candidates: Candidates, found: int) -> int:
    """Insert a candidate behind all equally good ones; a full list loses its last. Return the new number."""
    scores, indices = candidates.scores, candidates.indices
    place = min(found, len(scores) - 1)
    while place > 0 and scores[place - 1] < score:
        scores[place], indices[place] = scores[place - 1], indices[place - 1]
        place -= 1
    scores[place], indices[place] = score, index
    return min(found + 1, len(scores))


@compiled
def _extend(
    frame: int,
    blank: int,
    fusion: Fusion,
    beam: Beam,
    found: int,
    candidates: Candidates,
    rows: Rows,
    extended: Beam,
    tokens: Tokens,
    nodes: int,
) -> tuple[int, int]:
    """Write the chosen candidates into `extended`, and of equivalent ones only the best.

    Two are equivalent if they have the same tokens and the same last label: any extension scores the same for both.

    Returns:
        Numbers of hypotheses and of nodes.
    """
    kept, width = ZERO, len(candidates.sums)
    for place in range(found):
        parent, label = candidates.indices[place] // width, candidates.indices[place] % width
        is_token = label != blank and label != beam.labels[parent]
        hashed, count = beam.hashes[parent], beam.counts[parent]
        if is_token:
            hashed, count = hashed * HASH_MULTIPLIER + 1 + label, count + 1
        if _holds(extended, kept, hashed, label, count):
            continue
        extended.scores[kept], extended.labels[kept] = candidates.scores[place], label
        extended.hashes[kept], extended.counts[kept] = hashed, count
        extended.ends[kept] = beam.ends[parent] if label == blank else frame
        extended.nodes[kept] = beam.nodes[parent]
        if is_token:
            tokens.previous[nodes], tokens.labels[nodes] = beam.nodes[parent], label
            tokens.frames[nodes], tokens.previous_ends[nodes] = frame, beam.ends[parent]
            extended.nodes[kept] = nodes
            nodes += 1
        for m in range(len(fusion.alphas)):
            state = beam.states[parent, m]
            extended.states[kept, m] = rows.targets[m, _find_row(rows, fusion, m, state), label] if is_token else state
        kept += 1
    return kept, nodes


@compiled
def _holds(beam: Beam, hypotheses: int, hashed: int, label: int, count: int) -> bool:
    for index in range(hypotheses):
        if beam.hashes[index] == hashed and beam.labels[index] == label and beam.counts[index] == count:
            return True
    return False


@compiled
def _read_out(
    beam: Beam, hypotheses: int, tokens: Tokens
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    scores, bounds = np.empty(hypotheses, np.float32), np.zeros(hypotheses + 1, np.int64)
    for index in range(hypotheses):
        scores[index], bounds[index + 1] = beam.scores[index], bounds[index] + beam.counts[index]
    total = bounds[hypotheses]
    labels, frames, durations = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    for index in range(hypotheses):
        node, end = beam.nodes[index], beam.ends[index]
        for place in range(bounds[index + 1] - 1, bounds[index] - 1, -1):
            labels[place], frames[place] = tokens.labels[node], tokens.frames[node]
            durations[place] = end - tokens.frames[node] + 1
            node, end = tokens.previous[node], tokens.previous_ends[node]
    return scores, bounds, labels, frames, durations

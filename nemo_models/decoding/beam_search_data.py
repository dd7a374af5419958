"""The data of `beam_search_kernel`: what a search is given, and what it keeps while it runs."""

from typing import NamedTuple

import numpy as np


class FusionArrays(NamedTuple):
    """A language model or boosting tree in NeMo's layout: a suffix tree, its arcs sorted by the state they leave."""

    arc_bounds: np.ndarray  # (S, 2) int, first arc of a state and one past its last
    arc_labels: np.ndarray  # (A,) int
    arc_targets: np.ndarray  # (A,) int, states
    arc_weights: np.ndarray  # (A,) float32, natural log
    backoff_targets: np.ndarray  # (S,) int, states of a lower order, so that every chain ends in `START_STATE`
    backoff_weights: np.ndarray  # (S,) float32
    final_weights: np.ndarray  # (S,) float32


class Fusion(NamedTuple):
    """Models whose scores are added to the acoustic ones."""

    models: tuple[FusionArrays, ...]  # only the first M are used
    alphas: np.ndarray  # (M,) float32, weights
    initial_states: np.ndarray  # (M,) int64
    has_final: np.ndarray  # (M,) bool, whether the model scores the end of the text


class Settings(NamedTuple):
    """Settings of the search."""

    blank: int  # its index, 0 … V; V where there are fusion models
    beam_size: int  # K, hypotheses kept from frame to frame
    beta: np.float32  # added for each token
    threshold: np.float32  # above 0; hypotheses this far below a frame's best are dropped


class Rows(NamedTuple):
    """Scores and next states over all labels, by fusion model and slot."""

    states: np.ndarray  # (M, ROW_SLOTS) int64, whose row a slot holds
    scores: np.ndarray  # (M, ROW_SLOTS, V) float32, times the model's weight
    targets: np.ndarray  # (M, ROW_SLOTS, V) int64


class Beam(NamedTuple):
    """Hypotheses, best first."""

    scores: np.ndarray  # (K,) float32
    labels: np.ndarray  # (K,) int64, of the last frame, blank included
    hashes: np.ndarray  # (K,) int64, of the tokens
    counts: np.ndarray  # (K,) int64, tokens
    nodes: np.ndarray  # (K,) int64, last token's place in `Tokens`
    ends: np.ndarray  # (K,) int64, last frame of the last token
    states: np.ndarray  # (K, M) int64, fusion models' states


class Tokens(NamedTuple):
    """Tokens of all hypotheses that were in the beam at any time, each linked to the one before it."""

    previous: np.ndarray  # (N,) int64
    labels: np.ndarray  # (N,) int64
    frames: np.ndarray  # (N,) int64, first frame
    previous_ends: np.ndarray  # (N,) int64, last frame of the token before


class Candidates(NamedTuple):
    """A frame's best extensions, best first, and working space to find them."""

    scores: np.ndarray  # (K,) float32
    indices: np.ndarray  # (K,) int64, hypothesis · (V+1) + label
    sums: np.ndarray  # (V+1,) float32, one hypothesis' scores by label

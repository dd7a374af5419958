"""Several n-gram models as one: weights by what predicts a held-out text best, then one model with backoff.

A small text of the domain at hand and a large general one make better models together than poured into one another,
where the large one drowns the small.
"""

from collections.abc import Sequence

import numpy as np

from nemo_models.language_models.arpa import BackoffModel, NgramOrder

_MAX_ROUNDS = 1000
_WEIGHT_TOLERANCE = 1e-6  # change of a weight at which the search ends
_NO_PROB = 1e-9  # below it, what a sum of float32 leaves of 1 is rounding


def fit_weights(log_probs: np.ndarray) -> np.ndarray:
    """Find the weights of a linear mixture that give a held-out text the highest probability.

    Expectation-maximisation; the likelihood is concave in the weights, so that there is one best place.

    Args:
        log_probs: (components, words) float, natural: what each component gives each word.

    Returns:
        (components,) float64, none negative, their sum 1.
    """
    highest = log_probs.max(axis=0)
    probs = np.exp(log_probs - highest)[:, np.isfinite(highest)]  # a common factor of a word changes no weight
    weights = np.full(len(probs), 1 / len(probs))
    for _ in range(_MAX_ROUNDS):
        shares = weights[:, None] * probs
        updated = (shares / shares.sum(axis=0)).mean(axis=1)
        done = np.abs(updated - weights).max() < _WEIGHT_TOLERANCE
        weights = updated
        if done:
            break
    return weights


def interpolate(models: Sequence[BackoffModel], weights: Sequence[float]) -> BackoffModel:
    """Merge models into one, whose probability of each n-gram that any of them holds is the weighted sum of theirs.

    What it gives other n-grams follows by backoff, with weights that make every context's probabilities sum to 1.

    Args:
        models: Of the same vocabulary and order.
        weights: Of each, their sum 1.

    Returns:
        The mixture; it holds every n-gram that one of the models holds.
    """
    size, last = len(models[0].vocabulary), len(models[0].orders)
    parts = [model.orders[0] for model in models]
    keys = parts[0].keys
    to_mixture = [keys] * len(models)  # place of a component's n-gram in the mixture
    of_component = [keys] * len(models)  # and the other way round, -1: the component lacks it
    component_probs = [part.log_probs.astype(np.float64) for part in parts]
    mixed, suffixes = _mix(component_probs, weights), keys
    orders: list[NgramOrder] = []
    for order in range(2, last + 1):
        below, parts = parts, [model.orders[order - 1] for model in models]
        splits = [model.split(order) for model in models]
        own_keys = [place[parents] * size + words for place, (parents, words) in zip(to_mixture, splits, strict=True)]
        longer = np.unique(np.concatenate(own_keys))
        parents, words = np.divmod(longer, size)
        suffixes = words if order == 2 else np.searchsorted(keys, suffixes[parents] * size + words)
        to_mixture = [np.searchsorted(longer, own) for own in own_keys]
        contexts = [place[parents] for place in of_component]
        of_component = [_invert(places, len(longer)) for places in to_mixture]
        component_probs = [
            _with_backoff(part.log_probs, places, shorter.backoffs, context, probs[suffixes])
            for part, places, shorter, context, probs in zip(
                parts, of_component, below, contexts, component_probs, strict=True
            )
        ]
        mixed_longer = _mix(component_probs, weights)
        backoffs = _renormalize(parents, mixed_longer, mixed[suffixes], len(keys))
        orders.append(NgramOrder(keys, mixed.astype(np.float32), backoffs))
        keys, mixed = longer, mixed_longer
    orders.append(NgramOrder(keys, mixed.astype(np.float32), np.zeros(len(keys), dtype=np.float32)))
    return BackoffModel(models[0].vocabulary, tuple(orders))


def _mix(log_probs: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(sum(weight * np.exp(part) for weight, part in zip(weights, log_probs, strict=True)))


def _invert(places: np.ndarray, size: int) -> np.ndarray:
    inverse = np.full(size, -1, dtype=np.int64)
    inverse[places] = np.arange(len(places))
    return inverse


def _with_backoff(
    log_probs: np.ndarray, places: np.ndarray, backoffs: np.ndarray, contexts: np.ndarray, shorter: np.ndarray
) -> np.ndarray:
    """A component's log-probabilities of the mixture's n-grams: its own where it has them, else through backoff."""
    backed_off = shorter + np.where(contexts >= 0, backoffs[contexts], 0.0)
    return np.where(places >= 0, log_probs[places] if len(log_probs) else 0.0, backed_off)


def _renormalize(parents: np.ndarray, longer: np.ndarray, shorter: np.ndarray, count: int) -> np.ndarray:
    """Backoffs that give the words without an n-gram of their own what those with one leave over."""
    left = 1 - np.bincount(parents, np.exp(longer), minlength=count)
    left_below = 1 - np.bincount(parents, np.exp(shorter), minlength=count)
    is_open = left_below > _NO_PROB  # else every word follows, and no backoff is ever read
    return np.log(np.where(is_open, np.maximum(left, _NO_PROB) / left_below, 1.0)).astype(np.float32)

"""Interpolation of n-gram models: weights that predict a held-out text best, then one model with backoff.

With a small text of the target domain and a large general text, two interpolated models are better than one model of
both texts, in which the large text would outweigh the small one.
"""

from collections.abc import Sequence

import numpy as np

from nemo_models.language_models.arpa import BackoffModel, NgramOrder

_MAX_ROUNDS = 1000
_WEIGHT_TOLERANCE = 1e-6  # change of a weight at which the search ends
_NO_PROB = 1e-9  # below it, 1 minus a sum of float32 is rounding error


def fit_weights(log_probs: np.ndarray) -> np.ndarray:
    """Find the weights of a linear mixture that give a held-out text the highest probability.

    Expectation-maximisation; the likelihood is concave in the weights, so it has one maximum.

    Args:
        log_probs: (components, words) float, natural log-probability of each word in each component.

    Returns:
        (components,) float64, 0 or more, with sum 1.
    """
    highest = log_probs.max(axis=0)
    probs = np.exp(log_probs - highest)[:, np.isfinite(highest)]  # a factor common to a word changes no weight
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

    Other n-grams get their probability by backoff, with weights that make every context's probabilities sum to 1.

    Args:
        models: Models of the same vocabulary and order.
        weights: Weight of each model, with sum 1.

    Returns:
        The mixture; it contains every n-gram of any of the models.
    """
    size, last = len(models[0].vocabulary), len(models[0].orders)
    parts = [model.orders[0] for model in models]
    keys = parts[0].keys
    to_mixture = [keys] * len(models)  # index of a component's n-gram in the mixture
    of_component = [keys] * len(models)  # the inverse; -1 where the component lacks the n-gram
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
    """Return a component's log-probabilities of the mixture's n-grams: by backoff where it lacks them."""
    backed_off = shorter + np.where(contexts >= 0, backoffs[contexts], 0.0)
    return np.where(places >= 0, log_probs[places] if len(log_probs) else 0.0, backed_off)


def _renormalize(parents: np.ndarray, longer: np.ndarray, shorter: np.ndarray, count: int) -> np.ndarray:
    """Return backoffs that give words without a longer n-gram the probability that words with one leave over."""
    left = 1 - np.bincount(parents, np.exp(longer), minlength=count)
    left_below = 1 - np.bincount(parents, np.exp(shorter), minlength=count)
    is_open = left_below > _NO_PROB  # otherwise every word follows, and the backoff is never used
    return np.log(np.where(is_open, np.maximum(left, _NO_PROB) / left_below, 1.0)).astype(np.float32)

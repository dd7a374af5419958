"""Batches of similar length: little padding, bounded memory, the first ones small."""

from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

MOST_SORTED_SAMPLES = 1200 * 16_000  # 77 MB, held to be sorted
MOST_BATCHED_SAMPLES = 480 * 16_000  # padding included; a large model's activations take some 10 MB a second


def batch_by_length(items: Iterator[T], length: Callable[[T], int], size: int, batches: int = 1) -> Iterator[list[T]]:
    """Batch items as they come; among some batches' worth of them, similar lengths come together, the longest first.

    The first batch is one item and each further one is at most twice as large, so that the first results come soon.

    Args:
        items: The items.
        length: Function that returns an item's length in samples.
        size: Most items in a batch.
        batches: Number of batches' worth of items that are sorted together; 1 keeps the order.

    Yields:
        Lists of 1 to `size` items.
    """
    pool: list[T] = []
    held, begun = 0, 1
    for item in items:
        pool.append(item)
        held += length(item)
        if len(pool) >= min(begun, size * batches) or held > MOST_SORTED_SAMPLES:
            yield from _batch_pool(pool, length, min(begun, size), sort=batches > 1)
            pool, held, begun = [], 0, 2 * begun
    yield from _batch_pool(pool, length, size, sort=batches > 1)


def _batch_pool(pool: list[T], length: Callable[[T], int], size: int, sort: bool) -> Iterator[list[T]]:
    if sort:
        pool.sort(key=length, reverse=True)
    batch: list[T] = []
    longest = 0
    for item in pool:
        longest = max(longest, length(item))
        if batch and (len(batch) == size or (len(batch) + 1) * longest > MOST_BATCHED_SAMPLES):
            yield batch
            batch, longest = [], length(item)
        batch.append(item)
    if batch:
        yield batch

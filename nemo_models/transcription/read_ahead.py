"""Reads ahead in threads while the model computes, in order and in bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

QUEUE_LENGTH = 8  # results of one item that are held until they are taken
WAIT_S = 0.2  # before a thread with a full queue checks again whether the reader was closed


class _End:
    """Follows an item's last result."""


def read_ahead(read: Callable[[T], Iterator[R]], items: Sequence[T], workers: int, ahead: int) -> Iterator[R]:
    """Yield every result of every item, in the items' order, while threads read ahead.

    Args:
        read: Function that yields the results of an item. An exception that it raises is raised here, in its place.
        items: Items to read.
        workers: Number of threads; 0 reads in the caller's thread.
        ahead: Number of items that may be begun before they are taken.

    Yields:
        The results. At most `ahead` items with `QUEUE_LENGTH` results each are held.
    """
    if not workers:
        for item in items:
            yield from read(item)
        return
    stopped = threading.Event()

    def produce(item: T, queue: "Queue[R | _End | BaseException]") -> None:
        try:
            for result in read(item):
                _put(queue, result, stopped)
                if stopped.is_set():
                    return
            _put(queue, _End(), stopped)
        except BaseException as error:
            _put(queue, error, stopped)

    pool, waiting = ThreadPoolExecutor(workers), deque[Queue[R | _End | BaseException]]()
    try:
        for item in items:
            queue: Queue[R | _End | BaseException] = Queue(QUEUE_LENGTH)
            pool.submit(produce, item, queue)
            waiting.append(queue)
            if len(waiting) >= ahead:
                yield from _drain(waiting.popleft())
        while waiting:
            yield from _drain(waiting.popleft())
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def compute_ahead(results: Iterator[T]) -> Iterator[T]:
    """Begin each result before the one before it is used: a GPU computes a batch while the last one is decoded."""
    for held in results:
        for result in results:
            yield held
            held = result
        yield held


def _put(queue: Queue, result: object, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            queue.put(result, timeout=WAIT_S)
            return
        except Full:
            continue


def _drain(queue: "Queue[R | _End | BaseException]") -> Iterator[R]:
    while not isinstance(result := queue.get(), _End):
        if isinstance(result, BaseException):
            raise result
        yield result

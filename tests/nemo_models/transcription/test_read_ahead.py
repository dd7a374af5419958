"""Reading ahead: in order, bounded, and over when nobody reads any more."""

import threading
import time

import pytest

from nemo_models.transcription.read_ahead import QUEUE_LENGTH, compute_ahead, read_ahead


def numbers(item):
    for part in range(item % 5):
        yield item, part


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_order(workers):
    expected = [result for item in range(50) for result in numbers(item)]
    assert list(read_ahead(numbers, range(50), workers, ahead=7)) == expected
    assert list(read_ahead(numbers, [], workers, ahead=7)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_in_their_place(workers):
    def read(item):
        yield item
        if item == 3:
            raise KeyError("three")

    seen = []
    with pytest.raises(KeyError, match="three"):
        for item in read_ahead(read, range(9), workers, ahead=4):
            seen.append(item)
    assert seen == [0, 1, 2, 3]


def test_no_more_is_read_than_may_be_held_and_threads_end():
    read_items, before = [], threading.active_count()

    def endless(item):
        for part in range(10**9):
            read_items.append((item, part))
            yield item, part

    results = read_ahead(endless, range(100), 2, ahead=3)
    assert next(results) == (0, 0)
    time.sleep(0.3)  # time enough to read far too much, if nothing held it back
    assert len(read_items) <= 2 * (QUEUE_LENGTH + 2)
    results.close()
    assert threading.active_count() == before


def test_a_gpus_next_batch_is_begun_before_the_last_one_is_decoded():
    begun = []
    seen = [(value, len(begun)) for value in compute_ahead(begun.append(value) or value for value in range(4))]
    assert seen == [(0, 2), (1, 3), (2, 4), (3, 4)]
    assert list(compute_ahead(iter([]))) == [] and list(compute_ahead(iter([7]))) == [7]

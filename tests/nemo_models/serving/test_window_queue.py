"""The queue of windows: longest waiting first, short audio beside long, batches and threads that share what waits."""

import threading
import time

import numpy as np
import pytest

from fake_recogniser import RATE, FakeRecogniser
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.tasks import RecognitionTask, WindowTask
from nemo_models.serving.window_queue import WindowQueue
from nemo_models.transcription.audio_windows import AudioWindow
from nemo_models.transcription.inputs import AudioInput

WAIT_S = 60
LONG_S = 30.0


@pytest.fixture
def make_queue():
    """Make queues of which nobody waits; they are closed after the test."""
    made = []

    def make(threads=1, cost=0.0, **limits):
        queue = WindowQueue(EngineLimits(**{"batch_wait_ms": 0.0, "batch_audio_s": LONG_S, **limits}), RATE, threads)
        queue.cost = cost
        made.append(queue)
        return queue

    yield make
    for queue in made:
        queue.close()


def put_recording(queue, seconds, number=0, last=True, task=None):
    task = task or RecognitionTask(AudioInput("a.wav"), FakeRecogniser().open(AudioInput("a.wav")))
    samples = np.zeros(round(seconds * RATE), np.float32)
    assert queue.put(task, AudioWindow(samples, 0, last=last, number=number))
    return task


def take_seconds(queue):
    """Take a batch and give it back at once; the seconds of its windows."""
    batch = queue.take()
    queue.give_back(batch)
    return [one.samples / RATE for one in batch.windows]


def test_short_audio_waits_for_one_window_of_long_recordings_at_most(make_queue):
    queue = make_queue()
    for number in range(4):
        put_recording(queue, LONG_S, number, last=False)
    assert take_seconds(queue) == [LONG_S], "nothing else waits"
    for _ in range(3):
        put_recording(queue, 3.0)
    queue.put(WindowTask(), AudioWindow(np.zeros(6 * RATE, np.float32), 0))
    assert take_seconds(queue) == [3.0, 3.0, 3.0, 6.0], "what came last goes first, without a long window beside it"
    assert take_seconds(queue) == [LONG_S]


def test_long_recordings_get_half_of_the_seconds_while_both_wait(make_queue):
    queue, taken = make_queue(batch_size=2), []
    for number in range(3):
        put_recording(queue, LONG_S, number, last=False)
    for _ in range(32):
        put_recording(queue, 5.0)
    while len(queue):
        taken.append(take_seconds(queue))
    assert (
        taken
        == [*[[5.0, 5.0]] * 3, [LONG_S], *[[5.0, 5.0]] * 3, [LONG_S], *[[5.0, 5.0]] * 3, [LONG_S]] + [[5.0, 5.0]] * 7
    )


def test_a_batch_of_long_windows_is_one_window_while_short_audio_waits(make_queue):
    queue = make_queue(batch_audio_s=120.0)
    for number in range(4):
        put_recording(queue, LONG_S, number, last=False)
    assert take_seconds(queue) == [LONG_S] * 4
    for number in range(3):
        put_recording(queue, LONG_S, number, last=False)
    for _ in range(20):
        put_recording(queue, 5.0)
    assert [take_seconds(queue) for _ in range(2)] == [[5.0] * 20, [LONG_S] * 3], "nothing short waits any more"
    for number in range(2):
        put_recording(queue, LONG_S, number, last=False)
    for _ in range(25):
        put_recording(queue, 5.0)
    assert [len(take_seconds(queue)) for _ in range(4)] == [24, 1, 1, 1]


def test_batches_that_can_begin_share_windows_and_threads(make_queue):
    queue, found = make_queue(threads=4, cost=1.0, batch_audio_s=120.0), []
    workers = [threading.Thread(target=lambda: found.append(queue.take())) for _ in range(2)]
    for worker in workers:
        worker.start()
    wait_until(lambda: queue._takers == 2)
    with queue._changed:
        for _ in range(5):
            put_recording(queue, 3.0)
    for worker in workers:
        worker.join(WAIT_S)
    assert sorted((len(batch.windows), batch.threads) for batch in found) == [(2, 2), (3, 2)]


def wait_until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("cost", "seconds", "threads"),
    [(0.0, 30.0, 1), (0.005, 3.0, 1), (0.005, 30.0, 2), (0.19, 3.0, 6), (0.19, 30.0, 8)],
    ids=["gpu", "small network", "small network, long window", "large network", "large network, long window"],
)
def test_a_batch_alone_gets_the_threads_that_it_can_use(make_queue, cost, seconds, threads):
    queue = make_queue(threads=8, cost=cost)
    put_recording(queue, seconds)
    assert queue.take().threads == threads


def test_a_batch_waits_until_threads_are_free(make_queue):
    queue = make_queue(threads=2, cost=1.0)
    put_recording(queue, 3.0)
    first = queue.take()
    assert first.threads == 2
    put_recording(queue, 4.0)
    found = []
    worker = threading.Thread(target=lambda: found.append(queue.take()))
    worker.start()
    time.sleep(0.05)
    assert not found
    queue.give_back(first)
    worker.join(WAIT_S)
    assert found[0].windows[0].samples == 4 * RATE


def test_a_queue_that_is_closed_gives_what_it_holds_and_then_nothing(make_queue):
    queue = make_queue(batch_audio_s=4.0)
    put_recording(queue, 3.0)
    put_recording(queue, 2.0)
    queue.close()
    assert (take_seconds(queue), take_seconds(queue), queue.take()) == ([3.0], [2.0], None)

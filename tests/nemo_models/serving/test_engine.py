"""The engine: batches by seconds, longest waiting first, a bounded queue, one failure costs nobody else."""

import threading

import numpy as np
import pytest
import soundfile

from fake_recogniser import RATE, FakeRecogniser, word_of
from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.tasks import FAILED, STOPPED, QueueFullError
from nemo_models.transcription.inputs import AudioInput

WAIT_S = 60  # far more than any of this takes


def tone(folder, seconds, number=0):
    """A file and its samples as they are read."""
    path = folder / f"{number}-{seconds}.wav"
    samples = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path, soundfile.read(path, dtype="float32")[0]


class TwoAtATime(FakeRecogniser):
    """Begins to compute the first batch once the second one has begun, and counts the batches at work."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.at_work, self.most, self.lock, self.second = 0, 0, threading.Lock(), threading.Event()

    def compute(self, waveforms, threads=None):
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            if self.at_work == 2:
                self.second.set()
        assert self.second.wait(WAIT_S)
        try:
            return super().compute(waveforms, threads)
        finally:
            with self.lock:
                self.at_work -= 1


@pytest.fixture
def start(request):
    """Make a running engine; it is closed after the test."""
    engines = []

    def make(recogniser=None, **limits):
        engine = RecognitionEngine(recogniser or FakeRecogniser(), EngineLimits(**{"batch_wait_ms": 0.0, **limits}))
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.recogniser.gate.set()
        engine.close(WAIT_S)


def hold(engine, folder):
    """Keep the batcher busy with a window of one second, so that what comes now waits; return its task."""
    engine.recogniser.gate.clear()
    task = engine.submit(AudioInput(tone(folder, 1.0, 99)[0]))
    assert engine.recogniser.computing.acquire(timeout=WAIT_S)
    return task


def submit_and_wait(engine, path, **arguments):
    """Submit a recording of one window and wait until that is in the queue."""
    queue, before = engine._queue, engine.waiting_windows
    task = engine.submit(AudioInput(path), **arguments)
    with queue._changed:
        assert queue._changed.wait_for(lambda: len(queue) > before, WAIT_S)
    return task


def test_a_recording_has_its_own_text_whatever_is_beside_it(start, tmp_path):
    files = [tone(tmp_path, 0.5 + 0.1 * number, number) for number in range(12)]
    engine = start()
    tasks = [engine.submit(AudioInput(path)) for path, _ in files]
    texts = [task.transcript.result(WAIT_S).text for task in tasks]
    assert texts == [word_of(samples) for _, samples in files] and len(set(texts)) > 3
    assert engine.open_requests == engine.waiting_windows == 0


def test_batches_hold_seconds_of_audio_and_the_longest_waiting_come_first(start, tmp_path):
    engine = start(batch_audio_s=4.0)
    hold(engine, tmp_path)
    seconds = [1.0, 1.5, 2.0, 0.5, 9.0, 0.5]
    tasks = [submit_and_wait(engine, tone(tmp_path, length, n)[0]) for n, length in enumerate(seconds)]
    engine.recogniser.gate.set()
    for task in tasks:
        assert task.transcript.result(WAIT_S).error is None
    found = [[length / RATE for length in batch] for batch in engine.recogniser.batches]
    assert found == [[1.0], [1.0, 1.5], [2.0, 0.5], [9.0], [0.5]], "padding counts; a longer window is alone"


def test_a_long_recording_lets_others_pass(start, tmp_path):
    engine = start(FakeRecogniser(window_s=10.0), batch_audio_s=10.0)
    hold(engine, tmp_path)
    long, _ = tone(tmp_path, 200.0, 1)
    short, _ = tone(tmp_path, 0.5, 2)
    first, second = submit_and_wait(engine, long), submit_and_wait(engine, short)
    engine.recogniser.gate.set()
    second.transcript.result(WAIT_S)
    done = len(engine.recogniser.batches)
    assert first.transcript.result(WAIT_S).duration_s == 200.0
    assert done < len(engine.recogniser.batches) / 2


@pytest.mark.parametrize("num_workers", [2, 3])
def test_long_recordings_leave_a_reader_to_short_ones(start, tmp_path, num_workers):
    engine = start(FakeRecogniser(window_s=10.0), num_workers=num_workers, batch_size=1)
    hold(engine, tmp_path)
    paths = [tone(tmp_path, 60.0 + number, number)[0] for number in range(4)]
    long = [submit_and_wait(engine, path) for path in paths]  # all are begun, and some are read on later
    canceled = submit_and_wait(engine, tone(tmp_path, 70.0)[0])
    canceled.cancel()
    path, samples = tone(tmp_path, 0.5)
    short = submit_and_wait(engine, path)
    engine.recogniser.gate.set()
    assert short.transcript.result(WAIT_S).text == word_of(samples)
    for task, path in zip(long, paths, strict=True):
        words = [word_of(window.samples) for window in engine.recogniser.read(AudioInput(path))]
        assert task.transcript.result(WAIT_S).text == " ".join(words) and len(words) > 5
    assert engine.waiting_windows == 0


def test_the_queue_is_bounded_and_room_comes_back(start, tmp_path):
    engine = start(max_requests=2)
    path, _ = tone(tmp_path, 0.5)
    first = hold(engine, tmp_path)
    second = submit_and_wait(engine, path)
    with pytest.raises(QueueFullError) as refused:
        engine.submit(AudioInput(path))
    assert refused.value.retry_after_s >= 1
    second.cancel()
    third = engine.submit(AudioInput(path))
    engine.recogniser.gate.set()
    assert first.transcript.result(WAIT_S).text and third.transcript.result(WAIT_S).text
    assert second.transcript.cancelled()
    assert len(engine.recogniser.batches) == 2, "what was given up is not computed"


def test_text_comes_piece_by_piece_and_the_pieces_are_the_whole(start, tmp_path):
    engine, pieces = start(FakeRecogniser(window_s=10.0), batch_audio_s=10.0), []
    task = engine.submit(AudioInput(tone(tmp_path, 60.0)[0]), on_text=pieces.append)
    text = task.transcript.result(WAIT_S).text
    assert "".join(pieces) == text and len(pieces) > 3


def test_batches_at_the_same_time_keep_the_order_of_a_recording_and_every_text(start, tmp_path):
    engine, pieces = start(TwoAtATime(window_s=10.0), batch_audio_s=10.0, parallel_batches=2), []
    alone = start(FakeRecogniser(window_s=10.0)).submit(AudioInput(tone(tmp_path, 60.0)[0])).transcript.result(WAIT_S)
    long = engine.submit(AudioInput(tone(tmp_path, 60.0)[0]), on_text=pieces.append)
    files = [tone(tmp_path, 0.5 + 0.1 * number, number) for number in range(6)]
    tasks = [engine.submit(AudioInput(path)) for path, _ in files]
    assert [task.transcript.result(WAIT_S).text for task in tasks] == [word_of(samples) for _, samples in files]
    found = long.transcript.result(WAIT_S)
    assert "".join(pieces) == found.text and found.words == alone.words
    assert engine.recogniser.most == 2


def test_short_recordings_hardly_wait_for_a_long_one(start, tmp_path):
    engine = start(FakeRecogniser(window_s=10.0), batch_audio_s=10.0)
    hold(engine, tmp_path)
    long = submit_and_wait(engine, tone(tmp_path, 200.0, 1)[0])
    short = [submit_and_wait(engine, tone(tmp_path, 0.5 + number / 10, number)[0]) for number in range(3)]
    engine.recogniser.gate.set()
    for task in short:
        task.transcript.result(WAIT_S)
    assert long.transcript.result(WAIT_S).duration_s == 200.0
    assert [length / RATE for length in engine.recogniser.batches[1]] == [0.5, 0.6, 0.7], "before each long window"


def test_a_bad_file_and_a_failing_window_cost_nothing_else(start, tmp_path):
    engine = start()
    hold(engine, tmp_path)
    (tmp_path / "text.wav").write_text("no audio")
    broken = engine.submit(AudioInput(tmp_path / "text.wav"))
    assert broken.transcript.result(WAIT_S).error.startswith("unreadable_audio")
    files = [tone(tmp_path, 0.5 + 0.1 * number, number) for number in range(6)]
    words = [word_of(samples) for _, samples in files]
    tasks = [submit_and_wait(engine, path) for path, _ in files]
    engine.recogniser.poison = words[2]
    engine.recogniser.gate.set()
    for word, task in zip(words, tasks, strict=True):
        transcript = task.transcript.result(WAIT_S)
        assert (transcript.error, transcript.text) == ((FAILED, "") if word == words[2] else (None, word))


def test_too_long_a_recording_is_refused_before_it_is_all_read(start, tmp_path):
    engine = start(FakeRecogniser(window_s=10.0), max_audio_s=25.0)
    error = engine.submit(AudioInput(tone(tmp_path, 100.0)[0])).transcript.result(WAIT_S).error
    assert error.startswith("too_long: ") and "expected 25 s" in error
    assert len(engine.recogniser.batches) <= 8, "windows of 10 s that overlap by 8 s, up to second 25"


def test_closing_finishes_what_is_here_or_says_so(start, tmp_path):
    engine = start()
    tasks = [engine.submit(AudioInput(tone(tmp_path, 0.5, number)[0])) for number in range(3)]
    engine.close(WAIT_S)
    assert all(task.transcript.result(0).text for task in tasks)
    assert not engine.ready
    with pytest.raises(QueueFullError):
        engine.submit(AudioInput(tmp_path / "any.wav"))
    held = start()
    task = hold(held, tmp_path)
    held.close(0.05)
    assert task.transcript.result(0).error == STOPPED


@pytest.mark.parametrize(
    "name", ["max_requests", "num_workers", "parallel_batches", "batch_size", "batch_audio_s", "max_audio_s"]
)
def test_limits_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}=0: expected "):
        EngineLimits(**{name: 0})

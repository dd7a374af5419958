"""Several processes, or a Ray cluster, give what one process gives."""

import importlib.util
import random
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.batch_job import OutputPlan, run_job
from nemo_models.transcription.inputs import AudioInput, measure_durations
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.transcribe import transcribe
from nemo_models.transcription.workers import (
    PART_S,
    RecogniserSettings,
    cut_parts,
    make_engine,
    transcribe_in_workers,
)

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Eleven recordings of noise that rises and falls, and one that is not there."""
    folder, generator = tmp_path_factory.mktemp("audio"), np.random.default_rng(0)
    for number in range(11):
        time = np.arange(24_000 + 4_000 * number) / 16_000
        samples = 0.2 * generator.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * (number + 2) * time))
        soundfile.write(str(folder / f"{number}.wav"), np.clip(samples, -1, 1), 16_000)
    order = [3, 9, 0, 99, 5, 1, 10, 2, 8, 4, 7, 6]
    return measure_durations(AudioInput(folder / f"{number}.wav") for number in order)


@pytest.fixture(scope="module")
def settings(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.nemo"
    tiny_model.save_to(str(path))
    return RecogniserSettings(path, options=TranscribeOptions(batch_size=2, num_workers=0))


@pytest.fixture(scope="module")
def expected(tiny_model, inputs):
    configure_decoding(tiny_model)
    rows = _rows(transcribe(tiny_model, inputs))
    assert len({text for _, text, _ in rows}) > 8 and sum(error is not None for *_, error in rows) == 1
    return rows


def _rows(transcripts):
    ordered = sorted(transcripts, key=lambda transcript: transcript.index)
    return [(transcript.index, transcript.text, transcript.error) for transcript in ordered]


def make_forking_engine(workers):
    """Processes that have NeMo already; those that import it are started in tests/scripts/test_transcribe_speech.py."""
    return replace(make_engine("local", workers, None, use_cuda=False), start_method="fork")


@pytest.mark.slow
def test_two_processes_give_what_one_gives(settings, inputs, expected):
    assert _rows(transcribe_in_workers(settings, make_forking_engine(2), inputs)) == expected


@pytest.mark.slow
def test_a_killed_process_is_named_and_the_same_job_goes_on(settings, inputs, tmp_path, monkeypatch):
    """SIGKILL to one of two workers once the first rows are there, with most parts still to come."""
    monkeypatch.setattr("nemo_models.transcription.workers.PARTS_A_WORKER", 100)  # an input each, a few at a time

    def run(output, workers, add_row=lambda failed: None):
        engine = make_forking_engine(workers)
        progress = SimpleNamespace(add_done=lambda seconds: None, add_row=add_row)
        return run_job(partial(transcribe_in_workers, settings, engine), many, OutputPlan(output), "key", progress)

    def kill_a_worker(failed):
        if children := active_children():
            children[0].kill()

    many = inputs * 3
    whole = run(tmp_path / "whole.json", 1)
    assert (whole.inputs, whole.resumed, dict(whole.errors)) == (36, 0, {"missing_audio": 3})
    with pytest.raises(OSError, match=r"a worker process was killed, .* run the same command again"):
        run(tmp_path / "killed.json", 2, kill_a_worker)
    assert not active_children() and not (tmp_path / "killed.json").exists()
    again = run(tmp_path / "killed.json", 1)
    assert 1 <= again.resumed < 36
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.mark.slow
@needs_ray
def test_ray_gives_the_same(settings, inputs, expected, monkeypatch):
    """A cluster that loses its node is in tests/data_prep/test_engines.py."""
    monkeypatch.setenv("RAY_py_gcs_connect_timeout_s", "120")  # patience on busy machines
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at its 15 a busy machine would starve them
    assert _rows(transcribe_in_workers(settings, make_engine("ray", 1, None, use_cuda=False), inputs)) == expected


def test_parts_hold_each_input_once_and_are_of_like_size():
    generator = random.Random(0)
    for count, workers in ((1, 1), (5, 8), (1000, 2), (20_000, 8)):
        durations = [generator.uniform(0.5, 30) for _ in range(count)]
        parts = cut_parts(durations, workers)
        assert sorted(index for part in parts for index in part) == list(range(count))
        assert all(parts) and len(parts) >= min(count, 4 * workers)
        assert all(len(part) == 1 or sum(durations[index] for index in part) <= PART_S for part in parts)
    assert cut_parts([], 2) == []
    assert len(cut_parts([0.0] * 100, 2)) >= 8, "lengths that are not known are shared out too"
    assert cut_parts([7200.0, 1.0, 1.0], 1)[0] == [0], "a recording of hours is one part"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("local", 0, None), "devices=0: expected a whole number, 1 or more, or null"),
        (("local", True, None), "devices=True"),
        (("spark", 1, None), "engine=spark: expected one of local, ray"),
        (("local", 2, "auto"), "address=auto: expected null with engine=local"),
    ],
)
def test_wrong_settings_are_named(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        make_engine(*arguments, use_cuda=False)


def test_processes_share_the_cores_and_a_gpu_is_one_of_its_own(monkeypatch):
    monkeypatch.setattr("nemo_models.transcription.workers.count_cores", lambda: 8)
    assert [make_engine("local", devices, None, False).task_cores for devices in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert make_engine("ray", 4, None, use_cuda=True).task_gpus == 1

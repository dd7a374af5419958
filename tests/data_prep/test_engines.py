"""Where tasks run must not show in what they give; on Ray, not even when a node dies with work on it."""

import gc
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.engines import Engine, run_in_order

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray")


def double(number: int) -> int:
    time.sleep(0.01 * (number % 3))
    return 2 * number


@pytest.mark.parametrize("workers", [1, 3])
def test_local_results_come_whole_and_in_order(workers):
    assert sorted(Engine(num_workers=workers).run(double, range(40))) == list(range(0, 80, 2))
    assert list(run_in_order(Engine(num_workers=workers), double, range(40))) == list(range(0, 80, 2))


class Garbage:
    """An object in a circle, whose end leaves a file with the name of the process."""

    def __init__(self, folder: Path) -> None:
        self.itself, self.folder = self, folder

    def __del__(self) -> None:
        (self.folder / str(os.getpid())).touch()


def collect_garbage(_: int) -> int:
    gc.collect()
    return os.getpid()


def test_a_worker_leaves_the_garbage_of_its_parent_alone(tmp_path: Path):
    gc.disable()  # until the workers have started
    try:
        Garbage(tmp_path)
        workers = set(Engine(num_workers=2).run(collect_garbage, range(4)))
    finally:
        gc.enable()
    gc.collect()
    assert os.getpid() not in workers
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_tasks_are_drawn_only_as_they_are_needed():
    drawn = []

    def count() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    results = Engine(num_workers=2).run(double, count())
    next(results)
    assert len(drawn) <= 10  # four a worker are under way
    results.close()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"name": "spark"}, "engine=spark: expected one of local, ray"),
        ({"num_workers": 0}, "num_workers=0: expected a whole number, 1 or more"),
        ({"num_workers": True}, "num_workers=True"),
        ({"address": "auto"}, "address=auto: expected null with engine=local"),
    ],
)
def test_wrong_settings_are_named(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        Engine(**arguments)


def test_a_missing_ray_is_reported_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OSError, match="expected Ray to be installed; run: pip install"):
        list(Engine("ray").run(double, range(3)))


def read_outputs(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".units" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def check_errors_on_ray(address: str) -> None:
    def double_here(number: int) -> int:  # inside, so that it travels by value: workers do not know this file
        return 2 * number

    def fail(number: int) -> int:
        raise ValueError(f"task {number}")

    assert sorted(Engine("ray", address=address).run(double_here, range(20))) == list(range(0, 40, 2))
    with pytest.raises(ValueError, match=r"^task \d$"):
        list(Engine("ray", 2, address).run(fail, range(3)))


@needs_ray
@pytest.mark.slow
def test_a_ray_cluster_that_loses_a_node_gives_the_same_files(make_corpus, write_audio, prepare_command, tmp_path):
    """A cluster of two nodes, each with its own processes; the one that works on units is killed."""
    from ray.cluster_utils import Cluster

    rows = [(f"{number}.sox", f"s{number % 9}", "कमल खिला") for number in range(60)]
    for number, (path, *_) in enumerate(rows):
        wav = write_audio(tmp_path / f"corpus/{number}.wav", rate=44100, seconds=0.6, pitch=300 + number)
        subprocess.run(["sox", wav, tmp_path / "corpus" / path], check=True)
    slow_sox = tmp_path / "bin" / "sox"
    slow_sox.parent.mkdir()
    slow_sox.write_text('#!/bin/sh\nsleep 0.1\nexec /usr/bin/sox "$@"\n')
    slow_sox.chmod(0o755)
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{slow_sox.parent}:{os.environ['PATH']}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_log_monitor": False}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            doomed = cluster.add_node(**node)
            cluster.wait_for_nodes()
            check_errors_on_ray(cluster.address)
            command = [*prepare_command, f"corpus_dir={make_corpus(rows)}", "unit_size=3"]
            on_ray = [*command, f"output_dir={tmp_path / 'ray'}", "engine=ray", f"address={cluster.address}"]
            with subprocess.Popen(on_ray, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as job:
                units = tmp_path / "ray/.units"
                while len(list(units.glob("0*.jsonl"))) < 4:
                    assert job.poll() is None, job.stdout.read()
                    time.sleep(0.05)
                cluster.remove_node(doomed, allow_graceful=False)
                left = 20 - len(list(units.glob("0*.jsonl")))
                output = job.communicate(timeout=300)[0]
            assert job.returncode == 0, output
            assert left > 4 and "Traceback" not in output
        finally:
            cluster.shutdown()
    done = subprocess.run([*command, f"output_dir={tmp_path / 'local'}"], capture_output=True, check=True, text=True)
    assert "60 rows in, 60 kept" in done.stdout
    assert len(read_outputs(tmp_path / "local")) >= 65
    assert read_outputs(tmp_path / "ray") == read_outputs(tmp_path / "local")

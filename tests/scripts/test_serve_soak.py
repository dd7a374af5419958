"""The soak's bad clients against a server over a fake recogniser; its figures."""

import asyncio
import logging
import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest
import soundfile

from fake_recogniser import RATE, FakeRecogniser, speak
from nemo_models.serving.decoding_pool import DecodingPool
from project import ROOT
from serving_client import make_served, run_server

LEFT_S = 60


@pytest.fixture(autouse=True)
def scripts_find_each_other(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts/benchmarks"))


@pytest.mark.slow
def test_bad_clients_get_answers_and_good_ones_do_not_notice(tmp_path, caplog):
    from benchmarks.broken_audio import draw_files, encode_all
    from benchmarks.serve_faults import REALTIME, SIMPLE, count_ended, fuzz, go_away, leave_connections, upload_broken
    from benchmarks.serve_good_clients import GoodClients

    paths = [str(tmp_path / f"{number}.wav") for number in range(2)]
    for path, letters in zip(paths, ("कखग", "घच"), strict=True):
        soundfile.write(path, speak(letters), RATE)
    sources = encode_all(speak("कखगघच", rate=48_000), 48_000)
    recogniser, pool = FakeRecogniser(), DecodingPool(2, folder=tmp_path)
    recogniser.open_stream = pool.open
    served = make_served(tmp_path / "uploads", recogniser, idle_s=2.0, decoders=pool)
    with run_server(served) as address:
        host = address.removeprefix("http://")
        with GoodClients(host, paths) as good:
            ends = [asyncio.run(fuzz(host, path, 150, "0", clients=4)) for path in (SIMPLE, REALTIME)]
            broken = upload_broken(host, draw_files(sources, 28, "0"), clients=3)
            go_away(host, "a.wav", sources["wav"], 8, "0")
            with leave_connections(host, 40) as left:
                assert count_ended(left, LEFT_S) == 40
            good.pause()
            served_times = good.summary()
            good.go_on()
        end = time.monotonic() + LEFT_S
        while (served.streams or served.engine.open_requests) and time.monotonic() < end:
            time.sleep(0.05)
        assert not served.streams and not served.engine.open_requests
    assert not good.faults and served_times["upload"]["n"] and served_times["speak"]["n"]
    assert not broken.wrong and {200, 400} <= set(broken.statuses) and sum(broken.statuses.values()) == 28
    assert not any(found["silent"] for found in ends) and ends[0]["1008"] and ends[1]["answered"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert not list((tmp_path / "uploads").rglob("*/*")) and not list(tmp_path.glob("decode_*"))


def test_the_same_seed_draws_the_same_faults():
    from benchmarks.broken_audio import draw_files
    from benchmarks.serve_faults import REALTIME, SIMPLE, draw_message

    sources = {"wav": bytes(range(200)), "ogg": b"OggS" * 50}
    first, second = (list(draw_files(sources, 40, "1")) for _ in range(2))
    assert first == second != list(draw_files(sources, 40, "2"))
    assert [name for name, _ in first[:3]] == ["0.wav", "1.ogg", "2.wav"]
    assert sum(content not in sources.values() for _, content in first) > 30
    for path in (SIMPLE, REALTIME):
        drawn = [[draw_message(path, random.Random(seed)) for seed in range(300)] for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert Counter(map(type, drawn[0]))[str] > 100 and len({str(message) for message in drawn[0]}) > 100


def test_what_grows_is_found():
    from benchmarks.serve_resources import Resources
    from benchmarks.serve_soak import list_growing, measure_growth

    rows = [Resources(100.0 + 2 * number, 50.0, 8, 12 + min(number, 1), 20 + number, 0) for number in range(3)]
    assert measure_growth(rows)["memory_mb"] == 4.0
    assert list_growing(rows) == ["memory_mb", "open_files"]
    assert list_growing(rows[:2]) == []


def test_a_process_is_measured_with_its_children(tmp_path):
    from benchmarks.serve_resources import count_temporary_files, measure_resources

    (tmp_path / "in_use").touch()
    before = measure_resources(os.getpid(), tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        during = measure_resources(os.getpid(), tmp_path)
        child.communicate(b"\n")
    assert during.processes == before.processes + 1 and during.open_files == before.open_files + 1
    assert before.memory_mb > 1 and before.threads >= 1 and before.temporary_files == 0
    assert count_temporary_files(tmp_path) == 1


def test_processor_time_counts_a_process_and_its_children():
    from benchmarks.serve_resources import measure_cpu_s

    burn = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); sys.stdin.read()"
    command = ["sh", "-c", '"$0" -c "$1"; exit', sys.executable, burn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout.readline()
        assert measure_cpu_s(shell.pid) >= 0.25, "its child's; the system counts in hundredths"
        shell.communicate(b"")
    assert measure_cpu_s(shell.pid) == 0.0

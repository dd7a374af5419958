"""The server's benchmark: its figures, its clients against a server over a fake recogniser, its messages."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from benchmarks.random_model import find_recipe
from benchmarks.serve_figures import (
    compare_ends,
    count_broken,
    count_changes,
    find_room,
    find_sustained,
    measure_churn,
    summarise,
)
from fake_recogniser import WORDS
from project import ROOT
from serving_client import make_served, run_server

CLIENTS = ROOT / "scripts/benchmarks/serve_clients.py"


def test_percentiles_are_milliseconds():
    assert summarise([]) is None
    assert summarise([0.1] * 99 + [1.0]) == {"p50": 100.0, "p90": 100.0, "p95": 100.0, "p99": 109.0, "n": 100}


@pytest.mark.parametrize(
    ("texts", "counts", "counts_but_growth"),
    [
        ([], (0, 0), (0, 0)),
        (["a", "a b", "a b c"], (3, 0), (3, 0)),
        (["a he", "a hello"], (3, 1), (2, 0)),
        (["a he", "a hello b"], (4, 1), (3, 0)),
        (["a b c", "a x c"], (5, 2), (5, 2)),
        (["a b", "a"], (2, 1), (2, 1)),
        (["a", "", "b"], (2, 1), (2, 1)),
    ],
)
def test_words_that_change_after_they_were_shown(texts, counts, counts_but_growth):
    assert count_changes(texts) == counts
    assert count_changes(texts, lets_last_grow=True) == counts_but_growth


def test_churn_is_a_share_of_all_words_shown():
    assert measure_churn([["a b", "a c"], ["d"]]) == 0.25
    assert measure_churn([[]]) is None


def test_stable_texts_that_change_are_counted():
    assert count_broken([["", "a", "a bc"], ["a b", "a c", "a cd"], []]) == 1


def test_delays_at_both_ends_are_compared():
    rows = [(place, 0.1 if place < 50 else 0.3) for place in range(1, 101)]
    found = compare_ends(rows, 0.1)
    assert (found["start_ms"]["p50"], found["end_ms"]["p50"], found["growth_ms"]) == (100.0, 300.0, 200.0)
    assert compare_ends([], 0.1)["growth_ms"] is None


def test_streams_are_sustained_up_to_the_first_row_that_fails():
    def row(streams: int, final_ms: float, growth_ms: float) -> dict[str, object]:
        return {"streams": streams, "finalisation_ms": {"p95": final_ms}, "lag_growth_ms": growth_ms}

    rows = [row(1, 100, 0), row(2, 300, 50), row(4, 100, 51), row(8, 100, 0)]
    assert find_sustained(rows, 300, 50) == 2
    assert find_sustained([row(1, 301, 0)], 300, 50) == 0
    assert find_sustained([{**row(1, 1, 0), "finalisation_ms": None}], 300, 50) == 0


def test_the_room_is_the_quietest_stretch():
    wave = np.full(16_000, 100, np.int16)
    wave[8_000:9_600] = 1
    assert find_room(wave, 16_000).tolist() == [1] * 1600


def test_a_recipe_is_found_by_its_name_alone():
    assert find_recipe("xlsr_53").name == "xlsr_53.yaml"
    assert find_recipe("model.nemo") is find_recipe("../serve") is find_recipe("xlsr_53/../xlsr_53") is None


@pytest.mark.slow
def test_clients_note_what_a_server_says(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.2 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    plan = {"paths": [str(path)], "streams": 2, "seconds": 2, "chunk_s": 0.1, "seed": 0, "speed": 4.0, "pauses": False}
    uploads = {"clients": 2, "paths": [str(path)] * 3, "url": "/v1/audio/transcriptions", "model": "tiny"}
    with run_server(make_served(tmp_path / "uploads")) as address:
        for kind, rows in (("streams", plan), ("uploads", uploads)):
            host = address.removeprefix("http://")
            (tmp_path / "plan.json").write_text(json.dumps({"host": host, **rows}))
            done = subprocess.run(
                [sys.executable, CLIENTS, kind, tmp_path / "plan.json"], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            if kind == "uploads":
                assert [status for status, _, _ in found["answers"]] == [200] * 3 and found["client_cpu_s"] > 0
                assert all(set(text.split()) <= set(WORDS) for _, text, _ in found["answers"])
                continue
            for report in found:
                assert report["sent"] == report["received"] == report["covered"] == 32_000
                assert len(report["utterances"]) == 2 and not report["errors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.nemo", "no.json"], "no.nemo: found no file, expected a .nemo file or a recipe"),
        (["model.nemo", "no.json"], "no.json: found no file, expected a manifest"),
        (["model.nemo", "test.json", "itn"], "itn: expected key=value"),
        (["model.nemo", "test.json", "--streams", "0"], "--streams=0: expected 1 or more"),
        (["model.nemo", "test.json", "--speed", "0"], "--speed=0.0: expected a number above 0"),
        (["model.nemo", "test.json"], "2 channels, expected 1"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.syspath_prepend(str(ROOT / "scripts/benchmarks"))
    from benchmarks import serve

    monkeypatch.setattr("signal.signal", lambda *_: None)

    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros((1600, 2)), 16_000)
    (tmp_path / "model.nemo").touch()
    (tmp_path / "test.json").write_text(json.dumps({"audio_filepath": "a.wav", "duration": 0.1, "text": "x"}) + "\n")
    monkeypatch.setattr(sys, "argv", ["serve.py", *arguments])
    assert serve.main() == 1
    assert message in capsys.readouterr().err

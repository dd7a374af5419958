"""Replicas on Ray Serve: one that dies amid load costs nothing; without any, clients are told."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fake_recogniser import FRAME_STEP, RATE, VOCABULARY, FakeRecogniser, speak
from fake_replica import load_mortal
from nemo_models.serving.cluster import start_replicas
from nemo_models.serving.cluster_engine import ClusterEngine
from nemo_models.serving.cluster_options import ClusterOptions
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.replica import ModelFacts
from nemo_models.transcription.inputs import AudioInput
from serving_client import make_served, run_server

PATH = "/v1/audio/transcriptions"
WAIT_S = 120
FACTS = ModelFacts(("tiny", "whisper-1"), 1_700_000_000, RATE, FRAME_STEP, tuple(VOCABULARY), True, True)


def write_recordings(folder, count=24):
    generator, paths = np.random.default_rng(0), [folder / f"{number}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, 0.1 * generator.standard_normal(25 * RATE), RATE)
    return paths


def serve_cluster(folder, engine):
    served = make_served(folder)
    served.engine = engine
    return served


@pytest.mark.slow
def test_a_replica_that_dies_amid_load_loses_nothing(tmp_path, monkeypatch):
    """Each recording has several windows; the replica dies while it computes one, and others wait for it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    paths, order = write_recordings(tmp_path), tmp_path / "die"
    local = make_served(tmp_path / "local", FakeRecogniser(window_s=10.0))
    local.engine.start()
    expected = [local.engine.submit(AudioInput(path)).transcript.result(WAIT_S).text for path in paths]
    local.engine.close()
    assert len(set(expected)) > 5
    engine, facts = start_replicas(partial(load_mortal, order), ClusterOptions(replicas=2), EngineLimits(), tmp_path)
    assert facts == FACTS
    with run_server(serve_cluster(tmp_path, engine)) as address:

        def post(path, stream):
            with path.open("rb") as file:
                data = {"model": "tiny", "stream": "true"} if stream else {"model": "tiny"}
                return httpx.post(address + PATH, data=data, files={"file": (path.name, file)}, timeout=WAIT_S)

        with (
            ThreadPoolExecutor(8) as clients,
            connect(address.replace("http", "ws") + "/v1/stream", compression=None) as stream,
        ):
            stream.send(json.dumps({"type": "start", "sample_rate": RATE}))
            answers = [clients.submit(post, path, number % 2) for number, path in enumerate(paths)]
            samples = np.round(speak("कखगघ", 0.5) * 32767).astype("<i2")
            stream.send(samples[:RATE].tobytes())
            answers[3].result(WAIT_S)
            order.touch()
            while order.exists():
                time.sleep(0.05)
            stream.send(samples[RATE:].tobytes())
            stream.send('{"type": "end"}')
            rows = []
            with pytest.raises(ConnectionClosed):
                while True:
                    rows.append(json.loads(stream.recv(WAIT_S)))
            for number, (answer, text) in enumerate(zip(answers, expected, strict=True)):
                body = answer.result(WAIT_S)
                assert body.status_code == 200, body.text
                if number % 2:
                    *deltas, done = [json.loads(part.removeprefix("data: ")) for part in body.text.split("\n\n")[:-2]]
                    assert "".join(delta["delta"] for delta in deltas) == done["text"] == text
                else:
                    assert body.json()["text"] == text
        (final,) = [row for row in rows if row["type"] == "final"]
        assert (final["start_sample"], final["end_sample"]) == (0, len(samples)) and final["text"]
        error = httpx.post(
            address + PATH, data={"model": "tiny"}, files={"file": ("a.wav", b"no audio")}, timeout=WAIT_S
        )
        assert error.status_code == 400 and "unreadable_audio: a.wav" in error.json()["error"]["message"]


class LostHandle:
    """A handle whose replicas are all dead."""

    def options(self, **_):
        return self

    def __getattr__(self, name):
        return self

    def remote(self, *_):
        from ray.exceptions import RayActorError

        raise RayActorError()


def test_without_any_replica_clients_are_told_to_come_again(tmp_path):
    served = serve_cluster(tmp_path, ClusterEngine(LostHandle(), FACTS, lost_s=0.1))
    (path,) = write_recordings(tmp_path, 1)
    with run_server(served) as address:
        with path.open("rb") as file:
            answer = httpx.post(address + PATH, data={"model": "tiny"}, files={"file": file}, timeout=WAIT_S)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "no_replica"
        rows = []
        with connect(address.replace("http", "ws") + "/v1/stream") as stream:
            stream.send(json.dumps({"type": "start", "sample_rate": RATE}))
            stream.send(np.round(speak("कख") * 32767).astype("<i2").tobytes())
            stream.send('{"type": "finalize"}')
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    rows.append(json.loads(stream.recv(WAIT_S)))
        assert closed.value.rcvd.code == 1012
        assert [row["error"]["code"] for row in rows if row["type"] == "error"] == ["no_replica", "stopped"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicas": 0}, "^replicas=0: expected "),
        ({"cores": 0}, "^replica_cores=0: expected "),
        ({"gpus": -1}, "^replica_gpus=-1: expected "),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ClusterOptions(**options)

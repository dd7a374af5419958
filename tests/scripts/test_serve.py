"""scripts/serve.py as a user runs it, beside scripts/transcribe_speech.py."""

import json
import re
import signal
import subprocess
import sys

import httpx
import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from data_prep.job_settings import read_settings
from nemo_models.serving.command import describe_address, run_server
from nemo_models.serving.settings import ServeSettings
from project import ROOT


@pytest.fixture(scope="module")
def place(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    tiny_model.save_to(str(folder / "tiny.nemo"))
    (folder / "audio").mkdir()
    generator = np.random.default_rng(0)
    for name, seconds, rate in (("a.wav", 0.8, 16_000), ("b.flac", 1.4, 44_100), ("c.wav", 33.0, 8_000)):
        soundfile.write(folder / "audio" / name, 0.2 * generator.standard_normal(round(rate * seconds)), rate)
    (folder / "audio/d.wav").write_text("no audio")
    return folder


@pytest.mark.slow
def test_texts_are_those_of_the_batch_job_and_a_signal_ends_the_server(place, warm_python):
    common = ("model_path=tiny.nemo", "cuda=-1", "window_s=12")
    done = warm_python.run(ROOT / "scripts/transcribe_speech.py", *common, "audio_dir=audio", folder=place)
    assert done.returncode == 3, done.stderr
    rows = [json.loads(line) for line in (place / "audio.json").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4 and sum("error" in row for row in rows) == 1

    command = [sys.executable, str(ROOT / "scripts/serve.py"), *common, "port=0", "temporary_dir=uploads"]
    with (
        (place / "log").open("w") as log,
        subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            address = server.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:"), (place / "log").read_text()
            retry = httpx.HTTPTransport(retries=10)  # the port is open before the server answers
            with httpx.Client(base_url=address, timeout=300, transport=retry) as client:
                while client.get(address.removesuffix("/v1") + "/health/ready").status_code != 200:
                    assert server.poll() is None
                for row in rows:
                    data = {"model": "tiny", "response_format": "verbose_json", "timestamp_granularities[]": "word"}
                    with (place / row["audio_filepath"]).open("rb") as file:
                        answer = client.post("audio/transcriptions", data=data, files={"file": file})
                    if "error" in row:
                        assert answer.status_code == 400, answer.text
                        continue
                    found = answer.json()
                    assert (found["text"], found["words"]) == (row["pred_text"], row["words"])
                    assert found["duration"] == row["duration"]
        finally:
            server.send_signal(signal.SIGTERM)
            status = server.wait(60)
    log = (place / "log").read_text()
    assert status in (0, -signal.SIGTERM) and "Traceback" not in log, log
    assert '"path": "/v1/audio/transcriptions", "status": 200' in log and rows[0]["pred_text"] not in log
    assert not [path for path in (place / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "no.nemo"),
        ({"port": 99999}, "port=99999: expected a number, 0 or more, 65535 or less"),
        ({"max_requests": 0}, "max_requests=0: expected a whole number, 1 or more"),
        ({"timeout_s": 0.0}, "timeout_s=0.0: expected a number, above 0"),
        ({"channel_selector": "each"}, "channel_selector=each: expected auto"),
        ({"matmul_precision": "low"}, "matmul_precision=low: expected one of highest"),
        ({"api_key_file": "no_keys"}, "no_keys"),
    ],
)
def test_wrong_arguments_are_named_before_the_model_is_loaded(tmp_path, monkeypatch, changed, message):
    monkeypatch.chdir(tmp_path)
    arguments = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/serve.yaml"))
    with pytest.raises((ValueError, OSError), match=re.escape(message)):
        run_server(read_settings(ServeSettings, {**arguments, "model_path": "no.nemo", **changed}))


def test_an_open_server_without_a_key_is_warned_of():
    assert "warning" not in describe_address("127.0.0.1", 8000, False)
    assert "warning" not in describe_address("0.0.0.0", 8000, True)
    assert "warning: other machines may use this server" in describe_address("0.0.0.0", 8000, False)
    assert describe_address("::1", 1, False).startswith("http://[::1]:1/v1 ")

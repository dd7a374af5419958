"""OpenAI's REST contract: every format, field and error, over a recogniser that says what it was given."""

import io
import json
import os
import re
import socket
import time
from contextlib import suppress

import httpx
import numpy as np
import openai
import pytest
import soundfile

from fake_recogniser import RATE, FakeRecogniser, word_of
from nemo_models.serving.request_guard import read_keys
from nemo_models.serving.uploads import UploadFolder
from nemo_models.transcription.inputs import AudioInput
from serving_client import client_of, make_served, run_server

PATH = "/v1/audio/transcriptions"


def make_wav(seconds=0.7, frequency=200.0, rate=RATE):
    """The bytes of a WAV file and the word that the fake recogniser has for it."""
    samples, file = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate), io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    decoded = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]
    return file.getvalue(), word_of(decoded)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("uploads"), FakeRecogniser(window_s=10.0))
    with client_of(served) as client:
        client.served = served
        yield client
    assert not served.uploads.path.exists()


def post(client, content=None, name="a.wav", **fields):
    data = {"model": "tiny", **fields}
    return client.post(PATH, data=data, files={"file": (name, make_wav()[0] if content is None else content)})


def error_of(response, status):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"] and "/tmp" not in error["message"]
    return error


def test_json_and_text(server):
    content, word = make_wav()
    answer = post(server, content)
    assert answer.json() == {"text": word, "usage": {"type": "duration", "seconds": 1}}
    assert answer.headers["content-type"] == "application/json"
    plain = post(server, content, response_format="text")
    assert plain.text == f"{word}\n" and plain.headers["content-type"].startswith("text/plain")
    assert not [path for path in server.served.uploads.path.iterdir() if path.name != "in_use"]


def test_subtitles(server):
    content, word = make_wav(1.5)
    assert post(server, content, response_format="srt").text == f"1\n00:00:00,000 --> 00:00:01,500\n{word}\n\n"
    assert post(server, content, response_format="vtt").text == (f"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n{word}\n\n")


@pytest.mark.parametrize("key", ["timestamp_granularities[]", "timestamp_granularities"])
def test_verbose_json_has_every_field_that_clients_ask_for(server, key):
    content, word = make_wav(1.5)
    row = post(server, content, response_format="verbose_json", **{key: ["word", "segment"]}).json()
    assert row["task"] == "transcribe" and row["language"] == "hindi" and row["duration"] == 1.5
    assert row["words"] == [{"word": word, "start": 0.0, "end": 1.5, "confidence": 0.75}]
    (segment,) = row["segments"]
    assert {"id", "seek", "start", "end", "text", "tokens", "temperature"} < set(segment)
    assert {"avg_logprob", "compression_ratio", "no_speech_prob"} < set(segment)
    assert segment["text"] == row["text"] == word and segment["avg_logprob"] == pytest.approx(np.log(0.75), abs=1e-4)
    only = post(server, content, response_format="verbose_json", **{key: "word"}).json()
    assert "words" in only and "segments" not in only
    usual = post(server, content, response_format="verbose_json").json()
    assert "segments" in usual and "words" not in usual


def events_of(text):
    assert text.endswith("\n\n")
    return [part.removeprefix("data: ") for part in text.split("\n\n")[:-1]]


def test_stream_sends_pieces_whose_sum_is_the_text(server):
    content, _ = make_wav(40.0)
    expected = post(server, content).json()["text"]
    answer = post(server, content, stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, end = events_of(answer.text)
    *deltas, done = map(json.loads, events)
    assert end == "[DONE]" and done == {"type": "transcript.text.done", "text": expected}
    assert {delta["type"] for delta in deltas} == {"transcript.text.delta"} and len(deltas) > 1
    assert "".join(delta["delta"] for delta in deltas) == expected
    error_of(post(server, b"no audio", stream="true"), 400)


def test_the_last_event_of_verbose_json_has_its_fields(server):
    content, _ = make_wav(40.0)
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    expected = post(server, content, **fields).json()
    *deltas, done, end = events_of(post(server, content, stream="true", **fields).text)
    del expected["usage"]  # OpenAI's event has one of another form
    assert end == "[DONE]" and json.loads(done) == {**expected, "type": "transcript.text.done"}
    assert "".join(json.loads(delta)["delta"] for delta in deltas) == expected["text"]


def test_prompt_is_phrases_to_prefer(server):
    seen, opened = [], server.served.engine.recogniser.open
    server.served.engine.recogniser.open = lambda audio, phrases: seen.append(phrases) or opened(audio, phrases)
    answer = post(server, prompt="दो तीन, आठ।\nHello, दो  तीन")
    del server.served.engine.recogniser.open
    assert seen == [("आठ", "दो तीन")] and answer.headers["x-prompt-left-out"] == "1"


@pytest.mark.parametrize("language", ["hi", "HI", "hin", "Hindi", "hi-IN"])
def test_the_models_language_may_be_named(server, language):
    assert post(server, language=language).status_code == 200


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("language", "en"),
        ("response_format", "docx"),
        ("response_format", "diarized_json"),
        ("timestamp_granularities[]", "sentence"),
        ("temperature", "hot"),
        ("temperature", "2"),
        ("stream", "maybe"),
        ("include[]", "logprobs"),
        ("best_of", "5"),
    ],
)
def test_a_wrong_field_is_named(server, key, value):
    fields = {"response_format": "verbose_json"} if key.startswith("timestamp") else {}
    error = error_of(post(server, **{**fields, key: value}), 400)
    assert error["param"] == key and error["message"].startswith(f"{key}={value}: expected ")


def test_combinations_that_do_not_fit_are_refused(server):
    error = error_of(post(server, **{"timestamp_granularities[]": "word"}), 400)
    assert error["param"] == "response_format"
    assert error_of(post(server, stream="true", response_format="srt"), 400)["param"] == "stream"


def test_models(server):
    assert [row["id"] for row in server.get("/v1/models").json()["data"]] == ["tiny", "whisper-1"]
    row = server.get("/v1/models/tiny").json()
    assert row["object"] == "model" and row["word_times"] is True
    assert error_of(server.get("/v1/models/other"), 404)["code"] == "model_not_found"
    assert error_of(post(server, model="other"), 404)["param"] == "model"
    assert error_of(server.post(PATH, files={"file": ("a.wav", make_wav()[0])}), 400)["param"] == "model"


def test_health_and_metrics(server):
    assert server.get("/health/live").status_code == server.get("/health/ready").status_code == 200
    post(server)
    metrics = server.get("/metrics").text
    assert re.search(r'^hindi_asr_requests_total\{path="/v1/audio/transcriptions",status="200"\} [1-9]', metrics, re.M)
    assert "hindi_asr_batch_windows_bucket" in metrics and "hindi_asr_waiting_windows 0.0" in metrics
    server.get("/no/such/path")
    assert 'path="other",status="404"' in server.get("/metrics").text


def test_bad_audio_and_bad_forms(server):
    error = error_of(post(server, b"this is no audio" * 100, name="talk.mp3"), 400)
    assert (error["code"], error["param"]) == ("unreadable_audio", "file") and "talk.mp3" in error["message"]
    assert error_of(post(server, b""), 400)["code"] == "empty_file"
    assert error_of(post(server, make_wav(0.001)[0]), 400)["code"] == "too_short"
    assert error_of(server.post(PATH, data={"model": "tiny"}, files={"x": b"1"}), 400)["param"] == "file"
    assert error_of(server.post(PATH, json={"model": "tiny"}), 415)["code"] == "unsupported_media_type"
    half = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
    for content in (half, b"--b\r\nnonsense", b""):
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        error_of(server.post(PATH, content=content, headers=kind), 400)
    assert error_of(server.post(PATH, content=half, headers={"Content-Type": "multipart/form-data"}), 400)
    assert error_of(server.get(PATH), 405) and error_of(server.get("/v1/other"), 404)
    assert post(server).status_code == 200


def test_what_a_client_wrote_comes_back_in_any_character_set(server):
    body = '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n\\ud800\r\n'
    body += '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\naudio\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b; charset=unicode_escape"}
    error = error_of(server.post(PATH, content=body.encode(), headers=headers), 404)
    assert error["param"] == "model" and "\ud800" in error["message"]


def test_request_ids(server):
    assert re.fullmatch(r"req_[0-9a-f]{32}", post(server).headers["x-request-id"])
    assert server.get("/v1/models", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert server.get("/v1/models", headers={"x-request-id": "a b"}).headers["x-request-id"].startswith("req_")


def test_too_large_uploads_are_refused_while_they_come(server):
    assert error_of(post(server, bytes(2_000_001)), 413)["code"] == "file_too_large"
    assert error_of(post(server, bytes(4_000_000)), 413)["code"] == "file_too_large"
    sent = []

    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(1 << 20)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.WriteError, httpx.ReadError):  # the server hangs up while the client still sends
        error_of(server.post(PATH, content=endless(), headers=headers), 413)
    assert len(sent) < 500


def test_recordings_that_last_too_long_and_full_queues(tmp_path):
    served = make_served(tmp_path, FakeRecogniser(window_s=10.0), {"max_audio_s": 20.0, "max_requests": 1})
    with client_of(served) as client:
        assert error_of(post(client, make_wav(30.0)[0]), 413)["code"] == "too_long"
        served.engine.recogniser.gate.clear()
        (tmp_path / "a.wav").write_bytes(make_wav()[0])
        task = served.engine.submit(AudioInput(tmp_path / "a.wav"))
        answer = post(client)
        assert error_of(answer, 429)["code"] == "too_many_requests" and int(answer.headers["retry-after"]) >= 1
        served.engine.recogniser.gate.set()
        assert task.transcript.result(60).text
        assert post(client).status_code == 200


def test_no_result_in_time(tmp_path):
    served = make_served(tmp_path, timeout_s=0.05)
    with client_of(served) as client:
        served.engine.recogniser.gate.clear()
        assert error_of(post(client), 504)["code"] == "timeout"
        assert served.engine.open_requests == 0


def test_slow_uploads_end(tmp_path):
    with (
        run_server(make_served(tmp_path, idle_s=0.1)) as address,
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=60) as connection,
    ):
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--b\r\n".encode())
        assert b" 408 " in connection.recv(1000)


def test_a_client_that_goes_away_leaves_nothing(tmp_path):
    served = make_served(tmp_path)
    with (
        run_server(served) as address,
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=60) as connection,
    ):
        served.engine.recogniser.gate.clear()
        body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntiny\r\n--b\r\n'
        body += (
            b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + make_wav()[0] + b"\r\n--b--\r\n"
        )
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert served.engine.recogniser.computing.acquire(timeout=60)
        connection.close()
        with served.engine._changed:
            assert served.engine._changed.wait_for(lambda: not served.engine.open_requests, 60)


def test_keys(tmp_path):
    with client_of(make_served(tmp_path), keys=["one", "two"]) as client:
        assert client.get("/health/ready").status_code == 200
        for headers in ({}, {"Authorization": "Bearer three"}, {"Authorization": "one"}):
            assert error_of(client.get("/v1/models", headers=headers), 401)["type"] == "authentication_error"
        assert client.get("/v1/models", headers={"Authorization": "Bearer two"}).status_code == 200
    (tmp_path / "keys").write_text("# ours\n\nfirst\nsecond\n")
    assert read_keys(tmp_path / "keys", {"HINDI_ASR_API_KEY": "third"}) == ["third", "first", "second"]
    (tmp_path / "keys").write_text("\n")
    with pytest.raises(ValueError, match=r"^api_key_file=.*: found no key"):
        read_keys(tmp_path / "keys", {})


def test_too_many_connections(tmp_path):
    with client_of(make_served(tmp_path), max_connections=0) as client:
        answer = post(client)
        assert error_of(answer, 503)["code"] == "too_many_connections" and answer.headers["retry-after"]
        assert client.get("/health/live").status_code == 200


def test_folders_of_killed_servers_are_removed(tmp_path):
    running, killed = UploadFolder(tmp_path), UploadFolder(tmp_path)
    (killed.path / "upload").write_bytes(b"1")
    killed._lock.close()  # as the system does when the process ends
    shared = running.path.parent
    for name, age_s in (("begun", 0), ("forgotten", 7200)):
        (shared / name).mkdir()
        os.utime(shared / name, (time.time() - age_s,) * 2)
    new = UploadFolder(tmp_path)
    assert running.path.exists() and new.path.exists() and not killed.path.exists()
    assert (shared / "begun").exists() and not (shared / "forgotten").exists()
    for folder in (running, new):
        folder.close()


def test_the_official_client_works_unchanged(server):
    content, _ = make_wav(40.0)
    client = openai.OpenAI(api_key="any", base_url=f"{server.base_url}/v1", max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny", "whisper-1"]
    file = ("talk.wav", content)
    create = client.audio.transcriptions.create
    text = create(model="whisper-1", file=file, language="hi", prompt="दो, तीन", temperature=0).text
    assert text
    assert create(model="tiny", file=file, response_format="text") == f"{text}\n"
    assert create(model="tiny", file=file, response_format="srt").startswith("1\n00:00:00,000 --> ")
    assert create(model="tiny", file=file, response_format="vtt").startswith("WEBVTT\n\n")
    verbose = create(
        model="tiny", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.duration == 40.0 and verbose.text == text and verbose.usage.seconds == 40
    assert " ".join(word.word for word in verbose.words) == text
    assert " ".join(segment.text for segment in verbose.segments) == text
    *deltas, done = create(model="tiny", file=file, stream=True)
    assert "".join(event.delta for event in deltas) == done.text == text
    with pytest.raises(openai.BadRequestError, match="unreadable_audio"):
        create(model="tiny", file=("talk.wav", b"no audio"))
    with pytest.raises(openai.NotFoundError, match="expected one of tiny, whisper-1"):
        create(model="gpt-4o-transcribe", file=file)

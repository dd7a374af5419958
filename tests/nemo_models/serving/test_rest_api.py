"""OpenAI's REST contract: every format, field and error, over a recogniser that says what it was given."""

import json
import re

import numpy as np
import openai
import pytest

from fake_recogniser import FakeRecogniser
from nemo_models.serving.request_guard import read_keys
from nemo_models.transcription.inputs import AudioInput
from rest_client import PATH, error_of, make_wav, post
from serving_client import client_of, make_served


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("uploads"), FakeRecogniser(window_s=10.0))
    with client_of(served) as client:
        client.served = served
        yield client
    assert not served.uploads.path.exists()


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

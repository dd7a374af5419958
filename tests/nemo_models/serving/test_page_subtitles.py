"""Subtitles for the words that the page has."""

import json

import pytest
import soundfile

from fake_recogniser import FakeRecogniser, speak
from nemo_models.serving.web_page import WORD_BYTES, read_words
from serving_client import client_of, make_served


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with client_of(make_served(tmp_path_factory.mktemp("uploads"), FakeRecogniser(window_s=10.0))) as client:
        yield client


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_subtitles_of_words_are_those_of_the_recording(client, tmp_path, name):
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, speak("कखगघचछज   " * 13), 16_000)  # 39 s with pauses: several words

    def post(**fields):
        with talk.open("rb") as file:
            return client.post("/v1/audio/transcriptions", files={"file": file}, data={"model": "tiny", **fields})

    expected = post(response_format=name)
    words = post(response_format="verbose_json", **{"timestamp_granularities[]": "word"}).json()["words"]
    answer = client.post(f"/page/subtitles/{name}", json=words)
    assert len(words) > 1 and answer.status_code == 200
    assert answer.text == expected.text and answer.headers["content-type"] == expected.headers["content-type"]


def test_subtitles_of_words_that_overlap_or_are_blank(client):
    words = [
        {"word": "एक", "start": 0, "end": 1.5, "confidence": 0.5},
        {"word": " ", "start": 1.5, "end": 1.5},
        {"word": "दो\n\n3", "start": 1.0, "end": 2},
    ]
    answer = client.post("/page/subtitles/srt", json=words)
    assert answer.text == "1\n00:00:00,000 --> 00:00:02,000\nएक दो 3\n\n"
    assert [(word.start_s, word.end_s) for word in read_words(json.dumps(words).encode())] == [(0, 1.5), (1.5, 2)]
    assert client.post("/page/subtitles/srt", json=[]).text == ""
    assert client.post("/page/subtitles/vtt", json=[]).text.strip() == "WEBVTT"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        pytest.param(b"", "words", id="empty"),
        pytest.param(b"\xff", "words", id="not_text"),
        pytest.param(b"[" * 100_000, "words", id="deep"),
        pytest.param(b'{"word": 1}', "words", id="an_object"),
        pytest.param(b"[1]", "words[0]", id="a_number"),
        pytest.param(b'[{"word": "a", "start": 0, "end": 1}, {"word": "a", "start": 0}]', "words[1]", id="no_end"),
        pytest.param(b'[{"word": 1, "start": 0, "end": 1}]', "words[0]", id="word_a_number"),
        pytest.param(b'[{"word": "a", "start": true, "end": 1}]', "words[0]", id="time_a_truth_value"),
        pytest.param(b'[{"word": "a", "start": NaN, "end": 1}]', "words[0]", id="time_not_a_number"),
        pytest.param(b'[{"word": "\\ud800", "start": 0, "end": 1}]', "words[0]", id="half_a_character"),
        pytest.param(b'[{"word": "a", "start": -1, "end": 1}]', "words[0]", id="time_below_0"),
        pytest.param(b'[{"word": "a", "start": 0, "end": 1e9}]', "words[0]", id="time_too_late"),
    ],
)
def test_other_content_is_refused_with_its_place(client, content, place):
    answer = client.post("/page/subtitles/srt", content=content)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["code"] == "invalid_words"
    assert error["message"].startswith(f"{place}: found ") and len(error["message"]) < 200


def test_subtitles_have_limits(client, tmp_path):
    assert client.post("/page/subtitles/srt", content=b" " * (WORD_BYTES + 1)).status_code == 413
    assert client.post("/page/subtitles/docx", content=b"[]").json()["error"]["param"] == "format"
    assert client.get("/page/subtitles/srt").status_code == 405
    with client_of(make_served(tmp_path), keys=["one"]) as guarded:
        assert guarded.post("/page/subtitles/srt", content=b"[]").status_code == 401

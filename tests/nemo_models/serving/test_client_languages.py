"""A server of a model that has several languages: what clients may ask for, and what they get."""

import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import torch
from websockets.sync.client import connect

import nemo_models
from data_prep.languages.language import load_language
from data_prep.text.alphabet import load_alphabet
from fake_recogniser import RATE, speak
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.serving.api_errors import ApiError
from nemo_models.serving.client_languages import load_languages, name_language, read_language
from nemo_models.serving.cluster_engine import _pack
from nemo_models.serving.recogniser import ModelRecogniser
from nemo_models.serving.web_page import fill_page
from nemo_models.transcription.inputs import AudioInput, in_language
from nemo_models.transcription.memory_audio import as_inputs
from serving_client import client_of, make_served, run_server
from topology import architecture

LANGUAGES = load_languages("hi,ta")
WAIT_S = 60


def test_a_client_names_a_language_by_code_by_name_or_with_a_country():
    for asked in ("ta", "TA", "Tamil", "ta-IN", "ta_in", "ta-LK"):
        assert read_language("language", asked, LANGUAGES) == "ta"
    assert read_language("language", "hin", LANGUAGES) == "hi"
    assert read_language("language", "ur-PK", load_languages("hi,ur")) == "ur"
    assert read_language("language", "", LANGUAGES) is read_language("language", None, LANGUAGES) is None
    assert read_language("language", "hi", load_languages()) is None  # one language is no choice
    assert (name_language("ta", LANGUAGES), name_language(None, LANGUAGES)) == ("tamil", "hindi")
    with pytest.raises(ApiError, match="language=bn: expected one of hi, ta, the model's languages; change"):
        read_language("language", "bn", LANGUAGES)


def test_a_client_has_to_name_the_language_where_the_model_cannot_tell():
    assert read_language("language", "ta", LANGUAGES, is_needed=True) == "ta"
    for asked in ("", None):
        with pytest.raises(ApiError, match="language: found none, expected one of hi, ta, which the model cannot") as e:
            read_language("language", asked, LANGUAGES, is_needed=True)
        assert (e.value.status, e.value.param) == (400, "language")


def wave_file() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, speak("क" * 4), RATE, format="WAV")
    return buffer.getvalue()


def test_a_form_chooses_the_language(tmp_path: Path):
    with client_of(make_served(tmp_path, languages=LANGUAGES)) as client:

        def post(**fields: str):
            data = {"model": "tiny", "response_format": "verbose_json", **fields}
            return client.post("/v1/audio/transcriptions", data=data, files={"file": ("a.wav", wave_file())})

        assert [post(language=name).json()["language"] for name in ("ta", "Hindi")] == ["tamil", "hindi"]
        assert post().status_code == 200
        answer = post(language="bn")
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "language"
        assert "expected one of hi, ta, the model's languages" in answer.json()["error"]["message"]


def test_a_stream_chooses_the_language(tmp_path: Path):
    with run_server(make_served(tmp_path, languages=LANGUAGES)) as address:
        stream = address.replace("http", "ws") + "/v1/stream"
        with connect(stream, compression=None) as connection:
            connection.send(json.dumps({"type": "start", "language": "ta"}))
            connection.send((speak("कख") * 32767).astype("<i2").tobytes())
            connection.send(json.dumps({"type": "end"}))
            rows = [json.loads(message) for message in connection]
        assert [row["lang"] for row in rows if row["type"] == "final"] == ["ta"]
        for wrong in ("bn", 7):
            with connect(stream, compression=None) as connection:
                connection.send(json.dumps({"type": "start", "language": wrong}))
                assert json.loads(connection.recv(WAIT_S))["error"]["param"] == "language"


def test_a_model_of_one_script_needs_a_language_and_a_stream_is_in_its_letters(tmp_path: Path):
    folds = {"hi": {letter: letter for letter in "कख"}, "ta": {"क": "க", "ख": "ங"}}
    with run_server(make_served(tmp_path, languages=LANGUAGES, folds=folds)) as address:
        stream = address.replace("http", "ws") + "/v1/stream"
        with connect(stream, compression=None) as connection:
            connection.send(json.dumps({"type": "start"}))
            assert "found none, expected one of hi, ta" in json.loads(connection.recv(WAIT_S))["error"]["message"]
        with connect(stream, compression=None) as connection:
            connection.send(json.dumps({"type": "start", "language": "ta"}))
            connection.send((speak("कख" * 8) * 32767).astype("<i2").tobytes())
            connection.send(json.dumps({"type": "end"}))
            rows = [json.loads(message) for message in connection]
        partials = [row["text"] for row in rows if row["type"] == "partial"]
        assert partials and all(set(text) <= set("கங ") for text in partials)
        with httpx.Client(base_url=address, timeout=WAIT_S) as client:
            files, data = {"file": ("a.wav", wave_file())}, {"model": "tiny"}
            answer = client.post("/v1/audio/transcriptions", data=data, files=files)
            assert answer.status_code == 400 and answer.json()["error"]["code"] == "missing_language"
            answer = client.post("/v1/audio/transcriptions", data={**data, "language": "ta"}, files=files)
            assert answer.status_code == 200
    assert not make_served(tmp_path, languages=LANGUAGES[1:], folds=folds).needs_language


def test_a_realtime_session_chooses_the_language(tmp_path: Path):
    with run_server(make_served(tmp_path, languages=LANGUAGES)) as address:
        socket = f"{address.replace('http', 'ws')}/v1/realtime?intent=transcription"
        with connect(socket, compression=None) as connection:

            def exchange(language: str | None = None) -> dict:
                if language is not None:
                    given = {"audio": {"input": {"transcription": {"model": "tiny", "language": language}}}}
                    connection.send(json.dumps({"type": "session.update", "session": given}))
                return json.loads(connection.recv(WAIT_S))

            assert exchange()["session"]["audio"]["input"]["transcription"]["language"] is None
            assert exchange("ta")["session"]["audio"]["input"]["transcription"]["language"] == "ta"
            assert "expected one of hi, ta, the model's languages" in exchange("bn")["error"]["message"]


def test_the_served_model_writes_what_the_batch_job_writes_in_each_language():
    torch.manual_seed(0)
    config = model_config(architecture(), load_alphabet(language="hi,ta"), True, 1e-5, language="hi,ta")
    model = XLSRCTCModel(cfg=config).eval()
    torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.5)
    noise = np.random.default_rng(0).normal(scale=0.1, size=RATE).astype(np.float32)
    (audio,) = as_inputs((noise, RATE), RATE)
    recogniser = ModelRecogniser(nemo_models.Transcriber(model))
    for code in ("hi", "ta", None):
        recognition = recogniser.open(in_language(audio, code))
        windows = list(recogniser.read(audio))
        frames = recogniser.compute([window.samples for window in windows])
        recogniser.add([(recognition, *pair) for pair in zip(windows, frames, strict=True)])
        found = recognition.finish()
        (expected,) = nemo_models.transcribe(model, [noise], language=code)
        assert (found.text, found.language) == (expected.text, expected.language) and found.text
        if code:
            letters = {*load_language(code).alphabet, ""}  # what partial results of a live stream may hold
            labels = [*model.decoder.vocabulary, ""]
            assert {labels[best] for best in recogniser.best_labels(frames[0], code).tolist()} <= letters


def test_a_cluster_gets_the_language_with_the_audio(tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(wave_file())
    (samples,) = as_inputs((np.zeros(16, np.float32), RATE), RATE)
    for audio in (AudioInput(tmp_path / "a.wav"), samples):
        assert _pack(in_language(audio, "ta")).language == "ta" and _pack(audio).language is None


def test_a_model_with_english_words_is_meant_by_the_language_that_holds_them():
    mixed = load_languages("hi+en")
    assert {read_language("language", asked, mixed) for asked in ("hi", "hi+en", "Hindi", "hi-IN", "English")} == {None}
    with pytest.raises(ApiError, match=r"language=ta: expected hi\+en, the model's language; change or remove it"):
        read_language("language", "ta", mixed)
    several = load_languages("hi+en,hi,ta")
    found = {asked: read_language("language", asked, several) for asked in ("hi", "hin", "en", "hi+en", "Tamil")}
    assert found == {"hi": "hi", "hin": "hi", "en": "hi+en", "hi+en": "hi+en", "Tamil": "ta"}
    assert name_language(None, mixed) == "hindi with english words"
    assert 'lang="hi" dir="ltr"' in fill_page('<p lang="{language}" dir="{direction}">', mixed)

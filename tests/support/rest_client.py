"""Requests to the REST API of a server under test."""

import io

import numpy as np
import soundfile

from fake_recogniser import RATE, word_of

PATH = "/v1/audio/transcriptions"


def make_wav(seconds=0.7, frequency=200.0, rate=RATE):
    """The bytes of a WAV file and the word that the fake recogniser has for it."""
    samples, file = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate), io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    decoded = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]
    return file.getvalue(), word_of(decoded)


def post(client, content=None, name="a.wav", **fields):
    data = {"model": "tiny", **fields}
    return client.post(PATH, data=data, files={"file": (name, make_wav()[0] if content is None else content)})


def error_of(response, status):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"] and "/tmp" not in error["message"]
    return error

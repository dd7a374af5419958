"""Audio in memory gives the text that the same audio in a file gives."""

import io

import numpy as np
import pytest
import soundfile
import torch

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.memory_audio import as_inputs
from nemo_models.transcription.transcribe import Transcriber, transcribe

RATE = 16_000


@pytest.fixture(scope="module")
def transcriber(tiny_model):
    configure_decoding(tiny_model)
    return Transcriber(tiny_model)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A stereo recording at 8 kHz whose channels differ, as a file and as int16 samples."""
    time = np.arange(2 * RATE // 2) / (RATE // 2)
    noise = np.random.default_rng(0).standard_normal((len(time), 2))
    samples = np.clip(0.2 * noise * (1 + np.sin(6 * np.pi * time))[:, None], -1, 1)
    path = tmp_path_factory.mktemp("audio") / "stereo.wav"
    soundfile.write(path, samples, RATE // 2)
    return path, soundfile.read(path, dtype="int16")[0]


def texts(transcriber, audio):
    found = sorted(transcriber.transcribe(audio), key=lambda transcript: transcript.index)
    assert [transcript.error for transcript in found] == [None] * len(found)
    return [transcript.text for transcript in found]


def test_every_form_gives_the_text_of_the_file(transcriber, recording):
    path, samples = recording
    (expected,) = texts(transcriber, path)
    floats = samples.astype(np.float32) / 2**15
    forms = [
        (samples, RATE // 2),
        (floats, RATE // 2),
        (floats.astype(np.float64), RATE // 2),
        (torch.from_numpy(samples.T.copy()), RATE // 2),
        (torch.from_numpy(floats.T.copy()), RATE // 2),
        {"path": None, "array": floats, "sampling_rate": RATE // 2},
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        AudioInput(path),
        str(path),
    ]
    assert expected and texts(transcriber, forms) == [expected] * len(forms)
    with path.open("rb") as file:
        assert texts(transcriber, file) == [expected]
    assert texts(transcriber, (samples, RATE // 2)) == [expected]


def test_samples_without_a_rate_have_the_models(transcriber, recording, tmp_path):
    mono = recording[1][:, 0]
    soundfile.write(tmp_path / "mono.wav", mono, RATE)
    assert (
        texts(transcriber, mono)
        == texts(transcriber, torch.from_numpy(mono))
        == texts(transcriber, tmp_path / "mono.wav")
    )


def test_the_public_function_takes_them_with_options(transcriber, recording):
    (transcript,) = transcribe(transcriber.model, (recording[1], RATE // 2), channel=1, timestamps=False)
    assert transcript.text and transcript.words is None and transcript.duration_s == 2.0


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (np.zeros((2, 16000), np.float32), r"audio 0: found shape \(2, 16000\), expected .*\(samples, channels\)"),
        (torch.zeros(16000, 2), r"found shape \(16000, 2\), expected .*\(channels, samples\)"),
        (np.zeros(100, np.int8), "found int8 samples, expected floats, int16 or int32"),
        ([3], "audio 0=int: expected a path, samples"),
        (3, "audio 0=int: expected a path, samples"),
        (None, "audio 0=NoneType: expected a path, samples"),
        ({"audio": "a.wav"}, "audio 0=dict: expected a path, samples"),
        (io.StringIO("text"), "audio 0: found a file that is open as text, .* mode 'rb'"),
        ([(np.zeros(3), "8k")], "audio 0=tuple: expected a path, samples"),
    ],
)
def test_anything_else_is_refused_at_once(transcriber, audio, expected):
    with pytest.raises(ValueError, match=expected):
        transcriber.transcribe(audio)


def test_bad_content_is_an_error_of_that_piece(transcriber, recording):
    results = list(transcriber.transcribe([b"no audio", np.full(RATE, np.nan, np.float32), recording[0]]))
    errors = {result.index: result.error for result in results}
    assert errors[0].startswith("unreadable_audio") and errors[1].startswith("not_finite_audio") and errors[2] is None
    assert "audio 1" in errors[1] and "tmp" not in errors[0] + errors[1]


def test_a_name_is_not_a_path_that_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("audio 0", np.zeros(RATE), RATE, format="WAV")
    (audio,) = as_inputs(io.BytesIO(b""), RATE)
    assert audio.duration_s is None


def test_the_steps_of_a_server_give_the_text_of_the_whole(transcriber, recording):
    """Windows through `compute`, joined, then `decode`: what a server does with audio as it comes."""
    audio = as_inputs((recording[1], RATE // 2), RATE)[0]
    joiner, segments = transcriber.make_joiner(), []
    for window in transcriber.read(audio):
        segments += joiner.add(window, transcriber.compute([window.samples])[0])
    (result,) = transcriber.decode(segments)
    assert joiner.done and [result.text] == texts(transcriber, recording[0])

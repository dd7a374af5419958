"""The engine over a CTC model gives the texts of the batch job, with and without phrases."""

import asyncio

import numpy as np
import pytest
import soundfile

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.phrases import read_prompt
from nemo_models.serving.recogniser import ModelRecogniser
from nemo_models.serving.stream_audio import StreamOptions
from nemo_models.serving.stream_session import StreamSession
from nemo_models.transcription.inputs import as_input
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.transcribe import Transcriber, transcribe
from nemo_models.transcription.transcripts import transcript_row

RATE = 16_000
OPTIONS = {"window_s": 12.0, "batch_size": 4}
WAIT_S = 300


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Recordings of one window and of several, and one that is no audio."""
    folder, generator, paths = tmp_path_factory.mktemp("audio"), np.random.default_rng(0), []
    for number, seconds in enumerate((0.9, 25.0, 0.3, 2.0)):
        time = np.arange(round(seconds * RATE)) / RATE
        samples = 0.2 * generator.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * (number + 2) * time))
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], np.clip(samples, -1, 1), RATE)
    (folder / "text.wav").write_text("no audio")
    return [*paths, folder / "text.wav"]


@pytest.fixture
def model(tiny_model):
    configure_decoding(tiny_model)
    yield tiny_model
    configure_decoding(tiny_model)


def batch_job(model, files):
    found = sorted(transcribe(model, files, **OPTIONS), key=lambda transcript: transcript.index)
    return rows_of(found)


def rows_of(transcripts):
    """Everything but confidence, whose last digits depend on the batch; and that, to be compared on its own."""
    rows = [transcript_row(one) for one in transcripts]
    confidences = [word.pop("confidence") for row in rows for word in row.get("words", ())]
    return rows, confidences


def serve(model, files, phrases=(), weight=None):
    engine = RecognitionEngine(
        ModelRecogniser(Transcriber(model, TranscribeOptions(**OPTIONS)), weight), EngineLimits(batch_audio_s=30.0)
    )
    engine.start()
    tasks = [engine.submit(as_input(path), phrases) for path in files]
    found = [task.transcript.result(WAIT_S) for task in tasks]
    engine.close(WAIT_S)
    return rows_of(found)


def assert_alike(found, expected):
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], abs=1.01e-4)  # one step of the rounding


def texts_of(found):
    return [row["pred_text"] for row in found[0]]


def test_texts_words_and_errors_are_those_of_the_batch_job(model, files):
    expected = batch_job(model, files)
    assert_alike(serve(model, files), expected)
    rows, _ = expected
    assert all(row["pred_text"] for row in rows[:-1]) and rows[-1]["error"].startswith("unreadable_audio")


def test_a_prompt_is_the_file_of_phrases_of_the_batch_job(model, files, tmp_path):
    usual = model.decoding
    phrases, left_out = read_prompt("कल सुबह, नमस्ते; hello", list(model.decoder.vocabulary))
    assert (phrases, left_out) == (["कल सुबह", "नमस्ते"], ["hello"])
    found = serve(model, files, phrases, weight=3.0)
    assert model.decoding is usual
    (tmp_path / "phrases.txt").write_text("\n".join(phrases), encoding="utf-8")
    boosting = {"phrases_file": str(tmp_path / "phrases.txt"), "weight": 3.0}
    configure_decoding(model, {"strategy": "beam_batch"})
    without = batch_job(model, files)
    configure_decoding(model, {"strategy": "beam_batch"}, boosting)
    assert_alike(found, batch_job(model, files))
    assert texts_of(found) != texts_of(without)
    assert_alike(serve(model, files), found)  # the server's own phrases
    assert_alike(serve(model, files, ["कल सुबह"], weight=3.0), found)  # a prompt adds to them


def test_finals_of_a_stream_are_the_texts_of_the_batch_job(model, files):
    samples, _ = soundfile.read(files[1], dtype="int16")
    engine, rows = RecognitionEngine(ModelRecogniser(Transcriber(model, TranscribeOptions(**OPTIONS)))), []

    async def stream():
        async def send(row):
            rows.append(row)

        session = StreamSession(engine, RATE, send, StreamOptions(utterance_s=8.0, step_s=2.0))
        for first in range(0, len(samples), 7777):
            await session.add(samples[first : first + 7777])
        await session.finish_utterance()

    engine.start()
    asyncio.run(stream())
    engine.close(WAIT_S)
    places = [(row["start_sample"], row["end_sample"]) for row in rows if row["type"] in ("final", "silence")]
    assert [start for start, _ in places] + [len(samples)] == [0] + [end for _, end in places]
    finals = [row for row in rows if row["type"] == "final"]
    parts = [(samples[row["start_sample"] : row["end_sample"]], RATE) for row in finals]
    assert [row["text"] for row in finals] == texts_of(batch_job(model, parts))
    assert sum(len(row["text"]) > 0 for row in finals) >= 3

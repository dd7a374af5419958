"""A transcript for each channel, with its label in every output; a channel chosen for one row of a manifest."""

import json

import numpy as np
import pytest
import soundfile

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.batch_job import OutputPlan, run_job
from nemo_models.transcription.channels import split_channels
from nemo_models.transcription.inputs import AudioInput, list_inputs
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.output_formats import FORMATS
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.transcribe import Transcriber

RATE = 16_000


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """A call of two speakers, each in a channel, beside their channels as files, and a file of one channel."""
    folder = tmp_path_factory.mktemp("call")
    time = np.arange(RATE) / RATE
    noise = 0.2 * np.random.default_rng(0).standard_normal((RATE, 2))
    both = np.clip(noise * (1 + np.sin(2 * np.pi * np.array([3, 5]) * time[:, None])), -1, 1)
    soundfile.write(folder / "call.wav", both, RATE)
    for channel in range(2):
        soundfile.write(folder / f"alone{channel}.wav", both[:, channel], RATE)
    return folder


@pytest.fixture(scope="module")
def model(tiny_model):
    configure_decoding(tiny_model)
    return tiny_model


def test_each_channel_gives_what_it_gives_alone(model, call):
    alone = Transcriber(model).transcribe([call / "alone0.wav", call / "alone1.wav"])
    expected = {transcript.index: transcript.text for transcript in alone}
    found = Transcriber(model, TranscribeOptions(channel="each")).transcribe([call / "call.wav", call / "alone1.wav"])
    by_label = {(transcript.audio.path.name, transcript.audio.label): transcript.text for transcript in found}
    assert expected[0] != expected[1] != ""
    assert by_label == {
        ("call.wav", "channel 0"): expected[0],
        ("call.wav", "channel 1"): expected[1],
        ("alone1.wav", None): expected[1],
    }


def test_every_output_names_the_channel(model, call, tmp_path):
    options = TranscribeOptions(channel="each", timestamps=True)
    inputs = split_channels([AudioInput(call / "call.wav"), AudioInput(call / "alone0.wav")], options.channel)
    plan = OutputPlan(tmp_path / "out.json", formats=list(FORMATS), formats_dir=tmp_path / "files")
    with TranscriptionProgress(1.0) as progress:
        run_job(Transcriber(model, options).transcribe, inputs, plan, "key", progress)
    rows = [json.loads(line) for line in plan.path.read_text(encoding="utf-8").splitlines()]
    assert [row.get("channel") for row in rows] == [0, 1, None]
    files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "files").iterdir()}
    assert {name.split(".")[0] for name in files} == {"call-channel0", "call-channel1", "alone0"}
    assert files["call-channel1.txt"] == f"channel 1: {rows[1]['pred_text']}\n"
    assert "\n[channel 1] " in files["call-channel1.srt"] and "\n<v channel 1>" in files["call-channel1.vtt"]
    assert files["call-channel1.ctm"].startswith("call 2 ") and files["call-channel0.ctm"].startswith("call 1 ")
    assert 'name = "words channel 1"' in files["call-channel1.TextGrid"]
    assert files["alone0.txt"] == f"{rows[2]['pred_text']}\n" and "channel" not in files["alone0.srt"]


def test_a_row_of_a_manifest_chooses_its_channel(model, call):
    rows = [{"audio_filepath": "call.wav", "channel_selector": choice} for choice in (0, 1, "each", None, "left", True)]
    (call / "m.json").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = sorted(
        Transcriber(model, TranscribeOptions(channel=1)).transcribe(list_inputs(call / "m.json")),
        key=lambda transcript: transcript.index,
    )
    texts = [transcript.text for transcript in found]
    zero, one = texts[:2]
    assert texts == [zero, one, zero, one, one, "", ""] and zero != one
    for transcript, choice in zip(found[-2:], ("left", "True"), strict=True):
        assert f"channel_selector={choice}: expected auto, average, each" in transcript.error
        assert "m.json:" in transcript.error

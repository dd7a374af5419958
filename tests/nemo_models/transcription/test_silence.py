"""No text without a signal, and no speech lost because it is quiet."""

import numpy as np
import pytest

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.silence import MARGIN_S, find_silence
from nemo_models.transcription.transcribe import Transcriber

RATE = 16_000


def dither(seconds, seed=0):
    return np.random.default_rng(seed).integers(-1, 2, round(seconds * RATE)).astype(np.float32) / 2**15


@pytest.mark.parametrize("offset", [0.0, 0.01])
def test_audio_without_a_signal_gives_no_text(tiny_model, offset):
    configure_decoding(tiny_model)
    silent = [np.full(round(seconds * RATE), offset, np.float32) for seconds in (0.03, 0.5, 3.0, 40.0)]
    silent += [dither(2.0) + np.float32(offset)]
    for transcript in Transcriber(tiny_model).transcribe(silent):
        assert (transcript.text, transcript.words, transcript.error) == ("", (), None)


def test_the_model_alone_would_write_something(tiny_model):
    """So the test above cannot pass by accident."""
    configure_decoding(tiny_model)
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 1e-3
    assert next(Transcriber(tiny_model).transcribe(noise)).text


def test_silence_keeps_a_margin_around_a_signal():
    signal = 0.01 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    samples = np.concatenate((np.zeros(3 * RATE, np.float32), signal, dither(5.0), signal, np.zeros(100, np.float32)))
    margin = round(MARGIN_S * RATE)
    assert find_silence(samples, RATE) == [(0, 3 * RATE - margin), (4 * RATE + margin, 9 * RATE - margin)]
    assert find_silence(signal, RATE) == [] == find_silence(samples[3 * RATE : 4 * RATE + margin], RATE)


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01, 0.001])
def test_quiet_speech_is_no_silence(speech, scale):
    """Real recordings at up to 60 dB below their level, in the 16 bits of a file: what is said is kept."""
    for samples in speech:
        quiet = np.round(samples * scale * 2**15).astype(np.float32) / 2**15
        kept = np.ones(len(quiet), bool)
        for start, end in find_silence(quiet, RATE):
            kept[start:end] = False
        energy = np.square(samples)
        assert energy[kept].sum() > 0.999 * energy.sum()

"""A long recording against its utterances alone, with a model that hears perfectly: what is lost, the cutting loses.

The model is ideal so that nothing but windows, joining, decoding and times is tested: each letter is a tone, and a
frame of log-probabilities says which tone is in its 20 ms. (A trained model's own text changes with 20 ms of silence
beside an utterance; `scripts/benchmarks/long_audio.py` measures that.)
"""

from types import SimpleNamespace

import jiwer
import numpy as np
import pytest
import soundfile
import torch

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.transcribe import transcribe

RATE, STEP = 16_000, 320
LETTER_FRAMES, GAP_FRAMES, SPACE_FRAMES = 4, 1, 6  # a letter, the nothing after it, the murmur between words
LOUD, ROOM = 0.1, 0.0005  # 46 dB apart
SPACE_HZ = 300.0


@pytest.fixture
def ideal_model(tiny_model, monkeypatch):
    """The tiny model with its ears replaced."""
    configure_decoding(tiny_model)
    labels = list(tiny_model.decoder.vocabulary)
    tones = {tone_of(letter, labels): label for label, letter in enumerate(labels)}

    def listen(model, waveforms, autocast_dtype=None):
        return [torch.from_numpy(label_frames(waveform, tones, len(labels))) for waveform in waveforms]

    monkeypatch.setattr("nemo_models.transcription.transcribe.compute_log_probs", listen)
    return SimpleNamespace(model=tiny_model, labels=labels)


def tone_of(letter, labels):
    return SPACE_HZ if letter == " " else 500.0 + 50.0 * labels.index(letter)  # one line of a 20 ms spectrum each


def label_frames(waveform, tones, blank):
    """(T, V+1) log-probabilities: the strongest line of each frame's spectrum, where there is one."""
    frames = waveform[: len(waveform) // STEP * STEP].reshape(-1, STEP)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)) / STEP
    lines, loudness = spectrum.argmax(axis=1) * RATE / STEP, spectrum.max(axis=1)
    found = [tones.get(line, blank) if loud > 0.001 else blank for line, loud in zip(lines, loudness, strict=True)]
    log_probs = np.full((len(frames), blank + 1), np.log(1e-4), np.float32)
    log_probs[np.arange(len(frames)), found] = np.log(1 - 1e-4 * blank)
    return log_probs


def speak(text, labels, generator):
    """Say a text in tones; between words a murmur 12 dB below speech, so that no word's end is a pause."""
    parts = []
    for letter in text:
        frames, level = (SPACE_FRAMES, LOUD / 4) if letter == " " else (LETTER_FRAMES, LOUD)
        time = np.arange(frames * STEP) / RATE
        parts += [level * np.sin(2 * np.pi * tone_of(letter, labels) * time), np.full(GAP_FRAMES * STEP, 0.0)]
    speech = np.concatenate(parts)
    return (speech + ROOM * generator.standard_normal(len(speech))).astype(np.float32)


def make_sentences(labels, generator, count, words):
    letters = [letter for letter in labels if letter != " "]
    return [
        " ".join(
            "".join(generator.choice(letters, generator.integers(1, 8))) for _ in range(generator.integers(*words))
        )
        for _ in range(count)
    ]


def room(seconds, generator):
    return (ROOM * generator.standard_normal(round(seconds * RATE / STEP) * STEP)).astype(np.float32)


def transcribe_one(ideal, path):
    (transcript,) = transcribe(ideal.model, [path], batch_size=4)
    assert transcript.error is None
    return transcript


@pytest.mark.parametrize("pauses", [(0.8, 2.0), (0.2, 0.5), (0.0, 0.0)])
def test_text_and_times_of_a_long_recording_are_those_of_its_utterances(ideal_model, tmp_path, pauses):
    """Minutes with long pauses, with short ones, and with none, which is one breath from beginning to end."""
    generator = np.random.default_rng(0)
    written, places, sentences = [], [], make_sentences(ideal_model.labels, generator, 70, (2, 12))
    length = 0
    for sentence in sentences:
        speech = speak(f"{sentence} ", ideal_model.labels, generator)
        for part in (speech, room(generator.uniform(*pauses), generator)):
            places.append(length / RATE)
            written.append(part)
            length += len(part)
    assert length > 240 * RATE
    soundfile.write(tmp_path / "long.flac", np.concatenate(written), RATE)
    whole = transcribe_one(ideal_model, tmp_path / "long.flac")
    assert jiwer.wer(" ".join(sentences), whole.text) == 0
    assert whole.duration_s == length / RATE
    spoken = iter(whole.words)
    for sentence, begin_s in zip(sentences, places[::2], strict=True):
        at = begin_s
        for word in sentence.split():
            found = next(spoken)
            assert found.word == word
            assert found.start_s == pytest.approx(at, abs=0.021), "to the frame, on the time line of the whole file"
            at += (len(word) * (LETTER_FRAMES + GAP_FRAMES) + SPACE_FRAMES + GAP_FRAMES) * STEP / RATE
    assert next(spoken, None) is None

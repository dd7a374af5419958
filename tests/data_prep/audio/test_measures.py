"""The measures against signals whose level, clipping and noise are known because they were made so."""

import hashlib
import math

import numpy as np
import pytest
import soundfile

from data_prep.audio.measures import measure_audio

RATE = 16_000


def speak(seconds: float = 8.0, seed: int = 0) -> np.ndarray:
    """Dull noise in syllables of a quarter of a second, with pauses for 30 % of the time; root mean square 0.1."""
    chance = np.random.default_rng(seed)
    syllables = chance.random(int(seconds * 4)) * (np.arange(int(seconds * 4)) % 10 >= 3)
    envelope = np.repeat(syllables, RATE // 4)
    voice = np.convolve(chance.normal(size=len(envelope)), np.hanning(32), "same")
    speech = voice * np.convolve(envelope, np.hanning(800) / 400, "same")
    return 0.1 * speech / np.sqrt(np.mean(speech**2))


def quantize(samples: np.ndarray) -> np.ndarray:
    return np.rint(samples * 32768).clip(-32768, 32767).astype("int16")


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise so that the ratio of the mean powers is `snr_db`."""
    gain = np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return speech + gain * noise


def make_noise(kind: str, length: int) -> np.ndarray:
    white = np.random.default_rng(1).normal(size=length)
    if kind == "white":
        return white
    if kind == "hum":
        return np.sin(2 * np.pi * 50 * np.arange(length) / RATE)
    spectrum, hertz = np.fft.rfft(white), np.fft.rfftfreq(length, 1 / RATE)
    return np.fft.irfft(spectrum * (hertz > 50) / np.sqrt(np.maximum(hertz, 1)), length)  # pink: 1/f in power


@pytest.mark.parametrize("snr_db", [0, 5, 10, 20, 30, 40])
@pytest.mark.parametrize("kind", ["white", "pink", "hum"])
def test_noise_of_known_level_is_estimated(kind, snr_db):
    speech = speak()
    found = measure_audio(quantize(mix(speech, make_noise(kind, len(speech)), snr_db))).snr_db
    # The quietest tenth of pink noise's frames lies below its mean, as its power moves slowly: 2 dB; the others: 1 dB.
    assert found == pytest.approx(snr_db, abs=2 if kind == "pink" else 1)


def test_noise_mixed_into_real_speech_is_estimated(shared_data):
    """On the twelve cleanest real recordings; what they hold themselves counts into the truth."""
    paths = sorted((shared_data / "mucs_hindi" / "audio").glob("*.wav"))
    clean = sorted((soundfile.read(path)[0] for path in paths), key=lambda x: -measure_audio(quantize(x)).snr_db)[:12]
    for snr_db in (5, 10, 15, 20):
        errors = []
        for speech in clean:
            mixed = mix(speech, make_noise("white", len(speech)), snr_db)
            errors.append(measure_audio(quantize(0.3 * mixed)).snr_db - snr_db)
        assert np.abs(errors).max() < 3 and abs(np.median(errors)) < 1.5, (snr_db, errors)


def test_what_the_estimate_does_not_say():
    assert measure_audio(quantize(speak(0.4))).snr_db is None  # 20 frames
    assert measure_audio(np.zeros(RATE, "int16")).snr_db is None
    tone = quantize(0.5 * np.sin(np.arange(RATE) / 7))
    assert measure_audio(tone).snr_db < 0  # no pause to hear the noise in
    padded = np.concatenate([np.zeros(4 * RATE, "int16"), quantize(mix(speak(), make_noise("white", 8 * RATE), 10))])
    assert measure_audio(padded).snr_db == pytest.approx(10, abs=1)  # an editor's zeros are not the room's silence


def test_level_digest_and_length():
    square = np.where(np.arange(RATE + 7) % 2, 16384, -16384).astype("int16")
    found = measure_audio(square)
    assert (found.samples, found.level_db) == (RATE + 7, pytest.approx(20 * math.log10(0.5)))
    assert found.digest == hashlib.sha256(square.tobytes()).hexdigest()[:32]
    assert measure_audio(np.zeros(100, "int16")).level_db == -math.inf
    assert measure_audio(np.zeros(0, "int16")).samples == 0
    assert measure_audio(np.zeros(0, "int16")).as_row()["level_db"] is None


@pytest.mark.parametrize("level", [1.0, 0.3])
def test_clipping_is_counted_at_any_level(level):
    speech = speak()
    threshold = np.quantile(np.abs(speech), 0.97)
    clipped = quantize(level * speech.clip(-threshold, threshold) / threshold)
    flat = np.abs(clipped.astype(int)) >= np.abs(clipped.astype(int)).max() - 1
    runs = sum(flat[at : at + 3].all() and len({*clipped[at : at + 3]}) == 1 for at in range(len(flat) - 2))
    assert measure_audio(clipped).clipped == pytest.approx(runs / len(clipped), rel=0.02) and runs > 10
    assert measure_audio(quantize(speech)).clipped == 0
    assert measure_audio(quantize(0.01 * speech.clip(-threshold, threshold))).clipped == 0  # too quiet to tell


def test_clipping_and_nan_are_seen_before_conversion():
    converted = quantize(speak())
    source = np.stack([speak(), speak(seed=1).clip(-0.12, 0.12)], axis=1).astype("float32")
    assert measure_audio(converted, source).clipped > 0.01 > measure_audio(converted, source[:, :1]).clipped
    source[5, 0], source[9, 1] = np.nan, np.inf
    assert measure_audio(converted, source).not_finite == 2


def test_real_recordings_pass_the_default_gates(shared_data):
    from data_prep.selection.quality import QualityLimits, check_signal

    paths = sorted((shared_data / "mucs_hindi/audio").glob("*.wav"))
    paths += sorted((shared_data / "air_hindi/audio").rglob("*.flac"))[::7]
    faults = [check_signal(measure_audio(soundfile.read(path, dtype="int16")[0]), QualityLimits()) for path in paths]
    assert len(paths) > 100 and not any(faults)

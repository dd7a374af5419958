"""Fixtures of the audio tests."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from odd_audio import speak


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds: quiet ones, in which a variable bit rate is low, then loud ones in many tones."""
    samples = speak(6, 44_100)
    samples[: 3 * 44_100] *= 0.001
    samples[3 * 44_100 :] += 0.2 * np.random.default_rng(0).standard_normal(3 * 44_100).astype(np.float32)
    path = tmp_path_factory.mktemp("voice") / "a.wav"
    soundfile.write(path, 0.7 * samples, 44_100)
    return path

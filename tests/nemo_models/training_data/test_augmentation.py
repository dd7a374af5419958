import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from nemo.collections.asr.parts.preprocessing.segment import AudioSegment
from omegaconf import OmegaConf

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training_data.augmentation import TelephonePerturbation
from recipe import load_recipe

pytestmark = pytest.mark.slow

SECONDS = (1.0, 1.5)
RATE = 16000
TRAIN = load_recipe("xlsr_hi").model.train_ds


def tones(seconds: float) -> np.ndarray:
    """A sum of sines from 100 Hz to 7 kHz."""
    time = np.arange(int(RATE * seconds)) / RATE
    return sum(0.05 * np.sin(2 * np.pi * hz * time) for hz in (100, 200, 500, 1000, 2500, 3000, 5000, 7000))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("augmentation")
    rows = []
    for number, seconds in enumerate(SECONDS):
        soundfile.write(folder / f"{number}.wav", tones(seconds), RATE, subtype="FLOAT")
        rows.append({"audio_filepath": str(folder / f"{number}.wav"), "text": "क", "duration": seconds})
    (folder / "data.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    soundfile.write(folder / "hum.wav", np.random.default_rng(0).normal(scale=0.1, size=RATE * 3), RATE)
    row = {"audio_filepath": str(folder / "hum.wav"), "text": "", "duration": 3.0}
    (folder / "noise.json").write_text(json.dumps(row), encoding="utf-8")
    return folder / "data.json"


def load(model: XLSRCTCModel, manifest: Path, lhotse: bool = True, **settings: object) -> list[np.ndarray]:
    """The utterances of one batch of the model's loader, shortest first."""
    common = {"manifest_filepath": str(manifest), "sample_rate": RATE, "labels": ["क"], "shuffle": False}
    kind = {"use_lhotse": True, "batch_duration": 100} if lhotse else {"batch_size": 2}
    loader = model._setup_dataloader_from_config(OmegaConf.create({**common, **kind, "num_workers": 0, **settings}))
    audio, lengths, _, _ = next(iter(loader))
    return sorted((wave[:length].numpy() for wave, length in zip(audio, lengths, strict=True)), key=len)


def band_share(wave: np.ndarray, low: float, high: float) -> float:
    """The share of a wave's energy between two frequencies in Hz."""
    power, hz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / RATE)
    return float(power[(hz >= low) & (hz < high)].sum() / power.sum())


@pytest.mark.parametrize("lhotse", [True, False])
@pytest.mark.parametrize("name", ["gain", "shift", "white_noise", "noise", "speed", "silence", "telephone"])
def test_each_augmentation_acts_with_either_loader(tiny_model: XLSRCTCModel, manifest: Path, name: str, lhotse: bool):
    settings = {
        "gain": {"min_gain_dbfs": 6, "max_gain_dbfs": 6},
        "shift": {"min_shift_ms": 50, "max_shift_ms": 50},
        "white_noise": {"min_level": -30, "max_level": -29},
        "noise": {"manifest_path": str(manifest.with_name("noise.json")), "min_snr_db": 10, "max_snr_db": 10},
        "speed": {"sr": RATE, "resample_type": "scipy", "min_speed_rate": 0.9, "max_speed_rate": 0.9, "num_rates": 1},
        "silence": {"min_start_silence_secs": 0.5, "max_start_silence_secs": 0.5, "max_end_silence_secs": 0.0},
        "telephone": {},
    }[name]
    plain = load(tiny_model, manifest, lhotse)
    changed = load(tiny_model, manifest, lhotse, augmentor={name: {"prob": 1.0, **settings}})
    for before, after in zip(plain, changed, strict=True):
        if name == "gain":
            np.testing.assert_allclose(after, before * 10 ** (6 / 20), rtol=1e-5)
        elif name == "shift":
            np.testing.assert_allclose(after[: -RATE // 20], before[RATE // 20 :], atol=1e-7)
            assert not after[-RATE // 20 :].any()
        elif name == "white_noise":
            assert np.std(after - before) == pytest.approx(10 ** (-30 / 20), rel=0.1)  # of 16000 draws
        elif name == "noise":
            assert 10 * np.log10(np.mean(before**2) / np.mean((after - before) ** 2)) == pytest.approx(10, abs=0.3)
        elif name == "speed":
            assert len(after) == pytest.approx(0.9 * len(before), abs=1)
        elif name == "silence":
            assert not after[: RATE // 2].any()
            np.testing.assert_allclose(after[RATE // 2 :], before, atol=1e-7)
        else:
            assert len(after) == len(before)
            assert band_share(before, 3800, 8000) > 0.2 > 0.01 > band_share(after, 3800, 8000)


def test_lhotses_own_augmentations_act(tiny_model: XLSRCTCModel, manifest: Path):
    plain = load(tiny_model, manifest)
    noisy = load(
        tiny_model,
        manifest,
        noise_path=str(manifest.with_name("noise.json")),
        noise_snr=[10.0, 10.0],
        noise_mix_prob=1.0,
        shard_seed=0,
    )
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(plain, noisy, strict=True))
    three = load(tiny_model, manifest, perturb_speed=True, batch_duration=100, force_finite=True, shard_seed=0)
    lengths = sorted(len(wave) for wave in three)
    expected = sorted(round(RATE * s / f) for s in SECONDS for f in (1.0, 0.9, 1.1))
    assert lengths == pytest.approx(expected, abs=2)


def test_the_recipe_augments_neither_training_nor_validation(tiny_model: XLSRCTCModel, manifest: Path):
    assert all(settings["prob"] == 0 for settings in TRAIN.augmentor.values())
    for lhotse in (True, False):
        for first, second, wanted in zip(
            load(tiny_model, manifest, lhotse, augmentor=TRAIN.augmentor),
            load(tiny_model, manifest, lhotse),
            map(tones, SECONDS),
            strict=True,
        ):
            assert np.array_equal(first, second)
            np.testing.assert_allclose(second, wanted, atol=1e-6)


def test_each_utterance_has_different_random_values(tiny_model: XLSRCTCModel, manifest: Path):
    settings = {"gain": {"prob": 1.0, "min_gain_dbfs": -20, "max_gain_dbfs": 20}}
    short, long = load(tiny_model, manifest, augmentor=settings)
    assert short.std() != pytest.approx(long.std(), rel=0.01)


def test_unknown_augmentation_is_named(tiny_model: XLSRCTCModel, manifest: Path):
    with pytest.raises(ValueError, match=r"augmentor\.telefon: unknown augmentation, expected one of .*telephone"):
        load(tiny_model, manifest, augmentor={"telefon": {"prob": 0.5}})
    with pytest.raises(ValueError, match=r"augmentor \(white_noise\): .*levle"):
        load(tiny_model, manifest, augmentor={"white_noise": {"prob": 0.5, "levle": 1}})
    assert len(load(tiny_model, manifest, augmentor={"shift": None})) == len(SECONDS)


def test_telephone_keeps_speech_near_and_is_coarse_where_loud():
    """Eight bits of A-law give a tone in the band about 38 dB above the noise, at any level."""
    for level in (0.5, 0.05, 0.005):
        tone = (level * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
        segment = AudioSegment(tone.copy(), sample_rate=RATE)
        TelephonePerturbation().perturb(segment)
        assert len(segment.samples) == RATE
        heard = segment.samples[2000:-2000]
        signal = band_share(heard, 995, 1005)
        assert 28 < 10 * np.log10(signal / (1 - signal)) < 50
        assert heard.std() == pytest.approx(tone.std(), rel=0.05)

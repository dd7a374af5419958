"""Waveform augmentation for training: NeMo's `augmentor` for audio that Lhotse loads, and a telephone line.

NeMo applies `train_ds.augmentor` in its own datasets only, and silently ignores it with `use_lhotse`. Here the same
setting acts on the audio that Lhotse loads. NeMo's telephony (`transcode_aug`) starts two sox processes through a shell
for every utterance; the telephone line here runs in the same process.
"""

from typing import Any

import numpy as np
import soxr
import torch
from lhotse import CutSet
from lhotse.dataset.collation import collate_vectors
from nemo.collections.asr.data.audio_to_text_lhotse import LhotseSpeechToTextBpeDataset
from nemo.collections.asr.parts.preprocessing.perturb import (
    AudioAugmentor,
    Perturbation,
    perturbation_types,
    process_augmentations,
    register_perturbation,
)
from nemo.collections.asr.parts.preprocessing.segment import AudioSegment
from omegaconf import DictConfig, OmegaConf
from scipy.signal import butter, sosfilt
from torch.utils.data import DataLoader

TELEPHONE_RATE_HZ = 8000
TELEPHONE_BAND_HZ = (300.0, 3400.0)
A_LAW = 87.6
"""Compression of G.711's A-law, which telephones outside North America and Japan use."""
CODE_STEPS = 127
"""Levels above and below zero in eight bits of A-law."""


class TelephonePerturbation(Perturbation):
    """Simulates a telephone line: 8 kHz, 300–3400 Hz, eight bits of A-law.

    Registered with NeMo as `telephone`. Pretraining data at 16 kHz has little such speech.

    Source: ITU-T G.711, G.712.
    """

    def perturb(self, data: AudioSegment) -> None:
        """Change the samples in place; rate and length stay the same."""
        line = soxr.resample(data._samples, data.sample_rate, TELEPHONE_RATE_HZ)
        band = butter(4, TELEPHONE_BAND_HZ, btype="bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
        received = soxr.resample(_a_law(sosfilt(band, line)), TELEPHONE_RATE_HZ, data.sample_rate)
        heard = np.zeros_like(data._samples)
        count = min(len(heard), len(received))
        heard[:count] = received[:count]
        data._samples = heard


def _a_law(samples: np.ndarray) -> np.ndarray:
    """Encode samples, -1 to 1, in eight bits of A-law and decode them again."""
    size, whole = np.abs(samples).clip(max=1.0), 1 + np.log(A_LAW)
    logarithmic = (1 + np.log(np.maximum(A_LAW * size, 1))) / whole
    code = np.round(np.where(size < 1 / A_LAW, A_LAW * size / whole, logarithmic) * CODE_STEPS) / CODE_STEPS
    return np.sign(samples) * np.where(code < 1 / whole, code * whole / A_LAW, np.exp(code * whole - 1) / A_LAW)


if "telephone" not in perturbation_types:
    register_perturbation("telephone", TelephonePerturbation)


class AugmentedAudio:
    """Loads the audio of a Lhotse batch and applies NeMo's augmentor to it.

    Args:
        load: Lhotse's `AudioSamples`; turns cuts into samples, float (B, T), lengths, int (B,), and the readable cuts.
        augmentor: NeMo's augmentor; it draws new random values for each utterance.
        sample_rate: Rate of the samples, Hz.
    """

    def __init__(self, load: Any, augmentor: AudioAugmentor, sample_rate: int) -> None:
        self.load = load
        self.augmentor = augmentor
        self.sample_rate = sample_rate

    def __call__(self, cuts: CutSet) -> tuple[torch.Tensor, torch.Tensor, CutSet]:
        audio, lengths, cuts = self.load(cuts)
        waves = [self._perturb(wave[:length]) for wave, length in zip(audio, lengths, strict=True)]
        return collate_vectors(waves, padding_value=0.0), torch.tensor([len(wave) for wave in waves]).to(lengths), cuts

    def _perturb(self, wave: torch.Tensor) -> torch.Tensor:
        segment = AudioSegment(wave.numpy().copy(), sample_rate=self.sample_rate)
        self.augmentor.perturb(segment)
        return torch.from_numpy(np.ascontiguousarray(segment.samples, dtype=np.float32))


def augment_lhotse_loader(loader: DataLoader, settings: DictConfig, sample_rate: int) -> None:
    """Apply an `augmentor` setting in NeMo's data loader over Lhotse.

    Args:
        loader: Data loader that NeMo's ASR models make with `use_lhotse`; changed in place.
        settings: NeMo's `augmentor`: `{name: {prob: 0–1, …}}`. Augmentations with `prob` 0 are not built.
        sample_rate: Rate of the loaded audio, Hz.

    Raises:
        ValueError: An augmentation, or a setting of one, is unknown to NeMo.
    """
    plain = OmegaConf.to_container(settings, resolve=True)
    assert isinstance(plain, dict)
    wanted = {str(name): how for name, how in plain.items() if how is not None and how.get("prob") != 0}
    for name in wanted:
        if name not in perturbation_types:
            known = ", ".join(sorted(perturbation_types))
            raise ValueError(f"model.train_ds.augmentor.{name}: unknown augmentation, expected one of {known}")
    try:
        augmentor = process_augmentations(wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"model.train_ds.augmentor ({', '.join(wanted)}): {error}") from error
    dataset = getattr(loader.dataset, "dataset", loader.dataset)  # for tarred data an iterable wraps the dataset
    assert isinstance(dataset, LhotseSpeechToTextBpeDataset)
    if augmentor is not None and augmentor._pipeline:
        dataset.load_audio = AugmentedAudio(dataset.load_audio, augmentor, sample_rate)

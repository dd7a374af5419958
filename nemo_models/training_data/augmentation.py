"""Waveform augmentation for training: NeMo's `augmentor` where Lhotse loads the audio, and the telephone line.

NeMo reads `train_ds.augmentor` in its own data sets only; with `use_lhotse` it is ignored without a word. Here the same
setting acts on what Lhotse loads. NeMo's telephony (`transcode_aug`) starts two sox processes through a shell for every
utterance; ours stays in this one.
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
"""Compression of G.711's A-law, the one of telephony outside North America and Japan."""
CODE_STEPS = 127
"""Levels on either side of zero in its eight bits."""


class TelephonePerturbation(Perturbation):
    """An utterance as a telephone line carries it: 8 kHz, 300–3400 Hz, eight bits of A-law.

    Registered with NeMo as `telephone`. An encoder at 16 kHz has seldom heard such speech in pretraining.

    Source: ITU-T G.711, G.712.
    """

    def perturb(self, data: AudioSegment) -> None:
        """Change the samples in place, at the same rate and length."""
        line = soxr.resample(data._samples, data.sample_rate, TELEPHONE_RATE_HZ)
        band = butter(4, TELEPHONE_BAND_HZ, btype="bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
        received = soxr.resample(_a_law(sosfilt(band, line)), TELEPHONE_RATE_HZ, data.sample_rate)
        heard = np.zeros_like(data._samples)
        count = min(len(heard), len(received))
        heard[:count] = received[:count]
        data._samples = heard


def _a_law(samples: np.ndarray) -> np.ndarray:
    """What is left of samples in -1–1 after eight bits of A-law and back."""
    size, whole = np.abs(samples).clip(max=1.0), 1 + np.log(A_LAW)
    logarithmic = (1 + np.log(np.maximum(A_LAW * size, 1))) / whole
    code = np.round(np.where(size < 1 / A_LAW, A_LAW * size / whole, logarithmic) * CODE_STEPS) / CODE_STEPS
    return np.sign(samples) * np.where(code < 1 / whole, code * whole / A_LAW, np.exp(code * whole - 1) / A_LAW)


if "telephone" not in perturbation_types:
    register_perturbation("telephone", TelephonePerturbation)


class AugmentedAudio:
    """What loads the audio of a Lhotse batch, with NeMo's augmentor after it.

    Args:
        load: Lhotse's `AudioSamples`, from cuts to (B, T) samples, lengths and the cuts that could be read.
        augmentor: NeMo's; it draws for each utterance anew.
        sample_rate: Of the samples, Hz.
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
    """Let a data loader of NeMo's over Lhotse heed an `augmentor` setting.

    Args:
        loader: As NeMo's ASR models make it with `use_lhotse`; changed in place.
        settings: NeMo's `augmentor`: `{name: {prob: 0–1, …}}`. Those whose `prob` is 0 are not even built.
        sample_rate: Of the loaded audio, Hz.

    Raises:
        ValueError: NeMo knows no such augmentation, or not such a setting of it.
    """
    plain = OmegaConf.to_container(settings, resolve=True)
    assert isinstance(plain, dict)
    wanted = {str(name): how for name, how in plain.items() if how is not None and how.get("prob") != 0}
    for name in wanted:
        if name not in perturbation_types:
            known = ", ".join(sorted(perturbation_types))
            raise ValueError(f"model.train_ds.augmentor.{name}: unknown, expected one of {known}")
    try:
        augmentor = process_augmentations(wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"model.train_ds.augmentor ({', '.join(wanted)}): {error}") from error
    dataset = getattr(loader.dataset, "dataset", loader.dataset)  # tarred data are an iterable around it
    assert isinstance(dataset, LhotseSpeechToTextBpeDataset)
    if augmentor is not None and augmentor._pipeline:
        dataset.load_audio = AugmentedAudio(dataset.load_audio, augmentor, sample_rate)

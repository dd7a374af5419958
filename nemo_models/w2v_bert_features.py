"""The front-end of Wav2Vec2-BERT as a NeMo preprocessor: log-mel features, scaled over each utterance, in pairs.

transformers computes them in numpy, one utterance at a time. Here they are computed for a batch on any device, inside
the `.nemo` and inside an ONNX graph, and are equal.
"""

import math

import torch
from nemo.core.classes import typecheck
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank, window_function

from nemo_models.layers.nemo_contract import FEATURES, FrontEnd, is_exporting

WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
FFT = 512  # samples
PREEMPHASIS = 0.97
MEL_FLOOR = 1.192092955078125e-07  # of the power in a mel band: Kaldi's
VARIANCE_EPSILON = 1e-7
STACKED = 2  # frames that form one input of the encoder


class LogMelFeatures(FrontEnd):
    """Log-mel filter-bank features as Kaldi computes them, each band scaled to zero mean and unit variance.

    Args:
        sample_rate: Rate of the audio, Hz.
        mel_bins: Number of bands between 20 Hz and half the sample rate.
        window_stride: Seconds from one stacked frame to the next; NeMo scales timestamps by it.

    Source: transformers `models/seamless_m4t/feature_extraction_seamless_m4t.py`.
    """

    makes = FEATURES

    def __init__(self, sample_rate: int = 16000, mel_bins: int = 80, window_stride: float = 0.02) -> None:
        super().__init__(sample_rate, window_stride)
        filters = mel_filter_bank(
            num_frequency_bins=FFT // 2 + 1,
            num_mel_filters=mel_bins,
            min_frequency=20,
            max_frequency=sample_rate // 2,
            sampling_rate=sample_rate,
            norm=None,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        window = window_function(WINDOW, "povey", periodic=False)
        self._filters = torch.from_numpy(filters).double()  # not buffers, which would become float16 with a model
        self._window = torch.from_numpy(window).double()
        self._cosine, self._sine = _fourier_matrices()

    @typecheck()
    @torch.no_grad()
    def forward(self, input_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of a padded batch.

        Args:
            input_signal: Waveforms, float, (B, T), full scale 1.
            length: Valid samples of each, int64, (B,).

        Returns:
            Features, float32, (B, 2 × mel_bins, T'), zero beyond each length; and the valid ones of each, int64, (B,).
            An odd last frame belongs to no pair and is left out; transformers' attention mask leaves it out too.
        """
        with torch.autocast(input_signal.device.type, enabled=False):
            features = self._log_mel(self._with_two_frames(input_signal))
            frames = torch.div(length - WINDOW, HOP, rounding_mode="floor").add(1).clamp(min=0)
            valid = (torch.arange(features.shape[1], device=features.device) < frames[:, None])[..., None]
            count = frames.clamp(min=2)[:, None, None]
            mean = features.masked_fill(~valid, 0.0).sum(1, keepdim=True) / count
            centred = features - mean.float()  # rounded as in transformers, which matters where a band hardly varies
            centred = centred.masked_fill(~valid, 0.0)
            variance = centred.square().sum(1, keepdim=True) / (count - 1)
            scaled = (centred * torch.rsqrt(variance + VARIANCE_EPSILON)).float()
            pairs = torch.div(frames, STACKED, rounding_mode="floor")
            whole = scaled.shape[1] // STACKED  # shapes, not lengths: a graph would keep a length as a constant
            stacked = scaled[:, : whole * STACKED].reshape(scaled.shape[0], whole, STACKED * scaled.shape[2])
            stacked = stacked.masked_fill(
                (torch.arange(whole, device=stacked.device) >= pairs[:, None])[..., None], 0.0
            )
        return stacked.transpose(1, 2), pairs

    def _with_two_frames(self, signal: torch.Tensor) -> torch.Tensor:
        missing = WINDOW + HOP - signal.shape[1]
        if is_exporting() or missing <= 0:
            return signal  # a graph has no branches; the exported graph pads by itself
        return functional.pad(signal, (0, missing))

    def _log_mel(self, signal: torch.Tensor) -> torch.Tensor:
        """Compute (B, frames, mel_bins) in double precision, rounded in the two places where transformers rounds.

        The Fourier transform is a product with its matrix: a few MFLOP a second of audio, and ONNX supports it.
        """
        device = signal.device
        starts = torch.arange(0, signal.shape[1] - WINDOW + 1, HOP, device=device)
        frames = (signal.double() * 2**15)[:, starts[:, None] + torch.arange(WINDOW, device=device)]
        frames = frames - frames.mean(dim=2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        windowed = (frames - PREEMPHASIS * before) * self._window.to(device)
        real, imaginary = ((windowed @ part.to(device)).float().double() for part in (self._cosine, self._sine))
        power = real.square() + imaginary.square()
        return (power @ self._filters.to(device)).clamp(min=MEL_FLOOR).log().float().double()


def _fourier_matrices() -> tuple[torch.Tensor, torch.Tensor]:
    """Make real and imaginary part of the Fourier transform of `WINDOW` samples and zeros up to `FFT`: float64,
    (WINDOW, FFT / 2 + 1)."""
    turns = torch.arange(WINDOW)[:, None] * torch.arange(FFT // 2 + 1) % FFT  # whole turns left out: exact angles
    angles = turns.double() * (2 * math.pi / FFT)
    return torch.cos(angles), -torch.sin(angles)

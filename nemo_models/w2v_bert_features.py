"""The front-end of Wav2Vec2-BERT as a NeMo preprocessor: log-mel features, scaled over each utterance, in pairs.

transformers computes them in numpy, one utterance at a time; here they are one batch of tensors on any device, travel
inside the `.nemo`, and are the same numbers.
"""

import torch
from nemo.core.classes import NeuralModule, typecheck
from nemo.core.neural_types import AudioSignal, LengthsType, MelSpectrogramType, NeuralType
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank, window_function

WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
FFT = 512  # samples
PREEMPHASIS = 0.97
MEL_FLOOR = 1.192092955078125e-07  # of the power in a mel band: Kaldi's
VARIANCE_EPSILON = 1e-7
STACKED = 2  # frames that the encoder sees as one


class LogMelFeatures(NeuralModule):
    """Log-mel filter-bank features as Kaldi computes them, each band scaled to zero mean and unit variance.

    Args:
        sample_rate: Samples per second of the audio, Hz.
        mel_bins: Bands between 20 Hz and half the sample rate.
        window_stride: Seconds from one stacked frame to the next; NeMo scales timestamps by it.

    Source: transformers `models/seamless_m4t/feature_extraction_seamless_m4t.py`.
    """

    def __init__(self, sample_rate: int = 16000, mel_bins: int = 80, window_stride: float = 0.02) -> None:
        super().__init__()
        self._sample_rate = sample_rate  # the name under which NeMo's models look for it
        self.window_stride = window_stride
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
        self._filters = torch.from_numpy(filters).double()  # no buffers: those would follow a model into float16
        self._window = torch.from_numpy(window).double()

    @property
    def input_types(self) -> dict[str, NeuralType]:
        return {
            "input_signal": NeuralType(("B", "T"), AudioSignal(freq=self._sample_rate)),
            "length": NeuralType(tuple("B"), LengthsType()),
        }

    @property
    def output_types(self) -> dict[str, NeuralType]:
        return {
            "processed_signal": NeuralType(("B", "D", "T"), MelSpectrogramType()),
            "processed_length": NeuralType(tuple("B"), LengthsType()),
        }

    @typecheck()
    @torch.no_grad()
    def forward(self, input_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of a padded batch.

        Args:
            input_signal: Waveforms, float, (B, T), full scale 1.
            length: Valid samples of each, int64, (B,).

        Returns:
            Features, float32, (B, 2 × mel_bins, T'), zero beyond each length; and the valid ones of each, int64, (B,).
            An odd last frame belongs to no pair and is left out, as transformers' attention mask leaves it out.
        """
        with torch.autocast(input_signal.device.type, enabled=False):
            missing = WINDOW + HOP - input_signal.shape[1]
            signal = functional.pad(input_signal, (0, missing)) if missing > 0 else input_signal
            features = self._log_mel(signal)
            frames = torch.div(length - WINDOW, HOP, rounding_mode="floor").add(1).clamp(min=0)
            valid = (torch.arange(features.shape[1], device=features.device) < frames[:, None])[..., None]
            count = frames.clamp(min=2)[:, None, None]
            mean = features.masked_fill(~valid, 0.0).sum(1, keepdim=True) / count
            centred = features - mean.float()  # rounded as in transformers: it counts where a band hardly varies
            centred = centred.masked_fill(~valid, 0.0)
            variance = centred.square().sum(1, keepdim=True) / (count - 1)
            scaled = (centred * torch.rsqrt(variance + VARIANCE_EPSILON)).float()
            pairs = torch.div(frames, STACKED, rounding_mode="floor")
            whole = scaled.shape[1] // STACKED
            stacked = scaled[:, : whole * STACKED].reshape(len(scaled), whole, -1)
            stacked = stacked.masked_fill(
                (torch.arange(whole, device=stacked.device) >= pairs[:, None])[..., None], 0.0
            )
        return stacked.transpose(1, 2), pairs

    def _log_mel(self, signal: torch.Tensor) -> torch.Tensor:
        """(B, frames, mel_bins), computed in double precision and rounded in the two places where transformers does."""
        window, filters = self._window.to(signal.device), self._filters.to(signal.device)
        frames = (signal.double() * 2**15).unfold(1, WINDOW, HOP)
        frames = frames - frames.mean(dim=2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * window, n=FFT).to(torch.complex64)
        power = spectrum.real.double().square() + spectrum.imag.double().square()
        return (power @ filters).clamp(min=MEL_FLOOR).log().float().double()

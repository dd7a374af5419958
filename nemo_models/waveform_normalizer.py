"""The model's preprocessor: wav2vec 2.0 reads the waveform itself, scaled to zero mean and unit variance.

It takes the place of the spectrogram in NeMo's other models, so that normalisation is inside the `.nemo` and every
caller (training, transcription, export) uses the same one.
"""

import torch
from nemo.core.classes import typecheck

from nemo_models.layers.nemo_contract import WAVEFORMS, FrontEnd

FAIRSEQ_EPSILON = 1e-5
"""Added to the variance by fairseq's `F.layer_norm(waveform, waveform.shape)`."""
HUGGING_FACE_EPSILON = 1e-7
"""Added to the variance by transformers' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`."""


class WaveformNormalizer(FrontEnd):
    """Scale each waveform by the mean and variance of its own valid samples; padding becomes zero.

    Args:
        sample_rate: Rate of the audio that the encoder was pretrained on, Hz.
        normalize: Whether the checkpoint was pretrained on normalised waveforms (XLSR-53 was, wav2vec2-base was not).
        epsilon: Added to the variance; a property of the checkpoint, see `FAIRSEQ_EPSILON`, `HUGGING_FACE_EPSILON`.
        window_stride: Seconds from one encoder frame to the next; NeMo scales timestamps by it.
        mask_padding: Whether mean and variance exclude padding, and padding stays zero. `False` equals transformers
            for checkpoints such as wav2vec2-base, whose feature extractor gives no attention mask: padding then counts
            as silence and is shifted with it.

    Source: fairseq `data/audio/raw_audio_dataset.py`; transformers `feature_extraction_wav2vec2.py`.
    """

    makes = WAVEFORMS

    def __init__(
        self,
        sample_rate: int = 16000,
        normalize: bool = True,
        epsilon: float = FAIRSEQ_EPSILON,
        window_stride: float = 0.02,
        mask_padding: bool = True,
    ) -> None:
        super().__init__(sample_rate, window_stride)
        self.normalize = normalize
        self.epsilon = epsilon
        self.mask_padding = mask_padding

    @typecheck()
    @torch.no_grad()
    def forward(self, input_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise a padded batch.

        Args:
            input_signal: Waveforms, float, (B, T), any scale.
            length: Valid samples of each, int64, (B,).

        Returns:
            The waveforms, float32, (B, T), zero beyond each length if padding is masked; and `length`, unchanged.
        """
        with torch.autocast(input_signal.device.type, enabled=False):
            signal = input_signal.float()
            valid = torch.arange(signal.shape[1], device=signal.device) < length[:, None]
            signal = signal.masked_fill(~valid, 0.0)
            if self.normalize:
                count = length.clamp(min=1)[:, None]
                if not self.mask_padding:
                    valid, count = torch.ones_like(valid), torch.full_like(count, signal.shape[1])
                centred = (signal - signal.sum(1, keepdim=True) / count).masked_fill(~valid, 0.0)
                variance = centred.square().sum(1, keepdim=True) / count
                signal = centred * torch.rsqrt(variance + self.epsilon)
        return signal, length

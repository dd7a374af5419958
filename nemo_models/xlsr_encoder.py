"""XLSR-53 and its wav2vec 2.0 relatives as a NeMo encoder.

The network is `transformers.Wav2Vec2Model`, with masks for training drawn on the device. This module adds NeMo's
argument names and types, exact frame counts, and the attention mask that makes padded batches equal single utterances.
NeMo's own `wav2vec_modules` do not fit these checkpoints: they have no convolution bias, and another order of
projection and normalisation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from nemo.core.classes import typecheck
from omegaconf import DictConfig, OmegaConf
from transformers import Wav2Vec2Config, Wav2Vec2Model

from data_prep import conv_frames
from data_prep.conv_frames import count_conv_frames
from nemo_models.layers.convolutions import FrozenFeatureEncoder
from nemo_models.layers.nemo_contract import WAVEFORMS, PretrainedEncoder, can_read_values, is_exporting
from nemo_models.layers.padded_attention import KEY_MASK, VARLEN
from nemo_models.layers.span_masking import SpanMasking

ARCHITECTURE_KEYS = (
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "conv_bias",
    "feat_extract_norm",
    "feat_extract_activation",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "do_stable_layer_norm",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
)
"""The fields of a `Wav2Vec2Config` that decide shapes and arithmetic: a checkpoint fixes them."""


class FinetunableWav2Vec2Model(SpanMasking, Wav2Vec2Model):
    """transformers' network without waits for the device, with a faster forward pass through frozen convolutions."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        self.feature_extractor.__class__ = FrozenFeatureEncoder  # the same weights, initialised as transformers does

    def _get_feature_vector_attention_mask(
        self, feature_vector_length: int, attention_mask: torch.Tensor, add_adapter: bool | None = None
    ) -> torch.Tensor:
        """Overrides transformers' method, which sends an index and a value to the device for each row."""
        frames = torch.arange(feature_vector_length, device=attention_mask.device)
        return frames < count_frames(self.config, attention_mask.sum(dim=1))[:, None]


class XLSREncoder(PretrainedEncoder):
    """A wav2vec 2.0 network as a NeMo encoder.

    Args:
        architecture: Every one of `ARCHITECTURE_KEYS`, as in the checkpoint's Hugging Face `config.json`.
        freeze_feature_encoder: Keep the checkpoint's convolutions unchanged while fine-tuning.
        mask_time_prob: Share of frames at which a masked span starts, times `mask_time_length`; training only.
        mask_time_length: Frames (20 ms each) in one masked span.
        mask_feature_prob: The same over channels.
        mask_feature_length: Channels in one masked span.
        layerdrop: Chance that a transformer layer is skipped in a training step.
        hidden_dropout: Dropout after attention, feed-forward and position embedding.
        attention_dropout: Dropout of attention weights.
        activation_dropout: Dropout inside the feed-forward parts.
        feat_proj_dropout: Dropout of the projected convolution features.
        gradient_checkpointing: Recompute transformer layers in the backward pass: less memory, about a third slower.
        mask_padding: Whether attention masks padding. Checkpoints with layer norm in the convolutions need it for
            batches to equal single utterances. With group norm there (wav2vec2-base), whose statistics include
            padding, an utterance's output depends on its batch either way; the value is then that of the source:
            fairseq masks, transformers does not.
        varlen_attention: Compute attention of padded batches with torch's kernel for sequences of different length,
            on CUDA in bfloat16 or float16 without `attention_dropout`; elsewhere it changes nothing.

    Raises:
        ValueError: `architecture` lacks a key, has an unknown one, or its values contradict each other.

    Source: wav2vec 2.0 (Baevski et al., 2020), XLSR-53 (Conneau et al., 2020); transformers' `modeling_wav2vec2.py`.
    """

    reads = WAVEFORMS

    def __init__(
        self,
        architecture: Mapping[str, Any],
        freeze_feature_encoder: bool = True,
        mask_time_prob: float = 0.0,
        mask_time_length: int = 10,
        mask_feature_prob: float = 0.0,
        mask_feature_length: int = 64,
        layerdrop: float = 0.0,
        hidden_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        feat_proj_dropout: float = 0.0,
        gradient_checkpointing: bool = False,
        mask_padding: bool = True,
        varlen_attention: bool = False,
    ) -> None:
        super().__init__()
        config = Wav2Vec2Config(
            **check_architecture(architecture),
            mask_time_prob=1.0,  # so that the mask vector exists, which every checkpoint has
            mask_time_length=mask_time_length,
            mask_feature_prob=mask_feature_prob,
            mask_feature_length=mask_feature_length,
            layerdrop=layerdrop,
            hidden_dropout=hidden_dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            feat_proj_dropout=feat_proj_dropout,
        )
        attention = VARLEN if varlen_attention else KEY_MASK
        self.wav2vec2 = self._make_network(
            FinetunableWav2Vec2Model, config, mask_time_prob, gradient_checkpointing, attention
        )
        self.mask_padding = mask_padding
        self.freeze_feature_encoder = freeze_feature_encoder
        self._freeze_feature_encoder()

    @property
    def network(self) -> Wav2Vec2Model:
        return self.wav2vec2

    @typecheck()
    def forward(self, audio_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a padded batch of normalised waveforms.

        Args:
            audio_signal: Waveforms, float, (B, T), zero beyond each length.
            length: Valid samples of each, int64, (B,).

        Returns:
            Frames, float, (B, D, T'), undefined beyond each length; and the valid frames of each, int64, (B,):
            `frame_count(length)`.
        """
        audio_signal = self._at_least_one_frame(audio_signal)
        lengths = self.frame_count(length)
        time_mask = None
        if self.training:
            time_mask = self.wav2vec2.sample_time_mask(lengths, int(self.frame_count(audio_signal.shape[1])))
        attention_mask = self._attention_mask(audio_signal, length)
        frames = self.wav2vec2(audio_signal, attention_mask=attention_mask, mask_time_indices=time_mask)
        return frames.last_hidden_state.transpose(1, 2), lengths

    def encode_masked(
        self, audio_signal: torch.Tensor, length: torch.Tensor, time_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a padded batch with given frames masked, for pre-training.

        Args:
            audio_signal: Waveforms, float, (B, T), zero beyond each length.
            length: Valid samples of each, int64, (B,).
            time_mask: True where masked, bool, (B, `frame_count(T)`).

        Returns:
            Frames, float, (B, T', D), undefined beyond each length; and the normalised output of the convolutions,
            which is not masked, float, (B, T', channels).
        """
        audio_signal = self._at_least_one_frame(audio_signal)
        attention_mask = self._attention_mask(audio_signal, length)
        output = self.wav2vec2(audio_signal, attention_mask=attention_mask, mask_time_indices=time_mask)
        return output.last_hidden_state, output.extract_features

    def frame_count(self, samples: torch.Tensor | int) -> torch.Tensor:
        """Count the frames that the convolutions make of audio: exact, 0 below the receptive field (400 samples).

        Args:
            samples: Samples at the encoder's rate, an int or int64 of any shape.

        Returns:
            int64 of the same shape.
        """
        return count_frames(self.wav2vec2.config, samples)

    @property
    def padding_changes_output(self) -> bool:
        return not self.mask_padding or self.wav2vec2.config.feat_extract_norm == "group"

    def receptive_field(self) -> int:
        return network_receptive_field(self.wav2vec2.config)

    def input_example(self, max_batch: int = 2, max_dim: int = 32000) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the input with which NeMo's `export` traces the model: a padded batch of noise.

        Args:
            max_batch: Number of utterances.
            max_dim: Samples of the longest.

        Returns:
            `audio_signal` and `length` of `forward`.
        """
        device = next(self.parameters()).device
        signal = torch.randn(max_batch, max_dim, generator=torch.Generator().manual_seed(0)).to(device)
        return signal, torch.linspace(max_dim, max_dim / 2, max_batch, device=device).long()

    def unfreeze(self, partial: bool = False) -> None:
        """Overrides NeMo's method, which ends `freeze_updates`: frozen convolutions stay frozen."""
        super().unfreeze(partial=partial)
        self._freeze_feature_encoder()

    def _freeze_feature_encoder(self) -> None:
        if self.freeze_feature_encoder:
            self.wav2vec2.freeze_feature_encoder()

    def _at_least_one_frame(self, signal: torch.Tensor) -> torch.Tensor:
        if is_exporting():
            return signal  # a graph has no branches; the exported graph pads by itself
        missing = self.receptive_field() - signal.shape[1]
        return torch.nn.functional.pad(signal, (0, missing)) if missing > 0 else signal

    def _attention_mask(self, signal: torch.Tensor, length: torch.Tensor) -> torch.Tensor | None:
        if not self.mask_padding or (can_read_values(length) and bool((length >= signal.shape[1]).all())):
            return None  # nothing is padded: attention takes its fastest path
        samples = torch.arange(signal.shape[1], device=signal.device)
        mask = samples < length.clamp(min=self.receptive_field())[:, None]  # a row without any frame would be all NaN
        return mask.long()  # ONNX cannot sum booleans


def count_frames(config: Wav2Vec2Config, samples: torch.Tensor | int) -> torch.Tensor:
    """Count the frames that a network with this configuration makes of audio; see `XLSREncoder.frame_count`."""
    frames: torch.Tensor = count_conv_frames(torch.as_tensor(samples, dtype=torch.int64), conv_layers(config))
    return frames


def network_receptive_field(config: Wav2Vec2Config) -> int:
    """Count the samples that one frame depends on in a network with this configuration."""
    return conv_frames.measure_receptive_field(conv_layers(config))


def conv_layers(config: Wav2Vec2Config) -> list[tuple[int, int]]:
    """Give kernel and stride of each convolution, as `data_prep.conv_frames` takes them."""
    return list(zip(config.conv_kernel, config.conv_stride, strict=True))


def check_architecture(architecture: Mapping[str, Any], keys: Sequence[str] = ARCHITECTURE_KEYS) -> dict[str, Any]:
    """Return `architecture` in plain containers, which transformers requires (Hydra passes its own).

    Raises:
        ValueError: A key of `keys` is missing, or there is another one.
    """
    plain = OmegaConf.to_container(architecture) if isinstance(architecture, DictConfig) else dict(architecture)
    assert isinstance(plain, dict)
    missing = [key for key in keys if key not in plain]
    unknown = [str(key) for key in plain if key not in keys]
    if missing or unknown:
        raise ValueError(
            f"encoder.architecture: found missing {missing}, unknown {unknown}, expected the fields of config.json "
            "that decide shapes; copy them from the checkpoint"
        )
    return {str(key): value for key, value in plain.items()}

"""Wav2Vec2-BERT 2.0 as a NeMo encoder: a conformer over log-mel features, with the same interface as XLSR-53's.

The network is `transformers.Wav2Vec2BertModel`, with masks for training drawn on the device; its front-end is
`w2v_bert_features.LogMelFeatures`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from nemo.core.classes import typecheck
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from nemo_models.layers.nemo_contract import FEATURES, PretrainedEncoder, can_read_values
from nemo_models.layers.span_masking import SpanMasking
from nemo_models.w2v_bert_features import HOP, STACKED, WINDOW
from nemo_models.xlsr_encoder import check_architecture

W2V_BERT_ARCHITECTURE_KEYS = (
    "feature_projection_input_dim",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "conv_depthwise_kernel_size",
    "position_embeddings_type",
    "left_max_position_embeddings",
    "right_max_position_embeddings",
)
"""The fields of a `Wav2Vec2BertConfig` that decide shapes and arithmetic."""


class SpanMaskedWav2Vec2BertModel(SpanMasking, Wav2Vec2BertModel):
    """transformers' network with span masks drawn on the device."""


class W2VBertEncoder(PretrainedEncoder):
    """A Wav2Vec2-BERT network as a NeMo encoder.

    Args:
        architecture: Every one of `W2V_BERT_ARCHITECTURE_KEYS`, as in the checkpoint's `config.json`.
        mask_time_prob: Share of frames at which a masked span starts, times `mask_time_length`; training only.
        mask_time_length: Frames (20 ms each) in one masked span.
        mask_feature_prob: The same over channels.
        mask_feature_length: Channels in one masked span.
        layerdrop: Chance that a layer is skipped in a training step.
        hidden_dropout: Dropout in the feed-forward parts.
        attention_dropout: Dropout after attention.
        activation_dropout: Dropout inside the feed-forward parts.
        feat_proj_dropout: Dropout of the projected features.
        conformer_conv_dropout: Dropout in the convolution parts.
        gradient_checkpointing: Recompute layers in the backward pass: less memory, about a third slower.

    Raises:
        ValueError: `architecture` lacks a key, has an unknown one, or has other position embeddings than
            `relative_key`, those of the published checkpoint.

    Source: Seamless (Barrault et al., 2023), section 3.1; transformers' `modeling_wav2vec2_bert.py`.
    """

    reads = FEATURES

    def __init__(
        self,
        architecture: Mapping[str, Any],
        mask_time_prob: float = 0.0,
        mask_time_length: int = 10,
        mask_feature_prob: float = 0.0,
        mask_feature_length: int = 64,
        layerdrop: float = 0.0,
        hidden_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        feat_proj_dropout: float = 0.0,
        conformer_conv_dropout: float = 0.0,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        plain = check_architecture(architecture, W2V_BERT_ARCHITECTURE_KEYS)
        if plain["position_embeddings_type"] != "relative_key":
            raise ValueError(
                f"encoder.architecture.position_embeddings_type={plain['position_embeddings_type']!r}: expected "
                "'relative_key'; choose a checkpoint with it"
            )
        config = Wav2Vec2BertConfig(
            **plain,
            mask_time_prob=1.0,  # so that the mask vector exists, which every checkpoint has
            mask_time_length=mask_time_length,
            mask_feature_prob=mask_feature_prob,
            mask_feature_length=mask_feature_length,
            layerdrop=layerdrop,
            hidden_dropout=hidden_dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            feat_proj_dropout=feat_proj_dropout,
            conformer_conv_dropout=conformer_conv_dropout,
        )
        self.wav2vec2_bert = self._make_network(
            SpanMaskedWav2Vec2BertModel, config, mask_time_prob, gradient_checkpointing
        )

    @property
    def network(self) -> Wav2Vec2BertModel:
        return self.wav2vec2_bert

    @typecheck()
    def forward(self, audio_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a padded batch of features.

        Args:
            audio_signal: `LogMelFeatures`' output, float, (B, D, T').
            length: Valid frames of each, int64, (B,).

        Returns:
            Frames, float, (B, hidden_size, T'), undefined beyond each length; and `length`.
        """
        mask = None
        if not can_read_values(length) or bool((length < audio_signal.shape[2]).any()):
            frames = torch.arange(audio_signal.shape[2], device=audio_signal.device)
            mask = frames < length.clamp(min=1)[:, None]  # a row without any frame would be all NaN
        output = self.wav2vec2_bert(
            audio_signal.transpose(1, 2),
            attention_mask=mask,
            mask_time_indices=self.wav2vec2_bert.sample_time_mask(length, audio_signal.shape[2]),
        )
        return output.last_hidden_state.transpose(1, 2), length

    def receptive_field(self) -> int:
        return WINDOW + (STACKED - 1) * HOP

    def input_example(self, max_batch: int = 2, max_dim: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the input with which NeMo's `export` traces the model: a padded batch of noise.

        Args:
            max_batch: Number of utterances.
            max_dim: Frames of the longest.

        Returns:
            `audio_signal` and `length` of `forward`.
        """
        device = next(self.parameters()).device
        bands = self.wav2vec2_bert.config.feature_projection_input_dim
        signal = torch.randn(max_batch, bands, max_dim, generator=torch.Generator().manual_seed(0)).to(device)
        return signal, torch.linspace(max_dim, max_dim / 2, max_batch, device=device).long()

"""A second implementation of fairseq's forward pass, with which an import is compared.

It uses plain torch operations and the file's tensors by fairseq's names. It shares no table of names and no network
code with the encoder under test. Tests compare it with outputs that fairseq recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from nemo_models.checkpoints.encoder_checkpoint import SourceRun
from nemo_models.checkpoints.fairseq_config import FAIRSEQ_DEFAULTS, parse_conv_layers


class FairseqReference:
    """fairseq's wav2vec 2.0, pretrained or with a CTC head, on the CPU in float32.

    Args:
        weights: The file's tensors by fairseq's names.
        model: The encoder's settings in fairseq's terms.
        normalize: Whether waveforms are normalised.

    Source: fairseq@3d262bb2 `models/wav2vec/{wav2vec2,wav2vec2_asr}.py`, `data/audio/raw_audio_dataset.py`.
    """

    description = "fairseq's forward pass in plain torch, from the file's own tensors"

    def __init__(self, weights: Mapping[str, torch.Tensor], model: Mapping[str, Any], normalize: bool) -> None:
        self._weights = weights
        self._prefix = "w2v_encoder.w2v_model." if "w2v_encoder.w2v_model.layer_norm.weight" in weights else ""
        self._settings = {**FAIRSEQ_DEFAULTS, **{key: value for key, value in model.items() if value is not None}}
        self._normalize = normalize

    def __call__(self, batches: Sequence[Sequence[torch.Tensor]]) -> list[SourceRun]:
        """Run batches of waveforms, each padded with zeros to its longest."""
        return [self._run(batch) for batch in batches]

    @torch.inference_mode()
    def _run(self, waves: Sequence[torch.Tensor]) -> SourceRun:
        if self._normalize:
            waves = [functional.layer_norm(wave, wave.shape) for wave in waves]
        lengths = torch.tensor([len(wave) for wave in waves])
        hidden = torch.nn.utils.rnn.pad_sequence(list(waves), batch_first=True)[:, None]
        for number, (_, kernel, stride) in enumerate(parse_conv_layers(self._settings["conv_feature_layers"])):
            hidden = self._convolve(hidden, number, stride)
            lengths = (lengths - kernel) // stride + 1
        hidden = self._layer_norm(hidden.transpose(1, 2), "layer_norm")
        if self._tensor("post_extract_proj.weight") is not None:
            hidden = self._linear(hidden, "post_extract_proj")
        padded = torch.arange(hidden.shape[1]) >= lengths[:, None]
        hidden = hidden.masked_fill(padded[..., None], 0.0)
        hidden = hidden + self._positions(hidden)
        norm_first = bool(self._settings["layer_norm_first"])
        if not norm_first:
            hidden = self._layer_norm(hidden, "encoder.layer_norm")
        for number in range(int(self._settings["encoder_layers"])):
            hidden = self._transform(hidden, f"encoder.layers.{number}", norm_first, padded)
        if norm_first:
            hidden = self._layer_norm(hidden, "encoder.layer_norm")
        head = self._weights.get("w2v_encoder.proj.weight")
        if head is None:
            return SourceRun(hidden, None)
        bias = self._weights.get("w2v_encoder.proj.bias")
        logits = functional.linear(hidden, head.float(), None if bias is None else bias.float())
        return SourceRun(hidden, logits)

    def _convolve(self, signal: torch.Tensor, number: int, stride: int) -> torch.Tensor:
        name = f"feature_extractor.conv_layers.{number}"
        signal = functional.conv1d(signal, self._required(f"{name}.0.weight"), self._tensor(f"{name}.0.bias"), stride)
        if self._settings["extractor_mode"] == "layer_norm":
            signal = self._layer_norm(signal.transpose(1, 2), f"{name}.2.1").transpose(1, 2)
        elif number == 0:
            weight, bias = self._required(f"{name}.2.weight"), self._required(f"{name}.2.bias")
            signal = functional.group_norm(signal, signal.shape[1], weight, bias)
        return functional.gelu(signal)

    def _positions(self, hidden: torch.Tensor) -> torch.Tensor:
        length_name, direction_name = "encoder.pos_conv.0.weight_g", "encoder.pos_conv.0.weight_v"
        if self._tensor(direction_name) is None:  # newer torch's names
            length_name, direction_name = (f"encoder.pos_conv.0.parametrizations.weight.original{n}" for n in (0, 1))
        direction = self._required(direction_name)
        length = direction.square().sum(dim=(0, 1), keepdim=True).sqrt()
        weight = self._required(length_name) * direction / length
        kernel = weight.shape[2]
        positions = functional.conv1d(
            hidden.transpose(1, 2),
            weight,
            self._required("encoder.pos_conv.0.bias"),
            padding=kernel // 2,
            groups=int(self._settings["conv_pos_groups"]),
        )
        return functional.gelu(positions[..., : hidden.shape[1]]).transpose(1, 2)

    def _transform(self, hidden: torch.Tensor, name: str, norm_first: bool, padded: torch.Tensor) -> torch.Tensor:
        def attention(inside: torch.Tensor) -> torch.Tensor:
            return self._attend(inside, f"{name}.self_attn", padded)

        def feed_forward(inside: torch.Tensor) -> torch.Tensor:
            return self._linear(functional.gelu(self._linear(inside, f"{name}.fc1")), f"{name}.fc2")

        for part, norm in ((attention, f"{name}.self_attn_layer_norm"), (feed_forward, f"{name}.final_layer_norm")):
            if norm_first:
                hidden = hidden + part(self._layer_norm(hidden, norm))
            else:
                hidden = self._layer_norm(hidden + part(hidden), norm)
        return hidden

    def _attend(self, hidden: torch.Tensor, name: str, padded: torch.Tensor) -> torch.Tensor:
        batch, frames, width = hidden.shape
        heads = int(self._settings["encoder_attention_heads"])

        def split(part: str) -> torch.Tensor:
            return self._linear(hidden, f"{name}.{part}_proj").view(batch, frames, heads, -1).transpose(1, 2)

        query = split("q") * (width // heads) ** -0.5
        scores = (query @ split("k").transpose(2, 3)).masked_fill(padded[:, None, None], -torch.inf)
        attended = scores.softmax(dim=-1) @ split("v")
        return self._linear(attended.transpose(1, 2).reshape(batch, frames, width), f"{name}.out_proj")

    def _layer_norm(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self._required(f"{name}.weight"), self._required(f"{name}.bias")
        return functional.layer_norm(hidden, hidden.shape[-1:], weight, bias)

    def _linear(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(hidden, self._required(f"{name}.weight"), self._required(f"{name}.bias"))

    def _required(self, name: str) -> torch.Tensor:
        return self._weights[self._prefix + name].float()

    def _tensor(self, name: str) -> torch.Tensor | None:
        return self._required(name) if self._prefix + name in self._weights else None

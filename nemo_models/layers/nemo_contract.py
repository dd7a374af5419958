"""Base classes for NeMo's interfaces of front-end and encoder, shared by every kind of checkpoint."""

from typing import Any, ClassVar

import torch
from nemo.core.classes import Exportable, NeuralModule
from nemo.core.neural_types import (
    AcousticEncodedRepresentation,
    AudioSignal,
    LengthsType,
    MelSpectrogramType,
    NeuralType,
)

from nemo_models.layers.lora import freeze_base_weights
from nemo_models.layers.meta_init import encoder_device
from nemo_models.layers.padded_attention import KEY_MASK

WAVEFORMS = NeuralType(("B", "T"), AudioSignal())
FEATURES = NeuralType(("B", "D", "T"), MelSpectrogramType())
LENGTHS = NeuralType(tuple("B"), LengthsType())


class FrontEnd(NeuralModule):
    """Turns waveforms into an encoder's input; NeMo calls it the preprocessor.

    Args:
        sample_rate: Samples per second of the audio, Hz.
        window_stride: Seconds from one of the encoder's frames to the next; NeMo scales timestamps by it.
    """

    makes: ClassVar[NeuralType]

    def __init__(self, sample_rate: int, window_stride: float) -> None:
        super().__init__()
        self._sample_rate = sample_rate  # the name under which NeMo's models look for it
        self.window_stride = window_stride

    @property
    def input_types(self) -> dict[str, NeuralType]:
        return {"input_signal": WAVEFORMS, "length": LENGTHS}

    @property
    def output_types(self) -> dict[str, NeuralType]:
        return {"processed_signal": self.makes, "processed_length": LENGTHS}


class PretrainedEncoder(NeuralModule, Exportable):
    """A network of transformers behind NeMo's encoder contract; NeMo's `export` traces it with `input_example`."""

    reads: ClassVar[NeuralType]
    subsampling_factor = 1
    """Encoder frames per `FrontEnd.window_stride`; NeMo scales timestamps by it."""

    @property
    def network(self) -> Any:
        """transformers' model, whose names of tensors are those of a checkpoint."""
        raise NotImplementedError

    @property
    def input_types(self) -> dict[str, NeuralType]:
        return {"audio_signal": self.reads, "length": LENGTHS}

    @property
    def output_types(self) -> dict[str, NeuralType]:
        encoded = NeuralType(("B", "D", "T"), AcousticEncodedRepresentation())
        return {"outputs": encoded, "encoded_lengths": LENGTHS}

    @property
    def padding_changes_output(self) -> bool:
        """Whether an utterance's frames depend on the padding behind it, so that a batch changes them."""
        return False

    def receptive_field(self) -> int:
        """Return the samples that one frame depends on: the shortest audio that gives a frame."""
        raise NotImplementedError

    def unfreeze(self, partial: bool = False) -> None:
        """Overrides NeMo's method, which ends `freeze_updates`: weights under low-rank updates stay frozen."""
        super().unfreeze(partial=partial)
        freeze_base_weights(self.network)

    def compile_layers(self) -> None:
        """Let torch compile the layers, all to the same kernels, when they first run, for batches of any size."""
        for layer in self.network.encoder.layers:
            layer.compile(dynamic=True)

    def _make_network(
        self, kind: Any, config: Any, mask_time_prob: float, gradient_checkpointing: bool, attention: str = KEY_MASK
    ) -> Any:
        """Build a network of class `kind` from a `config` that masks, so that the vector for masked frames exists.

        A checkpoint has that vector; `mask_time_prob` decides whether training masks.
        """
        with encoder_device():
            network = kind._from_config(config, attn_implementation=attention)
        network.config.mask_time_prob = mask_time_prob
        if gradient_checkpointing:
            network.gradient_checkpointing_enable({"use_reentrant": False})
        self._feat_out = config.hidden_size  # the name under which NeMo's decoders look for the width
        return network


def can_read_values(lengths: torch.Tensor) -> bool:
    """Whether a branch may depend on the values of lengths: not while a graph is recorded, nor in training on a GPU.

    Reading a value makes the host wait until the GPU has finished its queue, and the GPU then waits for the host.
    """
    return not is_exporting() and (lengths.device.type == "cpu" or not torch.is_grad_enabled())


def is_exporting() -> bool:
    """Whether a graph is being recorded, in which a branch would be fixed."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()

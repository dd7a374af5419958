"""The importance of each head, neuron and channel of a teacher.

The score of a part is the power of its contribution to the layer's output: the mean square of its activations, times
the squared norm of the weights that read them. Leaving out parts with low scores changes the output least.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import soundfile
import torch
from omegaconf import DictConfig
from torch import Tensor

from data_prep.audio.reader import SAMPLE_RATE_HZ
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training.file_checks import locate
from nemo_models.training.sources import AUDIO_KEYS, list_sources


@dataclass(frozen=True)
class Importance:
    """Scores of a teacher's parts; only their order within one tensor matters.

    Attributes:
        hidden: Score of each channel of the residual stream, float, (D,).
        heads: Scores of the attention heads, for each layer, float, (heads,).
        neurons: Scores of the neurons of the feed-forward part, for each layer, float, (neurons,).
        conv: Scores of the output channels, for each convolution, float, (channels,).
    """

    hidden: Tensor
    heads: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]
    conv: tuple[Tensor, ...]

    @classmethod
    def of_weights(cls, model: XLSRCTCModel) -> "Importance":
        """Score by the weights alone, as if every part's activations had the power 1."""
        return _score(model, defaultdict(lambda: 1.0))


def measure_importance(model: XLSRCTCModel, batches: Iterable[tuple[Tensor, Tensor]]) -> Importance:
    """Measure the activations of a model's parts on audio.

    Args:
        model: The teacher, in evaluation mode, on any device.
        batches: Waveforms at 16 kHz, float, (B, T), and the valid samples of each, int64, (B,).

    Returns:
        The scores, on the CPU.

    Raises:
        ValueError: There is no audio with at least one frame.
    """
    network = model.encoder.network
    sums: dict[str, Tensor] = {}
    frames = 0
    with ExitStack() as hooks, torch.no_grad():
        for name, module, reads_input in _measured_modules(network):
            hook = _power_hook(sums, name, reads_input)
            hooks.callback(module.register_forward_hook(hook).remove)
        for signal, lengths in batches:
            counts = model.encoder.frame_count(lengths)
            # One utterance at a time: no padding reaches a sum.
            for row, samples, count in zip(signal, lengths.tolist(), counts.tolist(), strict=True):
                if count:
                    model(input_signal=row[None, :samples], input_signal_length=torch.tensor([samples]))
                    frames += count
    if not frames:
        raise ValueError("importance: found no audio of one frame or more, expected speech; check the training data")
    return _score(model, {name: total.cpu() for name, total in sums.items()})


def read_waves(train_ds: DictConfig) -> Iterator[Tensor]:
    """Read the utterances of training data in the order of the manifests; none from tar or Shar files.

    As in training, those above `max_duration` and those that are unreadable are left out.

    Args:
        train_ds: `model.train_ds`; the audio is at 16 kHz and mono.

    Yields:
        Waveforms, float32, (T,).
    """
    longest = train_ds.get("max_duration")
    for source in list_sources(train_ds, AUDIO_KEYS):
        for row in source.read() if source.has_files else ():
            if longest is not None and row["duration"] > longest:
                continue
            start, frames = (round(seconds * SAMPLE_RATE_HZ) for seconds in (row.get("offset") or 0, row["duration"]))
            try:
                wave, _ = soundfile.read(locate(source.path.parent.as_posix(), row), frames, start, dtype="float32")
            except (soundfile.LibsndfileError, OSError):
                continue  # the training's watch names it
            yield torch.from_numpy(wave)


def _measured_modules(network: Any) -> Iterable[tuple[str, torch.nn.Module, bool]]:
    """Yield name, module and whether its input counts (else its output)."""
    for number, layer in enumerate(network.feature_extractor.conv_layers):
        yield f"conv.{number}", layer, False
    for number, layer in enumerate(network.encoder.layers):
        yield f"attention.{number}", layer.attention.out_proj, True
        yield f"neurons.{number}", layer.feed_forward.output_dense, True
        yield f"hidden.{number}", layer, False


def _power_hook(sums: dict[str, Tensor], name: str, reads_input: bool) -> Callable[[torch.nn.Module, Any, Any], None]:
    def add(module: torch.nn.Module, arguments: Any, output: Any) -> None:
        value = arguments[0] if reads_input else output[0] if isinstance(output, tuple) else output
        axis = 1 if name.startswith("conv") else value.dim() - 1
        others = [other for other in range(value.dim()) if other != axis]
        power = value.double().square().sum(dim=others)
        sums[name] = sums.get(name, 0) + power

    return add


def _score(model: XLSRCTCModel, power: Any) -> Importance:
    network = model.encoder.network
    head_count = network.config.num_attention_heads
    layers = list(enumerate(network.encoder.layers))

    def read_by(weight: Tensor) -> Tensor:
        """Squared norm of the weights that read each input channel, (channels,)."""
        return weight.detach().double().cpu().square().sum(dim=[axis for axis in range(weight.dim()) if axis != 1])

    convolutions = list(network.feature_extractor.conv_layers)
    readers = [layer.conv.weight for layer in convolutions[1:]] + [network.feature_projection.projection.weight]
    hidden = sum(
        power[f"hidden.{number}"]
        * (read_by(layer.attention.q_proj.weight) + read_by(layer.feed_forward.intermediate_dense.weight))
        for number, layer in layers
    )
    heads = [power[f"attention.{number}"] * read_by(layer.attention.out_proj.weight) for number, layer in layers]
    return Importance(
        hidden=torch.as_tensor(hidden),
        heads=tuple(scores.view(head_count, -1).sum(dim=1) for scores in heads),
        neurons=tuple(
            power[f"neurons.{number}"] * read_by(layer.feed_forward.output_dense.weight) for number, layer in layers
        ),
        conv=tuple(power[f"conv.{number}"] * read_by(weight) for number, weight in enumerate(readers)),
    )

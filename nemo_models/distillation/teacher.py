"""The teacher during training: it computes targets, is never updated, and costs no memory for gradients."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.losses import expand_top, keep_top
from nemo_models.distillation.teacher_cache import TeacherCache, hash_audio


class Targets(NamedTuple):
    """The targets of a student for a batch.

    Attributes:
        log_probs: The teacher's log-probabilities, float32, (B, T, labels + 1); -inf for labels that were not kept.
        lengths: Valid frames of each, int64, (B,).
        hidden: Output of each of the teacher's layers that was asked for, float, (B, T, D).
    """

    log_probs: Tensor
    lengths: Tensor
    hidden: Mapping[int, Tensor]


class Teacher:
    """Computes targets, or reads them from a cache.

    Args:
        model: The teacher; from here on it is in evaluation mode, and its weights need no gradient.
        layers: Layers whose hidden states are targets; none with a cache, which does not hold them.
        top_k: Most probable labels kept for each frame; `None` keeps all.
        cache: Outputs on disk; `None` computes each batch.
    """

    def __init__(
        self,
        model: XLSRCTCModel,
        layers: tuple[int, ...] = (),
        top_k: int | None = None,
        cache: TeacherCache | None = None,
    ) -> None:
        assert not (layers and cache)
        self.model = model.eval().requires_grad_(False)
        self._layers, self._top_k, self._cache = layers, top_k, cache
        self._classes = model.decoder.num_classes_with_blank

    def compute(self, signal: Tensor, lengths: Tensor) -> Targets:
        """Compute the targets of a batch.

        Args:
            signal: Waveforms at 16 kHz, float, (B, T).
            lengths: Valid samples of each, int64, (B,).
        """
        frames = self.model.encoder.frame_count(lengths).to(signal.device)
        if self._cache is None:
            values, labels, hidden = self._run(signal, lengths)
        else:
            values, labels = self._read_or_run(signal, lengths, self._cache)
            hidden = {}
        return Targets(expand_top(values, labels, self._classes), frames, hidden)

    def _run(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        self.model.to(signal.device)
        with torch.no_grad(), collect_hidden_states(self.model, self._layers) as hidden:
            log_probs = self.model(input_signal=signal, input_signal_length=lengths)[0]
        return *keep_top(log_probs.float(), self._top_k), hidden

    def _read_or_run(self, signal: Tensor, lengths: Tensor, cache: TeacherCache) -> tuple[Tensor, Tensor]:
        """Read the utterances that the cache has, and compute and store the others."""
        samples = lengths.tolist()
        keys = [hash_audio(row, count) for row, count in zip(signal, samples, strict=True)]
        found = cache.read(keys)
        missing = [number for number, outputs in enumerate(found) if outputs is None]
        if missing:
            rows = signal[missing, : max(samples[number] for number in missing)]
            values, labels, _ = self._run(rows, lengths[missing])
            counts = self.model.encoder.frame_count(lengths[missing]).tolist()
            for place, number in enumerate(missing):
                outputs = values[place, : counts[place]].cpu(), labels[place, : counts[place]].cpu()
                cache.write(keys[number], *outputs)
                found[number] = outputs
        both = [outputs for outputs in found if outputs is not None]
        values, labels = (
            torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True) for tensors in zip(*both, strict=True)
        )
        return values.to(signal.device), labels.to(signal.device)


@contextmanager
def collect_hidden_states(model: XLSRCTCModel, layers: tuple[int, ...]) -> Iterator[dict[int, Tensor]]:
    """Collect the outputs of layers while a model runs inside the block.

    Args:
        model: A model with an `XLSREncoder`.
        layers: Numbers of layers, from 0.

    Yields:
        A mapping that is filled while the model runs: number of a layer to its output, float, (B, T, D).
    """
    hidden: dict[int, Tensor] = {}

    def keep(number: int) -> None:
        def hook(module: torch.nn.Module, arguments: object, output: Tensor | tuple[Tensor, ...]) -> None:
            hidden[number] = output[0] if isinstance(output, tuple) else output

        handles.append(model.encoder.network.encoder.layers[number].register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for number in layers:
        keep(number)
    try:
        yield hidden
    finally:
        for handle in handles:
            handle.remove()

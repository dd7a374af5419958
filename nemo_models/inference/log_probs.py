"""The acoustic model in transcription: from waveforms to log-probabilities, in batches that fit into memory."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from nemo_models.layers.memory import is_out_of_memory

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

WIDTH_STEP = 2 * 16_000
"""Samples; a batch is widened to a multiple of it. torch keeps kernels for each width that it has met, some 10 MB."""


def compute_log_probs(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], autocast_dtype: torch.dtype | None = None
) -> list[torch.Tensor]:
    """Run the model, in halves where a batch does not fit into memory.

    An encoder whose output padding changes (`PretrainedEncoder.padding_changes_output`) gets no padding: waveforms of
    equal length run together and others one after the other, so that each gives what it gives alone.

    Args:
        model: A CTC model in evaluation mode.
        waveforms: (n,) float32 each, at the model's rate.
        autocast_dtype: Type for `torch.autocast`; `None` computes in the model's own type.

    Returns:
        (frames, V+1) natural log-probabilities of each, blank last, on the model's device.
    """
    if not waveforms:
        return []
    if not getattr(model.encoder, "padding_changes_output", False):
        return _compute_in_halves(model, waveforms, WIDTH_STEP, autocast_dtype)
    found: dict[int, torch.Tensor] = {}
    for length in sorted({len(waveform) for waveform in waveforms}):
        rows = [row for row, waveform in enumerate(waveforms) if len(waveform) == length]
        equal = [waveforms[row] for row in rows]
        found.update(zip(rows, _compute_in_halves(model, equal, 1, autocast_dtype), strict=True))
    return [found[row] for row in range(len(waveforms))]


def _compute_in_halves(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], width_step: int, autocast_dtype: torch.dtype | None
) -> list[torch.Tensor]:
    try:
        return _compute_at_once(model, waveforms, width_step, autocast_dtype)
    except (RuntimeError, MemoryError) as error:
        if len(waveforms) == 1 or not is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    half = len(waveforms) // 2
    parts = (waveforms[:half], waveforms[half:])
    return [rows for part in parts for rows in _compute_in_halves(model, part, width_step, autocast_dtype)]


def _compute_at_once(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], width_step: int, autocast_dtype: torch.dtype | None
) -> list[torch.Tensor]:
    device = device_of(model)
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    width = -(-int(lengths.max()) // width_step) * width_step
    signal = torch.zeros(len(waveforms), width, pin_memory=device.type == "cuda")
    for row, waveform in zip(signal, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    autocast = torch.autocast(device.type, dtype=autocast_dtype) if autocast_dtype else nullcontext()
    on_device = [tensor.to(device, non_blocking=True) for tensor in (signal, lengths)]
    with torch.inference_mode(), autocast:
        log_probs, frames, _ = model(input_signal=on_device[0], input_signal_length=on_device[1])
    if hasattr(model.encoder, "frame_count"):  # known here: asking a GPU for it would wait until it has computed
        frames = model.encoder.frame_count(lengths)
    return [row[:count] for row, count in zip(log_probs.float(), frames.tolist(), strict=True)]


def device_of(model: "EncDecCTCModel") -> torch.device:
    """Return the device of the model's weights."""
    return next(model.parameters()).device

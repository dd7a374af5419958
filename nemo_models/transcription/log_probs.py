"""The model's part in transcription: waveforms in, log-probabilities out, whatever fits into memory at once."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

# Samples from one width of a batch to the next: torch keeps kernels for each width that it has met, some 10 MB.
WIDTH_STEP = 2 * 16_000


def compute_log_probs(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], autocast_dtype: torch.dtype | None = None
) -> list[torch.Tensor]:
    """Run the model, in halves where a batch does not fit into memory.

    Args:
        model: A CTC model in evaluation mode.
        waveforms: (n,) float32 each, at the model's rate.
        autocast_dtype: As in `transcribe`.

    Returns:
        (frames, V+1) natural log-probabilities of each, blank last, on the model's device.
    """
    if not waveforms:
        return []
    try:
        return _compute_at_once(model, waveforms, autocast_dtype)
    except RuntimeError as error:
        if len(waveforms) == 1 or not _is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    half = len(waveforms) // 2
    first, second = waveforms[:half], waveforms[half:]
    return compute_log_probs(model, first, autocast_dtype) + compute_log_probs(model, second, autocast_dtype)


def _compute_at_once(
    model: "EncDecCTCModel", waveforms: Sequence[np.ndarray], autocast_dtype: torch.dtype | None
) -> list[torch.Tensor]:
    device = device_of(model)
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    width = -(-int(lengths.max()) // WIDTH_STEP) * WIDTH_STEP
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
    """Where the model's weights lie."""
    return next(model.parameters()).device


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

"""Comparison of an export with its model: on noise of three lengths, alone and in a padded batch."""

from collections.abc import Callable, Sequence

import torch

from nemo_models.ctc_model import XLSRCTCModel

TOLERANCE = 1e-4  # natural log; float32 arithmetic in another order differs by some 1e-6 to 1e-5
RELATIVE_TOLERANCE = 1e-5  # of the greatest log-probability, if that is more; as for an import
PROBE_SAMPLES = (51_234, 16_000, 1_600)  # 3.2, 1.0 and 0.1 s at 16 kHz

Run = Callable[[Sequence[torch.Tensor]], tuple[torch.Tensor, Sequence[int] | None]]
"""Runs waveforms, (T,) float32 each, as one padded batch; returns log-probabilities (B, T', labels + 1), blank last,
and the valid frames of each, or `None` if the runtime does not count them."""

CountedRun = Callable[[Sequence[torch.Tensor]], tuple[torch.Tensor, list[int]]]
"""A `Run` that always counts the frames."""


def run_model(model: XLSRCTCModel, waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """Run a model on waveforms; see `Run`."""
    signal, lengths = pad_waveforms(waveforms)
    log_probs, frames, _ = model(input_signal=signal, input_signal_length=lengths)
    return log_probs, frames.tolist()


def largest_difference(run: Run, reference: CountedRun) -> float:
    """Compare two ways to compute log-probabilities on the probes, each alone and all in a padded batch.

    Returns:
        The largest difference on a valid frame, natural log; infinite where shapes or numbers of frames differ.
    """
    waveforms = probe_waveforms()
    largest = 0.0
    for batch in [*([waveform] for waveform in waveforms), waveforms]:
        with torch.inference_mode():
            (found, counts), (expected, frames) = run(batch), reference(batch)
        if counts not in (None, frames) or found.shape != expected.shape:
            return float("inf")
        for row, other, count in zip(expected, found, frames, strict=True):
            largest = max(largest, (row[:count] - other[:count]).abs().max().item())
    return largest


def allowed_difference(model: XLSRCTCModel) -> float:
    """Return the largest allowed difference of log-probabilities: `TOLERANCE`, or more for large log-probabilities."""
    with torch.inference_mode():
        log_probs, frames = run_model(model, probe_waveforms())
    greatest = max(row[:count].abs().max().item() for row, count in zip(log_probs, frames, strict=True))
    return max(TOLERANCE, RELATIVE_TOLERANCE * greatest)


def probe_waveforms() -> list[torch.Tensor]:
    """Make noise of unit variance, float32, of `PROBE_SAMPLES`: always the same."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(samples, generator=generator) for samples in PROBE_SAMPLES]


def pad_waveforms(waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack waveforms, padded with zeros: (B, T), and their lengths, int64, (B,)."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    return torch.nn.utils.rnn.pad_sequence(list(waveforms), batch_first=True), lengths

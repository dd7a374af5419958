"""Audio in which each letter is a tone, and a model of any language that reads it: right or wrong shows in every job.

The encoder is small and random. The head is fitted on the tones of the language's letters, which are known frame by
frame, so that no training is needed and a text comes out as it went in.
"""

from collections.abc import Sequence

import numpy as np
import torch

from topology import architecture

SAMPLE_RATE_HZ = 16000
HOP = 320  # samples a frame
TONE = 1280  # samples of a letter, and as many frames as fit wholly
GAP = 640  # silence between letters: blank, so that a letter can be doubled
MARGIN = 160  # samples at both ends of a tone whose frames belong to nothing for certain
FIRST_HZ, STEP_HZ = 200, 55
ITERATIONS = 60  # of the fit


def write_tones(text: str, labels: Sequence[str]) -> np.ndarray:
    """Write a text as tones, float64 (samples,) at 16 kHz."""
    times, silence = np.arange(TONE) / SAMPLE_RATE_HZ, np.zeros(GAP)
    fade = np.hanning(TONE) ** 0.3
    parts = [np.zeros(2 * GAP)]
    for letter in text:
        pitch = FIRST_HZ + STEP_HZ * labels.index(letter)
        parts += [0.3 * fade * np.sin(2 * np.pi * pitch * times), silence]
    return np.concatenate(parts)


def list_frames(text: str, labels: Sequence[str], frames: int) -> torch.Tensor:
    """List the label of each frame (frames,); the blank is the last."""
    middles = np.arange(frames) * HOP + HOP // 2
    found = np.full(frames, len(labels))
    for at, letter in enumerate(text):
        start = 2 * GAP + at * (TONE + GAP)
        found[(middles >= start + MARGIN) & (middles <= start + TONE - MARGIN)] = labels.index(letter)
    return torch.from_numpy(found)


def make_tone_reader(texts: Sequence[str], labels: Sequence[str], language: str, script: str | None = None):
    """Make an `XLSRCTCModel` of a language, or of several, that reads the tones of some texts, written with labels."""
    from nemo_models.checkpoints.model_building import model_config
    from nemo_models.ctc_model import XLSRCTCModel

    torch.manual_seed(0)
    small = architecture(num_hidden_layers=1)
    model = XLSRCTCModel(cfg=model_config(small, labels, True, 1e-5, language=language, script=script)).eval()
    context, wanted = [], []
    for text in texts:
        wave = torch.from_numpy(write_tones(text, labels)).float()[None]
        with torch.inference_mode():
            signal, length = model.preprocessor(input_signal=wave, length=torch.tensor([wave.shape[1]]))
            encoded, _ = model.encoder(audio_signal=signal, length=length)
        context.append(encoded[0].T.clone())
        wanted.append(list_frames(text, labels, encoded.shape[2]))
    _fit(model.decoder.decoder_layers[0], torch.cat(context), torch.cat(wanted))
    return model


def _fit(head: torch.nn.Conv1d, context: torch.Tensor, wanted: torch.Tensor) -> None:
    """Fit a linear head (labels + 1, D, 1) on frames (N, D)."""
    mean, deviation = context.mean(0), context.std(0) + 1e-6
    context = (context - mean) / deviation
    weight = torch.zeros(head.out_channels, context.shape[1], requires_grad=True)
    bias = torch.zeros(head.out_channels, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def measure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(context @ weight.T + bias, wanted) + 1e-5 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(measure)
    with torch.no_grad():
        head.weight.copy_((weight / deviation)[..., None])
        head.bias.copy_(bias - weight @ (mean / deviation))

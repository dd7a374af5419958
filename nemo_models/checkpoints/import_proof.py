"""Compares an imported model with its source at every import, and refuses a model whose outputs differ.

wav2vec 2.0 is compared from the waveform to the output: alone, in a padded batch, and in the way of transcription
(`inference.log_probs`) against the source alone. Wav2Vec2-BERT is compared in two steps, each within the same
tolerance: the features, and the encoder's output for the source's features. Its end-to-end differences are reported
without a limit: 24 conformer layers magnify the last bit of a feature about a hundredfold, so that even transformers'
outputs for an utterance alone and in a batch differ by 1.1e-5.
"""

import gc
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, SourceModel, SourceRun
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.inference.log_probs import compute_log_probs

TOLERANCE = 1e-5  # of the output's greatest absolute value: float32 through 24 or 48 layers in another order of sums
LONG_S, SHORT_S = 1.0, 0.61  # of the two fixed waveforms; together they make the padded batch
SAMPLE_RATE_HZ = 16000
# Beginning of the names of figures that are reported without a limit.
END_TO_END = "end_to_end"
# Beginning of the names of figures that come from the code that transcription uses.
TRANSCRIPTION = "transcription"


def fixed_waveforms() -> list[torch.Tensor]:
    """Make two waveforms, the same on every machine: gliding tones with noise, loud and soft in turn like syllables.

    Returns:
        float32 at 16 kHz, of 1 s and 0.61 s.
    """
    noise = torch.Generator().manual_seed(0)
    waves = []
    for seconds, low_hz in ((LONG_S, 120.0), (SHORT_S, 210.0)):
        time = torch.arange(int(seconds * SAMPLE_RATE_HZ), dtype=torch.float64) / SAMPLE_RATE_HZ
        harmonics = torch.arange(1, 9, dtype=torch.float64)[:, None]
        tones = (torch.sin(2 * math.pi * low_hz * harmonics * (time + 0.4 * time**2)) / harmonics).sum(dim=0)
        hiss = torch.randn(len(time), generator=noise, dtype=torch.float64)
        loudness = torch.exp(-3 * (1 - torch.cos(2 * math.pi * 4 * time)))
        waves.append((0.3 * loudness * (tones + 0.1 * hiss)).float())
    return waves


def prove_import(model: XLSRCTCModel, checkpoint: EncoderCheckpoint, with_head: bool) -> dict[str, Any]:
    """Compare a model with the source of its checkpoint, alone and in a padded batch.

    Args:
        model: The imported model, in evaluation mode.
        checkpoint: The checkpoint with its source as `reference`.
        with_head: Compare the log-probabilities too.

    Returns:
        The model configuration's `import_proof`: `reference` (what it was compared with),
        `tolerance`, and for each comparison the greatest difference as a share of the greatest absolute value.

    Raises:
        ValueError: A difference is beyond `TOLERANCE`; all are named.
    """
    assert checkpoint.reference is not None
    try:
        differences = compare_with_source(model, checkpoint, checkpoint.reference, with_head)
    except (RuntimeError, TypeError, ValueError) as error:  # settings with which a model can be built but not run
        reason = " ".join(str(error).split())
        raise ValueError(f"{checkpoint.source}: it does not run ({reason}); correct config.json") from error
    judged = {name: value for name, value in differences.items() if not name.startswith(END_TO_END)}
    beyond = {name: value for name, value in judged.items() if not value <= TOLERANCE}
    if beyond:
        found = ", ".join(f"{name} {value:.1e}" for name, value in beyond.items())
        raise ValueError(
            f"{checkpoint.source}: the imported model differs from its source by more than {TOLERANCE:g} of the "
            f"output's scale ({found}); reference: {checkpoint.reference.description}; report this with the checkpoint"
        )
    return {"reference": checkpoint.reference.description, "tolerance": TOLERANCE, **differences}


def compare_with_source(
    model: XLSRCTCModel, checkpoint: EncoderCheckpoint, reference: SourceModel, with_head: bool
) -> dict[str, float]:
    """Return the greatest differences, relative to the greatest absolute value; see `prove_import`."""
    waves = fixed_waveforms()
    batches = {"alone": waves[:1], "padded": waves, "short": waves[1:]}
    expected = dict(zip(batches, reference(list(batches.values())), strict=True))
    gc.collect()  # the source's weights are freed before ours are read
    differences = {}
    for name in ("alone", "padded"):
        run, batch = expected[name], batches[name]
        features, lengths = _front_end(model, batch)
        frames, frame_lengths, log_probs = _run(model, features, lengths)
        if run.features is not None:
            differences[f"{END_TO_END}_{name}"] = _difference(frames, run.frames, frame_lengths)
            differences[f"front_end_{name}"] = _difference(features.transpose(1, 2), run.features, lengths)
            frames, frame_lengths, log_probs = _run(model, run.features.transpose(1, 2), lengths)
        differences[f"encoder_{name}"] = _difference(frames, run.frames, frame_lengths)
        if with_head:
            differences[f"head_{name}"] = _difference(log_probs, _log_probs(run, checkpoint), frame_lengths)
    alone = [expected[name] for name in ("alone", "short")]
    unlimited = f"{END_TO_END}_" if alone[0].features is not None else ""
    differences[f"{unlimited}{TRANSCRIPTION}_alone"] = _compare_transcription(
        model, waves, alone, checkpoint, with_head
    )
    return differences


def _compare_transcription(
    model: XLSRCTCModel,
    waves: Sequence[torch.Tensor],
    alone: Sequence[SourceRun],
    checkpoint: EncoderCheckpoint,
    with_head: bool,
) -> float:
    """Compare log-probabilities as transcription computes them, in one batch, with the source's for each wave alone."""
    found = compute_log_probs(model, [wave.numpy() for wave in waves])
    return max(
        _difference(rows[None], _expected_log_probs(model, run, checkpoint, with_head), torch.tensor([len(rows)]))
        for rows, run in zip(found, alone, strict=True)
    )


@torch.inference_mode()
def _expected_log_probs(
    model: XLSRCTCModel, run: SourceRun, checkpoint: EncoderCheckpoint, with_head: bool
) -> torch.Tensor:
    """The source's log-probabilities; of a new head, what it makes of the source's frames."""
    if with_head:
        return _log_probs(run, checkpoint)
    log_probs: torch.Tensor = model.decoder(encoder_output=run.frames.transpose(1, 2))
    return log_probs


@torch.inference_mode()
def _front_end(model: XLSRCTCModel, waves: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(wave) for wave in waves])
    signal = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    return model.preprocessor(input_signal=signal, length=lengths)


@torch.inference_mode()
def _run(
    model: XLSRCTCModel, features: torch.Tensor, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    frames, frame_lengths = model.encoder(audio_signal=features, length=lengths)
    return frames.transpose(1, 2), frame_lengths, model.decoder(encoder_output=frames)


def _log_probs(run: SourceRun, checkpoint: EncoderCheckpoint) -> torch.Tensor:
    assert run.logits is not None and checkpoint.head is not None
    rows = run.logits.log_softmax(dim=-1).movedim(-1, 0)
    return checkpoint.head.require_vocabulary().blank_last(rows).movedim(0, -1)


def _difference(found: torch.Tensor, expected: torch.Tensor, lengths: torch.Tensor) -> float:
    """Return the difference on valid frames; infinite where shapes differ or a value is not a number."""
    pairs = [(ours[:count], theirs[:count]) for ours, theirs, count in zip(found, expected, lengths, strict=True)]
    if any(ours.shape != theirs.shape for ours, theirs in pairs):
        return math.inf
    scale = max(theirs.abs().max().item() for _, theirs in pairs)
    worst = max((ours - theirs).abs().max().item() for ours, theirs in pairs)
    return worst / scale if math.isfinite(worst) and scale > 0 else math.inf


def describe_proof(proof: Mapping[str, Any]) -> str:
    """Describe the figures of a proof in one line."""
    figures = {name: f"{name.replace('_', ' ')} {value:.1e}" for name, value in proof.items() if "_" in name}
    judged = ", ".join(text for name, text in figures.items() if not name.startswith(END_TO_END))
    seen = ", ".join(text for name, text in figures.items() if name.startswith(END_TO_END))
    line = f"equal to its source within {proof['tolerance']:g} of the output's scale: {judged} ({proof['reference']})"
    return f"{line}; {seen}" if seen else line

"""The checks that an utterance must pass, each with the reason code that `rejected.jsonl` and `report.json` use."""

from collections.abc import Collection
from itertools import pairwise

from data_prep.audio import SAMPLE_RATE_HZ
from data_prep.text import find_outside_alphabet

# What is broken in the corpus: the job's exit status says so.
ERROR_REASONS = {
    "malformed_row": "the row is no utterance",
    "missing_audio": "the audio file is not there",
    "unreadable_audio": "the audio file cannot be decoded",
    "empty_audio": "the audio file holds no sample",
}
# What is sound but unfit for training.
POLICY_REASONS = {
    "duplicate_path": "the same audio file was listed before",
    "too_short": "shorter than min_duration",
    "too_long": "longer than max_duration",
    "empty_text": "no letter is left after normalisation",
    "outside_alphabet": "characters that the model has no label for",
    "ctc_infeasible": "more labels than the encoder gives frames: the loss would be infinite",
}
REASONS = {**ERROR_REASONS, **POLICY_REASONS}

# wav2vec 2.0's convolutions, (kernel, stride) in samples of the layer before: 400 samples seen, 320 samples a frame.
CONV_LAYERS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))


def count_encoder_frames(samples: int) -> int:
    """Count the frames that wav2vec 2.0's convolutions make of 16 kHz audio.

    Args:
        samples: Number of samples, from 0.

    Returns:
        Number of frames; 0 below 400 samples.

    Source: fairseq `wav2vec2.py`, `conv_feature_layers = [(512,10,5)] + [(512,3,2)]*4 + [(512,2,2)]*2`, no padding.
    """
    for kernel, stride in CONV_LAYERS:
        samples = max(0, (samples - kernel) // stride + 1)
    return samples


def count_ctc_steps(text: str) -> int:
    """Count the frames that CTC needs for a text: one a character, and a blank between two equal neighbours."""
    return len(text) + sum(left == right for left, right in pairwise(text))


def check_duration(samples: int, min_duration: float, max_duration: float) -> tuple[str, str] | None:
    """Check the length of 16 kHz audio against limits in seconds; return (reason, detail) or `None` when it passes."""
    duration = samples / SAMPLE_RATE_HZ
    if samples == 0:
        return "empty_audio", "0 samples"
    if duration < min_duration:
        return "too_short", f"{duration:.3f} s, min_duration is {min_duration:g} s"
    if duration > max_duration:
        return "too_long", f"{duration:.3f} s, max_duration is {max_duration:g} s"
    return None


def check_text(text: str, alphabet: Collection[str]) -> tuple[str, str] | None:
    """Check a normalised text against an alphabet; return (reason, detail) or `None` when it passes."""
    if not text:
        return "empty_text", "nothing is left after normalisation"
    outside = find_outside_alphabet(text, alphabet)
    return ("outside_alphabet", ", ".join(outside)) if outside else None


def check_alignment(samples: int, text: str) -> tuple[str, str] | None:
    """Check that CTC can align a normalised text to 16 kHz audio; return (reason, detail) or `None` when it passes."""
    frames, steps = count_encoder_frames(samples), count_ctc_steps(text)
    if frames < steps:
        return "ctc_infeasible", f"{frames} encoder frames, {steps} needed by {len(text)} labels and their repeats"
    return None

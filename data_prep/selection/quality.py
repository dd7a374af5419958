"""The checks that an utterance must pass, each with the reason code that `rejected.jsonl` and `report.json` use."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from data_prep.arguments import is_number
from data_prep.audio.measures import AudioMeasures
from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.conv_frames import count_conv_frames, count_ctc_steps
from data_prep.corpora.rows import EXCLUSIONS
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import DEFAULT_POLICY, TEXT_REASONS, judge

# What is broken in the corpus: the job's exit status says so.
ERROR_REASONS = {
    "malformed_row": "the row is invalid",
    "other_language": "the row's lang is another language than the job's",
    "missing_audio": "the audio file is not there",
    "unreadable_audio": "no decoder reads the audio file",
    "truncated_audio": "the audio file holds less audio than it says",
    "damaged_audio": "no decoder reads a part inside the audio file",
    "bad_segment": "the segment is not inside its recording",
    "missing_channel": "the recording lacks the channel that was chosen",
    "several_channels": "the recording has more than two channels and none was chosen",
    "cancelling_channels": "the channels have opposite phase: their average is close to silence",
    "not_finite_audio": "the audio holds NaN or infinite samples",
    "empty_audio": "the audio file holds no sample",
    "conflicting_text": "the same audio is listed before with another text: one of the two is wrong",
}
# What is sound but unfit for training.
POLICY_REASONS = {
    **EXCLUSIONS,
    "duplicate_path": "the same audio, or the same piece of it, was listed before",
    "too_short": "shorter than min_duration",
    "too_long": "longer than max_duration",
    "silent_audio": "quieter than min_level",
    "clipped_audio": "more of it is clipped than max_clipped",
    "low_snr": "noisier than min_snr",
    **TEXT_REASONS,
    "ctc_infeasible": "more labels than the encoder gives frames: the loss would be infinite",
    "speaking_rate": "characters a second out of band: text and audio do not belong together",
    "duplicate_audio": "the same samples as an earlier utterance",
    "duplicate_text": "the same speaker said the same text before",
    "text_in_evaluation": "the text is also in dev or test (or, for dev, in test)",
}
REASONS = {**ERROR_REASONS, **POLICY_REASONS}


@dataclass(frozen=True)
class QualityLimits:
    """Limits of what is kept; `None` switches a check off. The keys of `conf/prepare_data.yaml` have the same names.

    Attributes:
        min_duration: Shortest audio, in seconds.
        max_duration: Longest audio, in seconds.
        min_level: Lowest root mean square of the audio, in decibels relative to full scale.
        max_clipped: Largest share of clipped samples, 0 to 1 (see `AudioMeasures`).
        min_snr: Lowest estimated signal-to-noise ratio, in decibels (see `data_prep.audio.measures`).
        min_characters_per_second: Fewest characters of normalised text, spaces included, per second of audio.
        max_characters_per_second: Most of them.
    """

    min_duration: float = 0.5
    max_duration: float = 30.0
    min_level: float | None = -60.0
    max_clipped: float | None = 0.02
    min_snr: float | None = None
    min_characters_per_second: float | None = 1.0
    max_characters_per_second: float | None = 30.0

    def __post_init__(self) -> None:
        for name, unit in _UNITS.items():
            value = getattr(self, name)
            if not (value is None or is_number(value) or value in (math.inf, -math.inf)):
                raise ValueError(f"{name}={value}: expected a number of {unit}; write one")
        if self.min_duration is None or self.max_duration is None or not 0 <= self.min_duration < self.max_duration:
            pair = f"min_duration={self.min_duration}, max_duration={self.max_duration}"
            raise ValueError(f"{pair}: expected 0 ≤ minimum < maximum; change one of them")
        if self.max_clipped is not None and not 0 <= self.max_clipped <= 1:
            raise ValueError(f"max_clipped={self.max_clipped}: expected a share from 0 to 1, or null; change it")
        low, high = self.min_characters_per_second or 0, self.max_characters_per_second
        if low < 0 or (high is not None and high <= low):
            raise ValueError(
                f"min_characters_per_second={low}, max_characters_per_second={high}: expected 0 ≤ min < max; "
                "change one of them"
            )


_UNITS = {
    "min_duration": "seconds",
    "max_duration": "seconds",
    "min_level": "decibels (at most 0), or null",
    "max_clipped": "samples in 1 (a share), or null",
    "min_snr": "decibels, or null",
    "min_characters_per_second": "characters a second, or null",
    "max_characters_per_second": "characters a second, or null",
}


def check_utterance(
    measures: AudioMeasures,
    text: str,
    alphabet: Collection[str],
    limits: QualityLimits,
    policy: TextPolicy = DEFAULT_POLICY,
) -> tuple[str, str] | None:
    """Find the first check that an utterance fails, in the order audio, text, both together.

    Args:
        measures: The measures of its audio.
        text: Its text, normalised with the same policy.
        alphabet: The allowed characters.
        limits: The limits.
        policy: What a text may hold beside the alphabet.

    Returns:
        (reason, detail), the reason a key of `REASONS`; `None` when it passes.
    """
    samples = measures.samples
    return (
        check_duration(samples, limits.min_duration, limits.max_duration)
        or check_signal(measures, limits)
        or check_text(text, alphabet, policy)
        or check_alignment(samples, text)
        or check_speaking_rate(samples, text, limits)
    )


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


def check_text(text: str, alphabet: Collection[str], policy: TextPolicy = DEFAULT_POLICY) -> tuple[str, str] | None:
    """Judge a normalised text; return (reason, detail) or `None` when it passes. See `data_prep.text.verdict.judge`."""
    fault = judge(text, alphabet, policy)
    return (fault.reason, fault.detail) if fault else None


def check_alignment(samples: int, text: str) -> tuple[str, str] | None:
    """Check that CTC can align a normalised text to 16 kHz audio; return (reason, detail) or `None` when it passes."""
    frames, steps = count_conv_frames(samples), count_ctc_steps(text)
    if frames < steps:
        return "ctc_infeasible", f"{frames} encoder frames, {steps} needed by {len(text)} labels and their repeats"
    return None


def check_signal(measures: AudioMeasures, limits: QualityLimits) -> tuple[str, str] | None:
    """Check soundness, level, clipping and noise; return (reason, detail) or `None` when it passes."""
    if measures.not_finite:
        return "not_finite_audio", f"{measures.not_finite} samples are NaN or infinite"
    if limits.min_level is not None and measures.level_db < limits.min_level:
        level = "every sample is 0" if math.isinf(measures.level_db) else f"{measures.level_db:.1f} dBFS"
        return "silent_audio", f"{level}, min_level is {limits.min_level:g} dBFS"
    if limits.max_clipped is not None and measures.clipped > limits.max_clipped:
        return "clipped_audio", f"{measures.clipped:.2%} of the samples, max_clipped is {limits.max_clipped:.2%}"
    if limits.min_snr is not None and measures.snr_db is not None and measures.snr_db < limits.min_snr:
        return "low_snr", f"about {measures.snr_db:.1f} dB, min_snr is {limits.min_snr:g} dB"
    return None


def check_speaking_rate(samples: int, text: str, limits: QualityLimits) -> tuple[str, str] | None:
    """Check the characters per second of 16 kHz audio; return (reason, detail) or `None` when it passes."""
    rate = len(text) * SAMPLE_RATE_HZ / samples if samples else 0.0
    low, high = limits.min_characters_per_second, limits.max_characters_per_second
    if (low is not None and rate < low) or (high is not None and rate > high):
        band = f"{'–' if low is None else f'{low:g}'} to {'–' if high is None else f'{high:g}'}"
        return "speaking_rate", f"{rate:.1f} characters a second, expected {band}"
    return None

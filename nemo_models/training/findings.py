"""Results of the checks before training: problems counted by file and reason, with one example of each."""

from dataclasses import dataclass, field
from typing import NamedTuple

from data_prep.selection.quality import REASONS

TRAINING_REASONS = {
    "other_language": "its `lang` is another language than the training's: set language, or remove the row",
    "wrong_sample_rate": "the audio has another rate than model.sample_rate",
    "not_mono": "the audio has more than one channel",
    "short_audio": "the audio is shorter than the manifest says",
    "long_audio": "the audio is longer than the manifest says, and Lhotse reads all of it: correct the duration, or "
    "add an offset (0.0)",
    "rate_with_segment": "a segment in a row with a sampling rate, which NeMo does not read: remove the rate, and "
    "give the offset",
    "shorter_than_a_span": "the audio has no room for a masked span and an unmasked frame, and teaches nothing",
    "no_text": "it has no text: it learns from the teacher alone",
    "slow_copy_too_long": "its copy at 0.9 times the speed (perturb_speed=true) is longer than max_duration and left "
    "out",
    "fast_copy_too_short": "its copy at 1.1 times the speed (perturb_speed=true) is shorter than min_duration and left "
    "out",
}
"""Reasons that only matter to training, beside those of data preparation."""

MEANINGS = {**REASONS, **TRAINING_REASONS}


class Problem(NamedTuple):
    """A problem with one utterance.

    Attributes:
        reason: A key of `MEANINGS`.
        example: The utterance, with the values that are wrong.
    """

    reason: str
    example: str


@dataclass
class Findings:
    """Problems by file and reason, each with a count and its first example: memory does not grow with the data.

    Attributes:
        counts: Number of problems for each file and reason.
        examples: The first example for each file and reason.
        others: Problems of another kind, each as text.
    """

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, file: str, problem: Problem) -> None:
        """Count a problem, and keep the first example."""
        key = file, problem.reason
        self.counts[key] = self.counts.get(key, 0) + 1
        self.examples.setdefault(key, problem.example)

    def describe_file(self, file: str) -> list[str]:
        """List the reasons of one file's problems with their counts, without examples."""
        return [f"{count} × {reason}" for (name, reason), count in self.counts.items() if name == file]

    def describe(self) -> list[str]:
        """List every problem in the order in which its reason first came up."""
        lines = [
            f"{file}: {count} × {reason} ({MEANINGS[reason]}), e.g. {self.examples[file, reason]}"
            for (file, reason), count in self.counts.items()
        ]
        return lines + self.others

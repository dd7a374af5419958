"""Counts of the lines and words of a language model's text, by reason, with the setting that would keep more."""

from collections import Counter
from dataclasses import dataclass, field

from data_prep.text.policy import TextPolicy

NOT_UTF8 = "not UTF-8"
# Reason code → the setting that would keep such lines, and what it does.
_SUGGESTIONS = {
    "numbers": ("numbers", "reject", "numbers=verbalize writes numbers in words"),
    "annotation": ("annotations", "reject", "annotations=strip removes notes such as [हँसी]"),
    "abbreviation": ("abbreviations", "reject", "abbreviations=expand writes those with one reading in full"),
}


@dataclass
class TextCounts:
    """Counts of lines by their use: lines = used + duplicates + empty + left_out + leaked + held_out.

    A line of several sentences of which some are unfit counts as its sentences.
    """

    lines: int = 0
    used: int = 0
    duplicates: int = 0  # the same as another line after normalisation
    empty: int = 0  # nothing left after normalisation
    left_out: int = 0  # unfit, or bytes that are not UTF-8
    leaked: int = 0  # with an evaluation sentence, or a part of one that spans several lines
    held_out: int = 0  # in the held-out text
    words: int = 0  # of all lines in UTF-8, after normalisation
    words_left_out: int = 0  # of the lines left out
    reasons: Counter[str] = field(default_factory=Counter)  # lines left out by reason code, or not UTF-8
    characters: Counter[str] = field(default_factory=Counter)  # lines left out by the characters that are at fault

    def add(self, other: "TextCounts") -> None:
        """Add the counts of another part of the text."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


def describe_counts(counts: TextCounts, most: int = 8) -> str:
    """Say in one line how many lines were used and why the others were not.

    Args:
        counts: The counts.
        most: Number of characters to name.
    """
    parts = [f"{counts.used} used", f"{counts.empty} empty", f"{counts.left_out} left out"]
    more = (("duplicates", counts.duplicates), ("held out", counts.held_out), ("with leaks", counts.leaked))
    parts += [f"{count} {name}" for name, count in more if count]
    text = f"{counts.lines} lines = {' + '.join(parts)}"
    if counts.words_left_out:
        text += f", {counts.words_left_out / counts.words:.1%} of the words left out"
    if counts.reasons:
        text += "; by reason: " + ", ".join(f"{reason} {count}" for reason, count in counts.reasons.most_common())
    if counts.characters:
        common = counts.characters.most_common(most)
        rest = len(counts.characters) - len(common)
        text += "; by character: " + ", ".join(f"{name} {count}" for name, count in common)
        text += f" and {rest} more" if rest else ""
    return text


def suggest_settings(counts: TextCounts, policy: TextPolicy) -> list[str]:
    """List the settings that would keep lines which were left out, each with the number of such lines."""
    return [
        f"{counts.reasons[reason]} lines left out for {reason}: {suggestion}"
        for reason, (key, value, suggestion) in _SUGGESTIONS.items()
        if counts.reasons[reason] and getattr(policy, key) == value
    ]

"""The filters of labels: each names the first reason for which a label is not trusted, with what was measured."""

import filecmp
from collections.abc import Iterable, Sequence
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from data_prep.manifest import read_manifest, resolve_audio_path
from data_prep.selection.leaks import LeakIndex, Passage, read_passages
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from nemo_models.self_training.labels import Label
from nemo_models.self_training.settings import FilterSettings

_BLOCK = 20_000  # labels that are indexed together

Exclusion = tuple[str, str] | None
"""Reason and detail, or `None` for a label that passes."""


def check_confidence(label: Label, filters: FilterSettings) -> Exclusion:
    """Check mean and lowest confidence of a label's words, and keep them as measures."""
    confidences = [word["confidence"] for word in label.words if word.get("confidence") is not None]
    if not confidences:
        return None
    mean, lowest = sum(confidences) / len(confidences), min(confidences)
    label.measures |= {"confidence": mean, "lowest_confidence": lowest}
    if filters.min_confidence is not None and mean < filters.min_confidence:
        return "low_confidence", f"mean {mean:.3f}, filters.min_confidence is {filters.min_confidence:g}"
    if filters.min_word_confidence is not None and lowest < filters.min_word_confidence:
        word = min(label.words, key=lambda one: one.get("confidence") or 0.0)["word"]
        least = f"filters.min_word_confidence is {filters.min_word_confidence:g}"
        return "low_confidence", f"{lowest:.3f} of '{word}', {least}"
    return None


def check_agreement(label: Label, texts: Sequence[str], key: str, most: float) -> Exclusion:
    """Check that other texts for the same audio agree with a label's, and keep the mean error rate as a measure.

    Args:
        label: The label.
        texts: Other texts.
        key: `greedy` or `dropout`.
        most: Largest mean character error rate.
    """
    rate = sum(count_error_rate(label.text, text) for text in texts) / len(texts)
    label.measures[f"{key}_cer"] = rate
    if rate <= most:
        return None
    heard = "" if len(texts) > 1 else f", '{texts[0]}'"
    return f"{key}_disagrees", f"CER {rate:.3f}{heard}; filters.max_{key}_cer is {most:g}"


def count_error_rate(reference: str, text: str) -> float:
    """Return the character error rate of a text; against an empty reference, 0 if both are empty, else 1."""
    if not reference:
        return float(bool(text))
    return Levenshtein.distance(reference, text) / len(reference)


def check_perplexity(label: Label, perplexity: float | None, most: float) -> Exclusion:
    """Check the perplexity per character of a label's text, and keep it as a measure; `None` passes."""
    if perplexity is None:
        return None
    label.measures["perplexity"] = perplexity
    if perplexity <= most:
        return None
    return "unlikely_text", f"{perplexity:.1f} per character, filters.max_perplexity is {most:g}"


class EvaluationLeaks:
    """The recordings and sentences of evaluation data, which no label may contain.

    Args:
        manifests: Manifests of evaluation data.
        policy: The policy that normalises their texts.

    Raises:
        FileNotFoundError: A manifest is missing.
        ValueError: A manifest is broken.
    """

    def __init__(self, manifests: Iterable[str], policy: TextPolicy) -> None:
        self._sentences: list[Passage] = []
        self._spans: dict[Path, list[tuple[float, float]]] = {}
        self._sizes: dict[int, list[Path]] = {}
        self._copies: dict[Path, Path | None] = {}
        for manifest in manifests:
            found = read_passages(manifest)
            self._sentences += [Passage(normalize_text(one.text, policy), one.where) for one in found]
            for row in read_manifest(manifest):
                audio = resolve_audio_path(row["audio_filepath"], manifest).resolve()
                if audio not in self._spans and audio.is_file():
                    self._sizes.setdefault(audio.stat().st_size, []).append(audio)
                start_s = float(row.get("offset") or 0.0)
                self._spans.setdefault(audio, []).append((start_s, start_s + float(row["duration"])))

    def check_recording(self, label: Label) -> Exclusion:
        """Check that a label's audio is no part of a recording of the evaluation data, or of its copy byte for byte."""
        original = self._find_original(label.audio.path.resolve()) if self._spans else None
        if original is None:
            return None
        start_s = label.audio.offset_s
        overlaps = any(start < start_s + label.seconds and start_s < end for start, end in self._spans[original])
        return ("evaluation_leak", f"the recording {original}") if overlaps else None

    def check_texts(self, labels: Sequence[Label]) -> list[Exclusion]:
        """Search labels for sentences of the evaluation data, with the usual search for leaks.

        Labels have errors: one is left out from half of its words on, in runs of five words or more, or as a whole.
        """
        found: list[Exclusion] = [None] * len(labels)
        for first in range(0, len(labels) if self._sentences else 0, _BLOCK):
            block = labels[first : first + _BLOCK]
            index = LeakIndex((Passage(label.text, str(at)) for at, label in enumerate(block, first)), normalized=True)
            for sentence in self._sentences:
                index.add(sentence)
            for leak in index.list_leaks():
                detail = f"{leak['overlap']:.0%} of the words are in {leak['training'][0]}"
                found[int(leak["evaluation"])] = ("evaluation_leak", detail)
        return found

    def _find_original(self, path: Path) -> Path | None:
        if path in self._spans:
            return path
        if path not in self._copies:
            alike = self._sizes.get(path.stat().st_size, []) if path.is_file() else []
            self._copies[path] = next((one for one in alike if filecmp.cmp(path, one, shallow=False)), None)
        return self._copies[path]

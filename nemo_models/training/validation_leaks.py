"""Checks that validation can be trusted: its recordings, texts and speakers should not be in the training data.

Only the validation data is kept in memory; training data is streamed. Copies of a recording under another name are
found too: if text and length equal those of a validation utterance, the two files are compared byte for byte.
"""

import filecmp
from collections.abc import Mapping
from typing import Any

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.selection.leak_index import LeakIndex, Passage, fold_text


class ValidationLeaks:
    """The validation utterances, with which training utterances are compared one by one."""

    def __init__(self, language: str = DEFAULT_LANGUAGE) -> None:
        self._language = language
        self._texts = LeakIndex(ngram=None, normalized=True, language=language)
        self._folded: set[str] = set()  # texts of validation; the index, which is slower, gets only these
        self._places: set[int] = set()
        self._files: dict[int, list[str]] = {}  # several may be alike in text and length
        self._speakers: set[str] = set()
        self._shared_speakers: set[str] = set()
        self._same = ""
        self._same_count = 0

    def remember(self, row: Mapping[str, Any], path: str) -> None:
        """Add an utterance of validation.

        Args:
            row: The row of its manifest, with or without a text.
            path: The audio file; empty if the audio is in a tar.
        """
        if text := row.get("text"):
            self._texts.remember(Passage(text, ""))
            self._folded.add(fold_text(text, normalized=True, language=self._language))
        if path:
            self._places.add(_hash_place(row, path))
            alike = self._files.setdefault(_hash_likeness(row), [])
            if path not in alike:
                alike.append(path)
        if row.get("speaker"):
            self._speakers.add(str(row["speaker"]))

    def compare(self, row: Mapping[str, Any], path: str) -> None:
        """Compare an utterance of training with all of validation; the arguments are those of `remember`."""
        text = row.get("text")
        if text and fold_text(text, normalized=True, language=self._language) in self._folded:
            self._texts.add(Passage(text, ""))
        if path and (_hash_place(row, path) in self._places or self._is_copy(row, path)):
            self._same = self._same or path
            self._same_count += 1
        if row.get("speaker") and str(row["speaker"]) in self._speakers:
            self._shared_speakers.add(str(row["speaker"]))

    def describe_same_recordings(self) -> str | None:
        """Say how many utterances of training are recordings of validation; `None` if none is."""
        if not self._same:
            return None
        return f"{self._same_count} × recording of validation in training, e.g. {self._same}"

    def describe_warnings(self) -> list[str]:
        """List what is not an error but makes validation look better than it is."""
        lines = []
        shared, texts = self._texts.count_texts()
        if shared:
            lines.append(
                f"{shared} of {texts} texts of validation are also in training: "
                "val_wer will look better than it is (scripts/find_leaks.py shows them)"
            )
        if self._shared_speakers - {"unknown"}:
            names = sorted(self._shared_speakers - {"unknown"})
            lines.append(f"{len(names)} speakers are in both training and validation, e.g. {names[0]}")
        return lines

    def _is_copy(self, row: Mapping[str, Any], path: str) -> bool:
        return any(_are_same(path, other) for other in self._files.get(_hash_likeness(row), ()))


def _are_same(path: str, other: str) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False  # a missing file is reported by another check


def _hash_place(row: Mapping[str, Any], path: str) -> int:
    return hash((path, round(row.get("offset") or 0.0, 2)))


def _hash_likeness(row: Mapping[str, Any]) -> int:
    return hash((row.get("text") or "", round(row["duration"], 2)))

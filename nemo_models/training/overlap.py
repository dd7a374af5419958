"""Whether validation can be trusted: its recordings must not be among those trained on, nor, where known, its speakers.

Only the validation side is held, as hashes; training is streamed past it. Copies under another name are found too:
where text and length are those of a validation utterance, the two files are compared byte for byte.
"""

import filecmp
from collections.abc import Mapping
from typing import Any


class LeakSearch:
    """Validation utterances, against which those of training are held one by one."""

    def __init__(self) -> None:
        self._places: set[int] = set()
        self._texts: set[int] = set()
        self._files: dict[int, list[str]] = {}  # several may be alike in text and length
        self._speakers: set[str] = set()
        self._shared_texts: set[int] = set()
        self._shared_speakers: set[str] = set()
        self._same = ""
        self._same_count = 0

    def remember(self, row: Mapping[str, Any], path: str) -> None:
        """Take in an utterance of validation.

        Args:
            row: Of its manifest.
            path: Its audio file; empty where it lies in a tar.
        """
        self._texts.add(hash(row["text"]))
        if path:
            self._places.add(_place(row, path))
            alike = self._files.setdefault(_likeness(row), [])
            if path not in alike:
                alike.append(path)
        if row.get("speaker"):
            self._speakers.add(str(row["speaker"]))

    def compare(self, row: Mapping[str, Any], path: str) -> None:
        """Hold an utterance of training against all of validation; the arguments are those of `remember`."""
        if (text := hash(row["text"])) in self._texts:
            self._shared_texts.add(text)
        if path and (_place(row, path) in self._places or self._is_copy(row, path)):
            self._same = self._same or path
            self._same_count += 1
        if row.get("speaker") and str(row["speaker"]) in self._speakers:
            self._shared_speakers.add(str(row["speaker"]))

    def describe_same_recordings(self) -> str | None:
        """Say how many utterances of training are recordings of validation, if any."""
        if not self._same:
            return None
        return f"{self._same_count} × recording of validation in training, e.g. {self._same}"

    def describe_warnings(self) -> list[str]:
        """Say what is no fault by itself but makes validation look better than it is."""
        lines = []
        if self._shared_texts:
            lines.append(
                f"{len(self._shared_texts)} of {len(self._texts)} texts of validation are also in training: "
                "val_wer will look better than it is (scripts/find_leaks.py shows them)"
            )
        if self._shared_speakers - {"unknown"}:
            names = sorted(self._shared_speakers - {"unknown"})
            lines.append(f"{len(names)} speakers are in both training and validation, e.g. {names[0]}")
        return lines

    def _is_copy(self, row: Mapping[str, Any], path: str) -> bool:
        return any(_are_same(path, other) for other in self._files.get(_likeness(row), ()))


def _are_same(path: str, other: str) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False  # a missing file is reported as such


def _place(row: Mapping[str, Any], path: str) -> int:
    return hash((path, round(row.get("offset") or 0.0, 2)))


def _likeness(row: Mapping[str, Any]) -> int:
    return hash((row["text"], round(row["duration"], 2)))

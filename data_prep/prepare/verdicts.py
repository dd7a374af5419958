"""The final verdict on every row: the results of single rows, then the checks that need the whole corpus."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data_prep.selection.duplicates import (
    Repetitions,
    find_duplicate_audio,
    find_duplicate_text,
    find_equal_channels,
    find_text_in_evaluation,
)
from data_prep.selection.kept_index import KeptIndex
from data_prep.selection.splits import assign_splits

EQUAL_CHANNELS = "two channels hold the same audio, each listed with a text; both may hold both speakers"


class Verdicts:
    """Which kept rows are rejected because of other rows, and the split of the others."""

    def __init__(self, index: KeptIndex) -> None:
        """Close the index; every row in it is kept so far."""
        index.close()
        self._index = index
        self._alive = np.ones(len(index.at), bool)
        self._repetitions: Repetitions = {}
        self._equal_channels = find_equal_channels(index, self._alive)

    def reject_duplicates(self, audio: bool, text: bool) -> None:
        """Reject repeated audio, then a speaker's repeated texts, each if asked for."""
        if audio:
            self._reject(find_duplicate_audio(self._index, self._alive))
        if text:
            self._reject(find_duplicate_text(self._index, self._alive))

    def assign_splits(
        self, fractions: Mapping[str, float], listed: Mapping[str, Sequence[str]], seed: int, disjoint_text: bool
    ) -> None:
        """Give every row a split, the corpus's own if it has one; see `data_prep.selection.splits.assign_splits`.

        Args:
            fractions: Split -> share of the groups.
            listed: Split -> groups that the user assigned to it.
            seed: Seed of the choice.
            disjoint_text: True to reject rows whose text is in an evaluation split.

        Raises:
            ValueError: A listed group does not exist, or there are fewer groups than splits to fill.
        """
        self._index.set_splits(assign_splits(self._index.list_groups(self._alive), fractions, listed, seed))
        if disjoint_text:
            self._reject(find_text_in_evaluation(self._index, self._alive))

    def count_rows(self, split: str) -> int:
        """Count the kept rows of a split."""
        return int((self._alive & (self._index.split == self._index.splits.index(split))).sum())

    def judge(self, results: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
        """Yield every result, rejected where another row is the reason, with the split of a kept one.

        Args:
            results: All results in the order of the corpus, each `{"kept": …}` or `{"rejected": …}`.
        """
        firsts = {first for _, _, first in self._repetitions.values() if first is not None}
        firsts |= set(self._equal_channels.values())
        places: dict[int, str] = {}
        kept = 0
        for at, result in enumerate(results):
            if at in firsts:
                places[at] = f"{result['path']}, line {result['line']}"
            split = None
            if "kept" in result:
                number, kept = int(self._index.split[kept]), kept + 1
                split = self._index.splits[number] if number < len(self._index.splits) else None
            if at in self._repetitions:
                reason, detail, first = self._repetitions[at]
                detail = detail if first is None else detail.format(first=places[first])
                result = {"rejected": describe_rejection(reason, detail, result), "audio": result.get("audio")}
                split = None
            elif at in self._equal_channels:
                note = f"{EQUAL_CHANNELS}: as {places[self._equal_channels[at]]}, which has another text"
                result = {**result, "audio_note": note}
            yield result, split

    def _reject(self, found: Repetitions) -> None:
        self._repetitions |= found
        self._alive &= ~np.isin(self._index.at, list(found))


def describe_rejection(reason: str, detail: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Make a row of `rejected.jsonl`.

    Args:
        reason: Key of `data_prep.selection.quality.REASONS`.
        detail: What was found.
        row: A row of the corpus, or a result that was kept at first: `file`, `line`, `path`, `text`.
    """
    return {"reason": reason, "detail": detail, **{key: row.get(key) for key in ("file", "line", "path", "text")}}

"""Reads a corpus twice: once to count its rows and find audio that is listed again, once to cut it into work units.

One pass would have to hold the path and text of every row. Two passes hold eight bytes a row, and whole paths only for
the audio that is listed more than once; a reader takes some 10 µs a row, a hundredth of the work on it.
"""

import hashlib
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.corpora import Note, Reader, Utterance
from data_prep.lines import cut_chunks
from data_prep.prepare.work_units import UnitSettings, WorkUnit
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy


@dataclass(frozen=True)
class RowScan:
    """The result of the first pass over a corpus.

    Attributes:
        rows: Number of rows.
        repeated: Hashes of the keys that more than one row has.
        notes: What the reader noted about the whole corpus.
    """

    rows: int
    repeated: frozenset[int]
    notes: list[str]


def scan_rows(reader: Reader, corpus_dir: Path) -> RowScan:
    """Count the rows of a corpus, and find the audio that is listed more than once.

    Raises:
        OSError: The corpus is missing.
        ValueError: The whole corpus is unreadable.
    """
    rows, hashes, notes = 0, array("Q"), []
    for row in reader(corpus_dir):
        if isinstance(row, Note):
            notes.append(row.text)
            continue
        rows += 1
        if isinstance(row, Utterance):
            hashes.append(_hash_key(row))
    values = np.sort(np.frombuffer(hashes, "uint64"))
    return RowScan(rows, frozenset(values[1:][values[1:] == values[:-1]].tolist()), notes)


def cut_units(
    reader: Reader, corpus_dir: Path, settings: UnitSettings, unit_size: int, repeated: Collection[int]
) -> Iterator[WorkUnit]:
    """Cut a corpus into work units, with the verdict on audio that an earlier row lists.

    Args:
        reader: The corpus reader.
        corpus_dir: The corpus.
        settings: What the results depend on.
        unit_size: Rows of a unit.
        repeated: Hashes of the keys that more than one row has, from `scan_rows`.
    """
    firsts = _FirstPlaces(settings.policy)
    rows = (row for row in reader(corpus_dir) if not isinstance(row, Note))
    for index, chunk in enumerate(cut_chunks(rows, unit_size)):
        listed = (
            (at, row)
            for at, row in enumerate(chunk)
            if repeated and isinstance(row, Utterance) and _hash_key(row) in repeated
        )
        verdicts = {at: verdict for at, row in listed if (verdict := firsts.judge(row))}
        yield WorkUnit(index, index * unit_size, chunk, verdicts, settings)


@dataclass
class _FirstPlaces:
    """For each repeated key, the line and text of the first row, normalised by a policy."""

    policy: TextPolicy
    seen: dict[str, tuple[int, str]] = field(default_factory=dict)

    def judge(self, row: Utterance) -> tuple[str, str] | None:
        """Return (reason, detail) for a row whose audio was listed before."""
        text = normalize_text(row.text, self.policy)
        line, first_text = self.seen.setdefault(row.key, (row.line, text))
        if line == row.line:
            return None
        if text == first_text:
            return "duplicate_path", f"first listed in line {line}"
        return "conflicting_text", f"first listed in line {line} with another text: '{first_text}'"


def _hash_key(row: Utterance) -> int:
    return int.from_bytes(hashlib.blake2b(row.key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")

"""An index of all kept rows: digests of their audio and text, speaker, group and split.

Work units are finished in any order and reused by later runs; duplicates, splits and evaluation texts need all of them.
Their results are large and on disk. This index has about 60 bytes for each kept row (130 at the peak, during the search
for duplicates), so that no result is read again before the output is written.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.arguments import is_int

_NO_SPLIT = 255


@dataclass(frozen=True)
class KeptRow:
    """One kept row.

    Attributes:
        at: Position among all rows of the corpus, from 0.
        audio: Digest of the samples, 32 hexadecimal digits.
        text: Digest of the normalised text, 32 hexadecimal digits.
        speaker: The speaker.
        group: What is never in two splits: the speaker, the text or the utterance.
        split: The corpus's own split; `None` if it has none.
        channel_place: Digest of the file of which the row chooses a channel, 14 hexadecimal digits, and the channel's
            number and 1, 2 digits; nothing where it chooses none.
    """

    at: int
    audio: str
    text: str
    speaker: str
    group: str
    split: str | None
    channel_place: str = ""


def digest_text(text: str) -> str:
    """Return 32 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def make_kept_row(at: int, result: Mapping[str, Any], split_by: str = "utterance") -> KeptRow:
    """Summarise one kept result of a work unit or of `check_manifest`.

    Args:
        at: Its position among all rows.
        result: `kept` (the manifest row), `measures`, `path`, and perhaps `split` and `audio` (where the audio is).
        split_by: `speaker`, `text` or `utterance`: which of them is the group.
    """
    kept = result["kept"]
    text, speaker = digest_text(kept["text"]), str(kept.get("speaker", ""))
    group = {"speaker": speaker, "text": kept["text"], "utterance": result["path"]}[split_by]
    place = result.get("audio") or {}
    channel_place = ""
    if is_int(place.get("channel")):
        channel_place = f"{digest_text(place['audio'])[:14]}{min(place['channel'] + 1, 255):02x}"
    return KeptRow(at, result["measures"]["digest"], text, speaker, group, result.get("split"), channel_place)


class KeptIndex:
    """Kept rows in the order of the corpus, as NumPy arrays of equal length.

    Attributes:
        at: Positions among all rows, int64.
        audio: Digests, uint64 (rows, 2).
        text: Digests, uint64 (rows, 2).
        channel_place: Digest of the file (above the lowest byte), and number and 1, of the channel that a row chooses,
            uint64; 0 for rows that choose none.
        speaker: Numbers of the speakers, uint32.
        group: Numbers of the groups, uint32.
        split: Numbers of the splits in `splits`, uint8; 255 where the corpus has none.
        splits: Names of the splits.
        names: Names of the speakers and groups by number.
    """

    def __init__(self, splits: Iterable[str], rows: Iterable[KeptRow] = ()) -> None:
        """Set up an index.

        Args:
            splits: Names of the splits.
            rows: Kept rows, in any order; `add` adds more until `close`.
        """
        self.splits = tuple(splits)
        self._numbers: dict[str, int] = {}
        self._at, self._audio, self._text, self._channel_place = array("Q"), array("Q"), array("Q"), array("Q")
        self._speaker, self._group, self._split = array("I"), array("I"), array("B")
        self.add(rows)

    def add(self, rows: Iterable[KeptRow]) -> None:
        """Add kept rows, in any order."""
        for row in rows:
            self._at.append(row.at)
            for digests, digest in ((self._audio, row.audio), (self._text, row.text)):
                digests.append(int(digest[:16], 16))
                digests.append(int(digest[16:], 16))
            self._channel_place.append(int(row.channel_place or "0", 16))
            self._speaker.append(self._numbers.setdefault(row.speaker, len(self._numbers)))
            self._group.append(self._numbers.setdefault(row.group, len(self._numbers)))
            self._split.append(self.splits.index(row.split) if row.split else _NO_SPLIT)

    def close(self) -> None:
        """Order the rows as in the corpus; no row can be added afterwards."""
        order = np.argsort(np.frombuffer(self._at, "uint64"))
        self.at = _take(self._at, order).astype("int64")
        self._at = array("Q")  # one after another, so that only one of them is held twice
        self.audio = _take(self._audio, order, 2)
        self._audio = array("Q")
        self.text = _take(self._text, order, 2)
        self._text = array("Q")
        self.channel_place = _take(self._channel_place, order)
        self._channel_place = array("Q")
        self.speaker = _take(self._speaker, order)
        self.group = _take(self._group, order)
        self.split = _take(self._split, order)
        self.names = list(self._numbers)

    def list_groups(self, chosen: np.ndarray) -> Iterator[str]:
        """Yield the groups, each once, of the chosen rows for which the corpus has no split."""
        return (self.names[number] for number in np.unique(self.group[chosen & (self.split == _NO_SPLIT)]))

    def set_splits(self, assigned: Mapping[str, str]) -> None:
        """Fill in the split of every row for which the corpus has none.

        Args:
            assigned: Group -> split.
        """
        numbers = np.full(len(self.names), _NO_SPLIT, "uint8")
        for name, split in assigned.items():
            numbers[self._numbers[name]] = self.splits.index(split)
        self.split = np.where(self.split == _NO_SPLIT, numbers[self.group], self.split)


def _take(values: array, order: np.ndarray, width: int = 1) -> np.ndarray:
    rows = np.frombuffer(values, values.typecode)
    return rows.reshape(-1, width)[order] if width > 1 else rows[order]

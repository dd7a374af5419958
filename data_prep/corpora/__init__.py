"""The corpora that data prep can read: each has one file here, with a reader of its native layout."""

from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.corpora.rows import MalformedRow, Utterance
from data_prep.corpora.tsv import read_tsv

# A reader yields every row of a corpus in its own order, always the same. It raises only where the whole corpus cannot
# be read; a bad row is a MalformedRow.
Reader = Callable[[Path], Iterator[Utterance | MalformedRow]]

CORPORA: dict[str, Reader] = {"tsv": read_tsv}

__all__ = ["CORPORA", "MalformedRow", "Reader", "Utterance", "get_reader"]


def get_reader(corpus: str) -> Reader:
    """Find a corpus reader by name.

    Raises:
        ValueError: There is no such corpus; the message lists the valid names.
    """
    if corpus not in CORPORA:
        raise ValueError(f"corpus={corpus}: unknown corpus; choose one of: {', '.join(sorted(CORPORA))}")
    return CORPORA[corpus]

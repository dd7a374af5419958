"""The corpora that data prep can read: each has one file here, with a reader of its native layout."""

from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.corpora.common_voice import read_common_voice
from data_prep.corpora.fleurs import read_fleurs
from data_prep.corpora.gramvaani import read_gramvaani
from data_prep.corpora.huggingface import read_huggingface
from data_prep.corpora.indictts import read_indictts
from data_prep.corpora.indicvoices import read_indicvoices
from data_prep.corpora.kaldi import read_kaldi
from data_prep.corpora.kathbath import read_kathbath
from data_prep.corpora.mucs import read_mucs
from data_prep.corpora.nemo import read_nemo
from data_prep.corpora.rows import MalformedRow, Utterance
from data_prep.corpora.shrutilipi import read_shrutilipi
from data_prep.corpora.tsv import read_csv, read_tsv

# A reader yields every row of a corpus in its own order, always the same. It raises only where the whole corpus cannot
# be read; a bad row is a MalformedRow.
Reader = Callable[[Path], Iterator[Utterance | MalformedRow]]

CORPORA: dict[str, Reader] = {
    "common_voice": read_common_voice,
    "csv": read_csv,
    "fleurs": read_fleurs,
    "gramvaani": read_gramvaani,
    "huggingface": read_huggingface,
    "indictts": read_indictts,
    "indicvoices": read_indicvoices,
    "kaldi": read_kaldi,
    "kathbath": read_kathbath,
    "mucs": read_mucs,
    "nemo": read_nemo,
    "shrutilipi": read_shrutilipi,
    "tsv": read_tsv,
}

__all__ = ["CORPORA", "MalformedRow", "Reader", "Utterance", "get_reader"]


def get_reader(corpus: str) -> Reader:
    """Find a corpus reader by name.

    Raises:
        ValueError: There is no such corpus; the message lists the valid names.
    """
    if corpus not in CORPORA:
        raise ValueError(f"corpus={corpus}: unknown corpus; choose one of: {', '.join(sorted(CORPORA))}")
    return CORPORA[corpus]

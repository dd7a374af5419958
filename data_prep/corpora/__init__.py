"""The corpora that data preparation can read: each has one file here, with a reader of its native layout."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice
from data_prep.corpora.columns import check_columns
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
from data_prep.corpora.rows import MalformedRow, Note, Utterance
from data_prep.corpora.shrutilipi import read_shrutilipi
from data_prep.corpora.tsv import read_csv, read_tsv

# A reader yields every row of a corpus in the corpus's order, always the same, and notes about the whole. It raises
# only where the whole corpus is unreadable; an invalid row is a MalformedRow.
Reader = Callable[[Path], Iterator[Utterance | MalformedRow | Note]]

CORPORA: dict[str, Callable[..., Iterator[Any]]] = {
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

__all__ = ["CORPORA", "MalformedRow", "Note", "Reader", "Utterance", "get_reader"]


def get_reader(corpus: str, columns: Mapping[str, str] | None = None) -> Reader:
    """Find a corpus reader by name.

    Args:
        corpus: Name of the corpus.
        columns: Names of the columns of a table, see `data_prep.corpora.columns`.

    Raises:
        ValueError: The corpus is unknown (the message lists the valid names), or it has no columns.
    """
    require_choice("corpus", corpus, sorted(CORPORA))
    if not columns:
        return CORPORA[corpus]
    tables = [name for name, reader in CORPORA.items() if "columns" in inspect.signature(reader).parameters]
    if corpus not in tables:
        raise ValueError(
            f"columns={dict(columns)}: expected null with corpus={corpus}; only {', '.join(tables)} take it"
        )
    check_columns(columns)
    return partial(CORPORA[corpus], columns=columns)

"""The corpora that data preparation can read: each has one file here, with a reader of its native layout."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice
from data_prep.corpora.an4 import read_an4
from data_prep.corpora.columns import check_columns
from data_prep.corpora.common_voice import read_common_voice
from data_prep.corpora.fleurs import read_fleurs
from data_prep.corpora.gramvaani import read_gramvaani
from data_prep.corpora.huggingface import read_huggingface
from data_prep.corpora.indictts import read_indictts
from data_prep.corpora.indicvoices import read_indicvoices
from data_prep.corpora.kaldi import read_kaldi
from data_prep.corpora.kathbath import read_kathbath
from data_prep.corpora.librispeech import read_librispeech
from data_prep.corpora.mucs import read_mucs
from data_prep.corpora.nemo import read_nemo
from data_prep.corpora.openslr_indic import read_openslr_indic
from data_prep.corpora.rows import MalformedRow, Note, Utterance
from data_prep.corpora.shrutilipi import read_shrutilipi
from data_prep.corpora.tsv import read_csv, read_tsv
from data_prep.corpora.vaani import read_vaani
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language

# A reader yields every row of a corpus in the corpus's order, always the same, and notes about the whole. It raises
# only where the whole corpus is unreadable; an invalid row is a MalformedRow.
Reader = Callable[[Path], Iterator[Utterance | MalformedRow | Note]]

CORPORA: dict[str, Callable[..., Iterator[Any]]] = {
    "an4": read_an4,
    "common_voice": read_common_voice,
    "csv": read_csv,
    "fleurs": read_fleurs,
    "gramvaani": read_gramvaani,
    "huggingface": read_huggingface,
    "indictts": read_indictts,
    "indicvoices": read_indicvoices,
    "kaldi": read_kaldi,
    "kathbath": read_kathbath,
    "librispeech": read_librispeech,
    "mucs": read_mucs,
    "nemo": read_nemo,
    "openslr_indic": read_openslr_indic,
    "shrutilipi": read_shrutilipi,
    "tsv": read_tsv,
    "vaani": read_vaani,
}

__all__ = ["CORPORA", "MalformedRow", "Note", "Reader", "Utterance", "get_reader"]


def get_reader(corpus: str, columns: Mapping[str, str] | None = None, language: str = DEFAULT_LANGUAGE) -> Reader:
    """Find a corpus reader by name.

    Args:
        corpus: Name of the corpus.
        columns: Names of the columns of a table, see `data_prep.corpora.columns`.
        language: Code of the language, for corpora whose folders or files are named by language.

    Raises:
        ValueError: The corpus is unknown (the message lists the valid names), it has no columns, or lacks the language.
    """
    require_choice("corpus", corpus, sorted(CORPORA))
    if "language" in inspect.signature(CORPORA[corpus]).parameters:
        name = load_language(language).corpora.get(corpus)
        if name is None:
            raise ValueError(
                f"language={language}: expected a language that corpus={corpus} has; name another corpus, or add its "
                "folder under `corpora` of the language file"
            )
        return partial(CORPORA[corpus], language=name)
    if not columns:
        return CORPORA[corpus]
    tables = [name for name, reader in CORPORA.items() if "columns" in inspect.signature(reader).parameters]
    if corpus not in tables:
        raise ValueError(
            f"columns={dict(columns)}: expected null with corpus={corpus}; only {', '.join(tables)} take it"
        )
    check_columns(columns)
    return partial(CORPORA[corpus], columns=columns)

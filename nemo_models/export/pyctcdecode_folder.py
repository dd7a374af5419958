"""A word language model beside an exported head, in the form of pyctcdecode and `Wav2Vec2ProcessorWithLM`."""

import gzip
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from transformers import Wav2Vec2ProcessorWithLM

from data_prep.file_kinds import FileKind, identify_file
from nemo_models.checkpoints.ctc_head import Vocabulary
from nemo_models.checkpoints.pyctcdecode_files import (
    ALPHABET_FILE,
    ATTRIBUTES_FILE,
    FIXED_ATTRIBUTES,
    LM_FOLDER,
    UNIGRAMS_FILE,
    pyctcdecode_labels,
)
from nemo_models.language_models.arpa import open_arpa
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.word_lm import read_unigrams

ARPA_END_BYTES = 64
"""Bytes at the end of an ARPA file that contain its end mark."""
MIN_ORDER = 2
"""Lowest order that KenLM opens."""


def write_word_lm(folder: Path, lm: Path, vocabulary: Vocabulary, alpha: float, beta: float) -> list[str]:
    """Write a word language model in the form of pyctcdecode and `Wav2Vec2ProcessorWithLM`.

    pyctcdecode need not be installed.

    Args:
        folder: Folder of the export.
        lm: Word language model, see `read_unigrams`.
        vocabulary: Tokens of the exported head.
        alpha: Weight of the language model's score.
        beta: Added for each word.

    Returns:
        Notes for the user, a sentence each.

    Raises:
        ValueError: It is not a word language model of order 2 or more, or the model can write none of its words.
    """
    target = folder / LM_FOLDER
    target.mkdir()
    words = read_unigrams(lm)
    labels = pyctcdecode_labels(vocabulary)
    written = LabelTokenizer(vocabulary.labels).characters
    writable = [word for word in words if written.issuperset(word)]
    if not writable:
        raise ValueError(
            f"{lm}: found {len(words)} words, none of which the model can write, expected words of its labels; "
            "train it on text of this alphabet"
        )
    _copy_lm(lm, target)
    (target / UNIGRAMS_FILE).write_text("".join(f"{word}\n" for word in sorted(writable)), encoding="utf-8")
    settings = {"alpha": alpha, "beta": beta, **FIXED_ATTRIBUTES}
    (target / ATTRIBUTES_FILE).write_text(json.dumps(settings), encoding="utf-8")
    alphabet = {"labels": labels, "is_bpe": False}
    (folder / ALPHABET_FILE).write_text(json.dumps(alphabet, ensure_ascii=False), encoding="utf-8")
    return [f"language model: {len(writable)} of {len(words)} words can be written with the model's labels"]


def open_processor_with_lm(folder: Path) -> None:
    """Open the processor with a language model as transformers does, if it exists and pyctcdecode is installed.

    Raises:
        ValueError: transformers cannot open it.
    """
    if not ((folder / LM_FOLDER).exists() and find_spec("pyctcdecode") and find_spec("kenlm")):
        return
    try:
        Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    except Exception as error:  # transformers', pyctcdecode's or KenLM's
        reason = " ".join(str(error).split())
        raise ValueError(f"transformers cannot open the language model beside this head ({reason})") from error


def _copy_lm(lm: Path, folder: Path) -> None:
    """Copy a language model's file under the name of its kind, unpacked."""
    kind = identify_file(lm)
    if kind is FileKind.KENLM:
        shutil.copyfile(lm, folder / "lm.bin")
        return
    with open_arpa(lm) as (_, counts):
        order = len(counts)
    if order < MIN_ORDER:
        raise ValueError(
            f"{lm}: found order {order}, which KenLM does not open, expected {MIN_ORDER} or more; train another"
        )
    with gzip.open(lm) if kind is FileKind.GZIP else lm.open("rb") as source, (folder / "lm.arpa").open("wb") as copy:
        shutil.copyfileobj(source, copy)
    with (folder / "lm.arpa").open("rb") as copy:
        copy.seek(-min(ARPA_END_BYTES, copy.seek(0, os.SEEK_END)), os.SEEK_END)
        if b"\\end\\" not in copy.read():
            raise ValueError(f"{lm}: found an incomplete ARPA language model (its end is missing); copy it again")

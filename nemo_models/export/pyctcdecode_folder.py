"""A word language model beside an exported head, the way pyctcdecode, and so `Wav2Vec2ProcessorWithLM`, reads one."""

import gzip
import json
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from transformers import Wav2Vec2ProcessorWithLM

from data_prep.file_kinds import FileKind, identify_file
from nemo_models.checkpoints.ctc_head import Vocabulary
from nemo_models.language_models.arpa import open_arpa
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.word_lm import read_unigrams

ARPA_END_BYTES = 64
"""Of an ARPA file, the last of which hold the mark of its end."""
MIN_ORDER = 2
"""Shortest longest n-gram that KenLM opens."""
LM_FOLDER = "language_model"
"""pyctcdecode's names: this folder with `attrs.json`, `unigrams.txt` and the model, beside `alphabet.json`."""
UNKNOWN, PYCTCDECODE_UNKNOWN = re.compile(r"[<\[]unk[>\]]", flags=re.IGNORECASE), "⁇"
"""Which tokens pyctcdecode takes for the unknown one, and what it calls that."""


def write_word_lm(folder: Path, lm: Path, vocabulary: Vocabulary, alpha: float, beta: float) -> list[str]:
    """Write a word language model the way pyctcdecode, and so `Wav2Vec2ProcessorWithLM`, reads one.

    pyctcdecode itself is not needed for that.

    Args:
        folder: Of the export.
        lm: Word language model, see `read_unigrams`.
        vocabulary: The tokens of the head that is written.
        alpha: Weight of the language model's score.
        beta: Added for each word.

    Returns:
        What the user should know, a sentence each.

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
    (target / "unigrams.txt").write_text("".join(f"{word}\n" for word in sorted(writable)), encoding="utf-8")
    settings = {"alpha": alpha, "beta": beta, "unk_score_offset": -10.0, "score_boundary": True}
    (target / "attrs.json").write_text(json.dumps(settings), encoding="utf-8")
    alphabet = {"labels": labels, "is_bpe": False}
    (folder / "alphabet.json").write_text(json.dumps(alphabet, ensure_ascii=False), encoding="utf-8")
    return [f"language model: {len(writable)} of {len(words)} words can be written with the model's labels"]


def open_processor_with_lm(folder: Path) -> None:
    """Open what `write_word_lm` wrote as transformers does, where that is there and can be opened here.

    Raises:
        ValueError: transformers cannot.
    """
    if not ((folder / LM_FOLDER).exists() and find_spec("pyctcdecode") and find_spec("kenlm")):
        return
    try:
        Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    except Exception as error:  # transformers', pyctcdecode's or KenLM's
        reason = " ".join(str(error).split())
        raise ValueError(f"transformers cannot open the language model beside this head ({reason})") from error


def pyctcdecode_labels(vocabulary: Vocabulary) -> list[str]:
    """The tokens by row as pyctcdecode, and transformers' check of it, expects them."""
    assert vocabulary.tokenizer is not None
    names = {vocabulary.tokenizer["word_delimiter_token"]: " ", vocabulary.tokens[vocabulary.blank]: ""}
    return [names.get(token, PYCTCDECODE_UNKNOWN if UNKNOWN.fullmatch(token) else token) for token in vocabulary.tokens]


def _copy_lm(lm: Path, folder: Path) -> None:
    """Copy a language model's file under the name of its kind, unpacked."""
    kind = identify_file(lm)
    if kind is FileKind.KENLM:
        shutil.copyfile(lm, folder / "lm.bin")
        return
    with open_arpa(lm) as (_, counts):
        if len(counts) < MIN_ORDER:
            raise ValueError(f"found order {len(counts)}, which KenLM does not open, expected {MIN_ORDER} or more")
    with gzip.open(lm) if kind is FileKind.GZIP else lm.open("rb") as source, (folder / "lm.arpa").open("wb") as copy:
        shutil.copyfileobj(source, copy)
    with (folder / "lm.arpa").open("rb") as copy:
        copy.seek(-min(ARPA_END_BYTES, copy.seek(0, os.SEEK_END)), os.SEEK_END)
        if b"\\end\\" not in copy.read():
            raise ValueError(f"{lm}: not a complete ARPA language model (its end is missing); copy it again")

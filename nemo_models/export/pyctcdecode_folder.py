"""A word language model beside an exported head, the way pyctcdecode, and so `Wav2Vec2ProcessorWithLM`, reads one."""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from transformers import Wav2Vec2ProcessorWithLM

from nemo_models.checkpoints.ctc_head import Vocabulary

LM_FOLDER = "language_model"
"""pyctcdecode's names: this folder with `attrs.json`, `unigrams.txt` and the model, beside `alphabet.json`."""
UNKNOWN, PYCTCDECODE_UNKNOWN = re.compile(r"[<\[]unk[>\]]", flags=re.IGNORECASE), "⁇"
"""Which tokens pyctcdecode takes for the unknown one, and what it calls that."""


def write_word_lm(folder: Path, lm: Path, vocabulary: Vocabulary, alpha: float, beta: float) -> list[str]:
    """Write a word language model the way pyctcdecode, and so `Wav2Vec2ProcessorWithLM`, reads one.

    pyctcdecode itself is not needed for that.

    Args:
        folder: Of the export.
        lm: ARPA, plain or gzip. KenLM's binary form has no list of words, without which pyctcdecode decodes badly.
        vocabulary: The tokens of the head that is written.
        alpha: Weight of the language model's score.
        beta: Added for each word.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ValueError: It is no ARPA file, or the model can write none of its words.
    """
    target = folder / LM_FOLDER
    target.mkdir()
    with (target / "lm.arpa").open("wb") as copy:
        for line in _read_arpa(lm):
            copy.write(line)
    words = list(_read_words(target / "lm.arpa", lm))
    labels = _pyctcdecode_labels(vocabulary)
    writable = [word for word in words if set(word) <= set(labels)]
    if not writable:
        raise ValueError(
            f"{lm}: the model can write none of its {len(words)} words; expected a language model of words"
        )
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


def _pyctcdecode_labels(vocabulary: Vocabulary) -> list[str]:
    """The tokens by row as pyctcdecode, and transformers' check of it, expects them."""
    assert vocabulary.tokenizer is not None
    names = {vocabulary.tokenizer["word_delimiter_token"]: " ", vocabulary.tokens[vocabulary.blank]: ""}
    return [names.get(token, PYCTCDECODE_UNKNOWN if UNKNOWN.fullmatch(token) else token) for token in vocabulary.tokens]


def _read_arpa(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        try:
            first = stream.readline()
            while first == b"\n":
                first = stream.readline()
            if first.strip() != b"\\data\\":
                raise ValueError(f"{path}: not an ARPA file (expected \\data\\ at its beginning, found {first[:20]!r})")
            yield first
            yield from stream
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: not a complete gzip file ({error})") from error


def _read_words(arpa: Path, source: Path) -> Iterator[str]:
    inside = False
    with arpa.open(encoding="utf-8", newline="\n") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.startswith("\\"):
                    if inside and line.startswith("\\end\\"):
                        raise ValueError(
                            f"{source}: of order 1, which KenLM does not open; make one of order 2 or more"
                        )
                    if inside:
                        return
                    inside = line.startswith("\\1-grams:")
                elif inside and line.strip():
                    fields = line.rstrip(os.linesep).split("\t")
                    if len(fields) < 2:
                        raise ValueError(f"{source}:{number}: {line.strip()!r}, expected a score and a word")
                    if fields[1] not in ("<s>", "</s>", "<unk>"):
                        yield fields[1]
        except UnicodeDecodeError as error:
            raise ValueError(f"{source}: not UTF-8 ({error})") from error
    raise ValueError(f"{source}: not a complete ARPA file (its list of single words does not end)")

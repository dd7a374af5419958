"""The word language model of the second decoding path (pyctcdecode): ARPA text, plain or gzip, or a KenLM binary.

pyctcdecode needs the words of the model: without them it treats every word as unknown, and its texts get worse without
a warning. An ARPA text lists them, and so does the end of a KenLM binary, unless it was built without them.
"""

import json
import mmap
from collections.abc import Sequence
from pathlib import Path

from data_prep.file_kinds import FileKind, identify_file
from data_prep.text.alphabet import describe_character
from nemo_models.language_models.arpa import SPECIAL_WORDS, open_arpa, read_section
from nemo_models.language_models.labels import LabelTokenizer

_REMEDY = "make one: python scripts/train_ngram_lm.py kind=word text=… output=words.arpa"
_WORD_LIST_START = b"<unk>\0"  # KenLM's first word, and its end
_KINDS = (FileKind.ARPA, FileKind.GZIP, FileKind.KENLM)
_MOST_NAMED = 5
# Words with other characters, of all: models of collected text hold some, which the search never finds.
MAX_FOREIGN_SHARE = 0.1


def read_unigrams(path: Path) -> list[str]:
    """Read the words of a word language model.

    Args:
        path: ARPA text over words, plain or gzip, or a KenLM binary that holds its words.

    Returns:
        The words, without `<s>`, `</s>` and `<unk>`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a complete language model over words.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such word language model; {_REMEDY}")
    if path.suffix == ".nemo":
        raise ValueError(f"{path}: found a .nemo file (of tokens?), expected words in ARPA text; {_REMEDY}")
    kind = identify_file(path)
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"{path}: found {kind.value}, expected words in ARPA text; {_REMEDY}")
    try:
        words = _read_kenlm_words(path) if kind is FileKind.KENLM else _read_arpa_words(path)
        return [word.decode("utf-8") for word in words if word not in SPECIAL_WORDS]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: found words that are not UTF-8 ({error}), expected UTF-8; {_REMEDY}") from error


def _read_arpa_words(path: Path) -> list[bytes]:
    with open_arpa(path) as (lines, counts):
        return [fields[1] for block in read_section(lines, 1, counts[0]) for fields in block]


def _read_kenlm_words(path: Path) -> list[bytes]:
    """Read the words at the end of a KenLM binary, each ended by a zero byte.

    Source: kpu/kenlm `lm/vocab.cc`, `WriteWordsWrapper` and `ReadWords`.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.rfind(_WORD_LIST_START)
        words = content[start:] if start >= 0 else b""
    if not words.endswith(b"\0"):
        raise ValueError(
            f"{path}: found a KenLM binary without its words (build_binary -v, or cut short), expected one with them; "
            f"{_REMEDY}"
        )
    return words[:-1].split(b"\0")


def check_word_lm(path: Path, labels: Sequence[str], normalizer_fingerprint: str) -> list[str]:
    """Refuse a word language model that was made for other labels or from text of another normaliser.

    Args:
        path: See `read_unigrams`. `<path>.json` says what it was made for; without that file only its words are
            compared.
        labels: The acoustic model's labels.
        normalizer_fingerprint: Version of the text normalisation of the acoustic model's transcripts.

    Returns:
        The words, see `read_unigrams`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or does not fit.
    """
    words = read_unigrams(path)
    sidecar = path.with_name(f"{path.name}.json")
    if sidecar.is_file():
        found = _read_fingerprint(sidecar)
        if found != normalizer_fingerprint:
            raise ValueError(
                f"{path}: found text normalised by {found}, expected {normalizer_fingerprint}, the model's; {_REMEDY}"
            )
    if words and all(len(word) == 1 for word in words):
        raise ValueError(f"{path}: found a language model over characters or tokens, expected words; {_REMEDY}")
    written = LabelTokenizer(labels).characters
    foreign = [word for word in words if not written.issuperset(word)]
    if len(foreign) > MAX_FOREIGN_SHARE * len(words):
        outside = sorted({character for word in foreign for character in word} - written)
        named = ", ".join(describe_character(character) for character in outside[:_MOST_NAMED])
        raise ValueError(
            f"{path}: found {len(foreign)} of {len(words)} words with characters that the model cannot write ({named}"
            f"{', …' if len(outside) > _MOST_NAMED else ''}), expected {MAX_FOREIGN_SHARE:.0%} at most; {_REMEDY}"
        )
    return words


def _read_fingerprint(sidecar: Path) -> str:
    try:
        return str(json.loads(sidecar.read_text(encoding="utf-8"))["normalizer_fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{sidecar}: expected the report of train_ngram_lm.py ({error}); {_REMEDY}") from error

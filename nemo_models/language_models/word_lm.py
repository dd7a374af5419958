"""The word language model of the second decoding path (pyctcdecode): a plain ARPA text with a JSON file beside it.

It stays an ARPA because a KenLM binary does not give its words away, and pyctcdecode without them takes every word for
an unknown one and is worse without a word of warning.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from data_prep.text.alphabet import describe_character
from nemo_models.language_models.arpa import SPECIAL_WORDS, open_arpa, read_section

_REMEDY = "make one: python scripts/train_ngram_lm.py kind=word text=… output=words.arpa"
_OTHER_FILES = {  # how files begin that are taken for a word language model
    b"mmap lm ": "a KenLM binary, which does not give its words away",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"PK\x03\x04": "a zip archive",
    b"": "an empty file",
}
_MOST_NAMED = 5


def read_unigrams(path: Path) -> list[str]:
    """Read the words of a word language model.

    Args:
        path: An ARPA text over words.

    Returns:
        The words, without `<s>`, `</s>` and `<unk>`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a complete ARPA text.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such word language model; {_REMEDY}")
    with path.open("rb") as file:
        start = file.read(8)
    if path.suffix == ".nemo":
        raise ValueError(f"{path}: found a .nemo file (of tokens?), expected words in ARPA text; {_REMEDY}")
    for beginning, kind in _OTHER_FILES.items():
        if start == beginning or (beginning and start.startswith(beginning)):
            raise ValueError(f"{path}: found {kind}, expected words in ARPA text; {_REMEDY}")
    with open_arpa(path) as (lines, counts):
        words = [fields[1] for block in read_section(lines, 1, counts[0]) for fields in block]
        return [word.decode("utf-8") for word in words if word not in SPECIAL_WORDS]


def check_word_lm(path: Path, labels: Sequence[str], normalizer_fingerprint: str) -> list[str]:
    """Refuse a word language model that was made for other labels or from text of another normaliser.

    Args:
        path: The ARPA text. What it was made for stands in `<path>.json`; without that file its words are looked at.
        labels: The acoustic model's labels.
        normalizer_fingerprint: Of the normaliser that the acoustic model's transcripts went through.

    Returns:
        Its words, see `read_unigrams`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read or does not fit.
    """
    words = read_unigrams(path)
    sidecar = path.with_name(f"{path.name}.json")
    if sidecar.is_file():
        found = _read_fingerprint(sidecar)
        if found != normalizer_fingerprint:
            raise ValueError(
                f"{path}: text normalised by {found}, but the model's transcripts by {normalizer_fingerprint}; "
                f"{_REMEDY}"
            )
    outside = {character for word in words for character in word}.difference(labels)
    if len(outside) > 0:
        named = ", ".join(describe_character(character) for character in sorted(outside)[:_MOST_NAMED])
        what = "a language model over tokens?" if all(len(word) == 1 for word in words) else "of another alphabet"
        raise ValueError(f"{path}: {what} its words hold {named}, which the model cannot write; {_REMEDY}")
    if words and all(len(word) == 1 for word in words):
        raise ValueError(f"{path}: a language model over characters, expected one over words; {_REMEDY}")
    return words


def _read_fingerprint(sidecar: Path) -> str:
    try:
        return str(json.loads(sidecar.read_text(encoding="utf-8"))["normalizer_fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{sidecar}: not what train_ngram_lm.py writes ({error}); {_REMEDY}") from error

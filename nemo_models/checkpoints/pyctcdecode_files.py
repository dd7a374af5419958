"""The word language model of a `Wav2Vec2ProcessorWithLM`: pyctcdecode's files beside a Hugging Face checkpoint."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.arguments import require_number
from nemo_models.checkpoints.ctc_head import Vocabulary
from nemo_models.files.json_file import read_json_object
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.word_lm import read_unigrams

LM_FOLDER, ALPHABET_FILE = "language_model", "alphabet.json"
ATTRIBUTES_FILE, UNIGRAMS_FILE = "attrs.json", "unigrams.txt"
"""pyctcdecode's names: the folder holds the attributes, the words and the model."""
FIXED_ATTRIBUTES = {"unk_score_offset": -10.0, "score_boundary": True}
"""pyctcdecode's defaults, which this project's search uses."""
_UNKNOWN, PYCTCDECODE_UNKNOWN = re.compile(r"[<\[]unk[>\]]", flags=re.IGNORECASE), "⁇"
"""Which tokens pyctcdecode takes for the unknown one, and what it calls that."""


@dataclass(frozen=True)
class SourceLM:
    """The word language model of a checkpoint.

    Attributes:
        path: The model's file; `None` if it cannot be used.
        alpha: Weight of its score.
        beta: Added for each word.
        notes: What the report of an import says about it, a sentence each.
    """

    path: Path | None
    alpha: float = 0.5
    beta: float = 1.5
    notes: tuple[str, ...] = field(default=())


def pyctcdecode_labels(vocabulary: Vocabulary) -> list[str]:
    """Give a head's tokens by row as pyctcdecode, and transformers' check of it, expects them."""
    assert vocabulary.tokenizer is not None
    names = {vocabulary.tokenizer["word_delimiter_token"]: " ", vocabulary.tokens[vocabulary.blank]: ""}
    return [
        names.get(token, PYCTCDECODE_UNKNOWN if _UNKNOWN.fullmatch(token) else token) for token in vocabulary.tokens
    ]


def read_source_lm(folder: Path, vocabulary: Vocabulary) -> SourceLM | None:
    """Read the word language model beside a checkpoint.

    Args:
        folder: The checkpoint.
        vocabulary: The tokens of its head.

    Returns:
        The language model; one without `path`, and a note that says why, where it cannot be used; `None` without one.
    """
    if not (folder / LM_FOLDER).is_dir():
        return None
    try:
        return _read(folder, vocabulary)
    except (ValueError, OSError) as error:
        return SourceLM(None, notes=(f"left out: {LM_FOLDER}, the checkpoint's language model: {error}",))


def _read(folder: Path, vocabulary: Vocabulary) -> SourceLM:
    files = [path for path in sorted((folder / LM_FOLDER).iterdir()) if not path.name.startswith((".", "__"))]
    models = [path for path in files if path.name not in (ATTRIBUTES_FILE, UNIGRAMS_FILE)]
    if len(models) != 1:
        names = ", ".join(path.name for path in models) or "none"
        raise ValueError(f"{folder / LM_FOLDER}: found {names}, expected one file of a language model")
    attributes = read_json_object(folder / LM_FOLDER / ATTRIBUTES_FILE)
    alphabet = read_json_object(folder / ALPHABET_FILE)
    if alphabet.get("is_bpe") or alphabet.get("labels") != pyctcdecode_labels(vocabulary):
        raise ValueError(f"{folder / ALPHABET_FILE}: found other labels than the head's, expected the same in order")
    words = read_unigrams(models[0])
    tokenizer = LabelTokenizer(vocabulary.labels)
    written = {word for word in words if tokenizer.can_write(word)}
    notes = [f"language model: {models[0].name}, {len(words)} words, used by default (strategy=pyctcdecode)"]
    notes += _compare_words(folder / LM_FOLDER / UNIGRAMS_FILE, written, tokenizer)
    notes += [
        f"language model: {key}={attributes[key]} of the source is not used, but {value}: texts may differ"
        for key, value in FIXED_ATTRIBUTES.items()
        if attributes.get(key, value) != value
    ]
    return SourceLM(models[0], _number(attributes, "alpha", 0.5), _number(attributes, "beta", 1.5), tuple(notes))


def _compare_words(path: Path, written: set[str], tokenizer: LabelTokenizer) -> list[str]:
    listed = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    listed = {word for word in listed if tokenizer.can_write(word)}
    if listed == written:
        return []
    return [
        f"language model: {UNIGRAMS_FILE} lists {len(listed)} words that the head can write, the model itself "
        f"{len(written)}, which are used: texts may differ"
    ]


def _number(attributes: dict[str, Any], key: str, default: float) -> float:
    value = attributes.get(key, default)
    require_number(f"{ATTRIBUTES_FILE}: {key}", value)
    return float(value)

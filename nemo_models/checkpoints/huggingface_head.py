"""The CTC head of a Hugging Face checkpoint: `lm_head`, with the tokens and the tokenizer that print it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2CTCTokenizer

from data_prep.arguments import is_int
from nemo_models.checkpoints.ctc_head import FAIRSEQ_TOKENIZER, SPECIAL_KEYS, CTCHead, Vocabulary
from nemo_models.files.json_file import read_json_object

VOCABULARY_FILE = "vocab.json"
TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TOKENIZERS = ("Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer")
"""The same tokenizer by its new and its old name; others print tokens in other ways."""
CLEANED_UP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""Where `clean_up_tokenization_spaces` removes spaces. Source: transformers' `clean_up_tokenization`."""


def read_head(folder: Path, source: str, head: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> CTCHead:
    """Read a CTC head's tokens.

    Args:
        folder: The checkpoint.
        source: What to call it in errors.
        head: The tensors of `lm_head`, by `weight` and `bias`.
        config: The content of `config.json`.

    Returns:
        The head; without a vocabulary where `vocab.json` is missing.

    Raises:
        ValueError: The tokens do not fit the head, or are printed in a way that is not supported.
    """
    if not {"weight"} <= head.keys() <= {"weight", "bias"}:
        raise ValueError(
            f"{source}: found {', '.join(sorted(head))} in the CTC head, expected weight and bias; "
            "head=new makes a new one over the alphabet"
        )
    weight = head["weight"]
    bias = head.get("bias", torch.zeros(len(weight)))
    path = folder / VOCABULARY_FILE
    if not path.exists():
        return CTCHead(weight, bias, None, str(path))
    numbers = read_json_object(path)
    if not all(is_int(number) for number in numbers.values()):
        raise ValueError(
            f"{path}: found vocabularies of several languages, expected tokens and their numbers; "
            "head=new makes a new head over the alphabet"
        )
    tokenizer = _read_tokenizer(folder, source, config)
    _check_vocabulary(path, set(numbers.values()), set(tokenizer.added_tokens_decoder), len(weight))
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(weight))))
    settings = {key: getattr(tokenizer, key) for key in FAIRSEQ_TOKENIZER}
    settings |= {key: None for key in SPECIAL_KEYS if settings[key] not in tokens}  # the tokenizer's own, beyond it
    vocabulary = Vocabulary(tuple(tokens), int(tokenizer.pad_token_id), settings)
    if tokenizer.clean_up_tokenization_spaces:
        _check_clean_up(source, vocabulary)
    return CTCHead(weight, bias, vocabulary, str(path))


def _read_tokenizer(folder: Path, source: str, config: Mapping[str, Any]) -> Wav2Vec2CTCTokenizer:
    contents = {name: read_json_object(folder / name) for name in TOKENIZER_FILES if (folder / name).exists()}
    own = contents.get("tokenizer_config.json", {})
    name = own.get("tokenizer_class") or config.get("tokenizer_class") or TOKENIZERS[0]
    if name not in TOKENIZERS:
        raise ValueError(
            f"{source}: found tokenizer {name}, expected {TOKENIZERS[0]}, because others print tokens differently; "
            "head=new leaves this head out and makes one over the alphabet"
        )
    try:
        tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises many types for JSON that describes no tokenizer
        raise ValueError(
            f"{source}: the tokenizer's files cannot be read ({' '.join(str(error).split())}); "
            "download them again, or give head=new"
        ) from error
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"{source}: found no pad_token in tokenizer_config.json, expected the name of CTC's blank; put it there"
        )
    return tokenizer


def _check_vocabulary(path: Path, numbers: set[int], added: set[int], rows: int) -> None:
    """Compare a vocabulary with its head; tokens that the tokenizer adds may go beyond it, as in many checkpoints.

    Raises:
        ValueError: A row has no token, or a token no row.
    """
    without_token = set(range(rows)) - numbers - added
    without_row = {number for number in numbers if not 0 <= number < rows}
    if without_token or without_row:
        raise ValueError(
            f"{path}: found {len(numbers)} tokens, expected {rows}, one for each row: {len(without_token)} rows "
            f"have no token, {len(without_row)} tokens no row; put the head's own vocabulary there, or give head=new"
        )


def _check_clean_up(source: str, vocabulary: Vocabulary) -> None:
    """Refuse a tokenizer that removes spaces from what it prints, where the labels can print such places.

    Raises:
        ValueError: They can.
    """
    characters = set("".join(vocabulary.labels))
    if any(set(place) <= characters for place in CLEANED_UP):
        raise ValueError(
            f"{source}: found clean_up_tokenization_spaces=true in tokenizer_config.json, which removes spaces before "
            "punctuation marks, expected false; set it to false there to keep these spaces, or give head=new"
        )

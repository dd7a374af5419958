"""The file of a token n-gram language model, which NeMo's `beam_batch` reads: its metadata, its check, its writing.

A language model depends on the order of a model's labels and on the version of the text normalisation. Both are in the
file and checked before decoding, since a mismatch would give wrong texts without an error.
"""

import hashlib
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nemo.collections.asr.parts.submodules.ngram_lm import DEFAULT_TOKEN_OFFSET, NGramGPULanguageModel
from nemo.collections.asr.parts.submodules.ngram_lm.ngram_lm_batched import SuffixTreeStorage
from omegaconf import open_dict

from data_prep.file_kinds import FileKind, identify_file
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.arpa import END, SPECIAL_WORDS, START, BackoffModel
from nemo_models.language_models.labels import LabelTokenizer

METADATA_KEY = "text_lm"  # key of the metadata in the configuration inside the language model's .nemo file
_WORD_LM_KINDS = (FileKind.ARPA, FileKind.KENLM)
_REMEDY = "make one for this model: python scripts/train_ngram_lm.py text=… model_path=… output=…"
_FIRST_LABEL = len(SPECIAL_WORDS)


@dataclass(frozen=True)
class NgramLMMetadata:
    """The labels and texts of a language model; written into its file."""

    order: int
    labels_hash: str
    normalizer_fingerprint: str
    prune: tuple[int, ...] = ()
    lines: int = 0
    lines_used: int = 0
    lines_left_out: int = 0
    weights: tuple[float, ...] = ()  # of the interpolated texts


def hash_labels(labels: Sequence[str]) -> str:
    """Return 16 hexadecimal digits that differ when any label or their order does."""
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]


def token_words(labels: Sequence[str]) -> list[bytes]:
    """Return the word for each label in a token language model: NeMo reads `chr(index + 100)`."""
    return [chr(index + DEFAULT_TOKEN_OFFSET).encode() for index in range(len(labels))]


def encode_tokens(text: str, tokenizer: LabelTokenizer) -> str | None:
    """Write a text the way the language model reads it: its labels as tokens, separated by spaces.

    Args:
        text: Normalised text.
        tokenizer: Divides text into the acoustic model's labels.

    Returns:
        The tokens; `None` if the labels cannot write the text.
    """
    numbers = tokenizer.encode(text)
    return None if numbers is None else " ".join(chr(number + DEFAULT_TOKEN_OFFSET) for number in numbers)


def check_lm_matches(lm_path: Path, labels: Sequence[str], normalizer_fingerprint: str) -> None:
    """Refuse a language model that was made for other labels or from text of another normaliser.

    A language model of another tool has neither in its file; only the number of its labels is compared then.

    Args:
        lm_path: The language model's `.nemo` file.
        labels: The acoustic model's labels, in order, without the blank.
        normalizer_fingerprint: Version of the text normalisation of the acoustic model's transcripts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a language model, or does not fit.
    """
    config = _read_config(lm_path)
    size, metadata = config.get("vocab_size"), _parse_metadata(config)
    language, expected = (
        text.partition("-")[0] for text in (metadata.normalizer_fingerprint if metadata else "", normalizer_fingerprint)
    )
    if metadata and language != expected:
        raise ValueError(
            f"{lm_path}: found a language model of the language {language}, expected {expected}, the model's; {_REMEDY}"
        )
    if size != len(labels):
        raise ValueError(f"{lm_path}: found a language model over {size} labels, expected {len(labels)}; {_REMEDY}")
    if metadata and metadata.labels_hash != hash_labels(labels):
        raise ValueError(
            f"{lm_path}: found a language model of other labels or another order (hash {metadata.labels_hash}), "
            f"expected the model's (hash {hash_labels(labels)}); {_REMEDY}"
        )
    if metadata and metadata.normalizer_fingerprint != normalizer_fingerprint:
        raise ValueError(
            f"{lm_path}: found text normalised by {metadata.normalizer_fingerprint}, expected "
            f"{normalizer_fingerprint}, the model's; {_REMEDY}"
        )


def write_token_lm(model: BackoffModel, metadata: NgramLMMetadata, output: Path) -> None:
    """Write a language model over labels for `beam_batch`.

    Args:
        model: Language model with the vocabulary `token_words(labels)`.
        metadata: Metadata, written into the file.
        output: The `.nemo` file to write.
    """
    nemo_model = NGramGPULanguageModel.from_suffix_tree(to_suffix_tree(model))
    with open_dict(nemo_model.cfg):
        nemo_model.cfg[METADATA_KEY] = {
            **asdict(metadata),
            "prune": list(metadata.prune),
            "weights": list(metadata.weights),
        }
    nemo_model.save_to(str(output))


def to_suffix_tree(model: BackoffModel) -> SuffixTreeStorage:
    """Convert a model over labels to NeMo's acceptor: a state for each context, an arc for each n-gram.

    NeMo fills the same arrays n-gram by n-gram from an ARPA file (`SuffixTreeStorage`); the numbering is equal.

    Returns:
        The argument of `NGramGPULanguageModel.from_suffix_tree`.
    """
    label_count, last = len(model.vocabulary) - _FIRST_LABEL, len(model.orders)
    state_count = 2 + label_count + sum(_count_continued(model, order) for order in range(2, last))
    arc_count = label_count + sum(_count_continued(model, order) for order in range(2, last + 1))
    tree = SuffixTreeStorage(state_count, arc_count + label_count, vocab_size=label_count, max_order=last)
    tree.num_states, tree.num_arcs = state_count, arc_count
    arcs, states = tree.arcs, tree.states

    unigrams = model.orders[0]
    state_of = np.concatenate([[-1, -1, tree.bos_state], 2 + np.arange(label_count)])  # by index in the order
    arcs["to"][:label_count] = state_of[_FIRST_LABEL:]
    arcs["ilabel"][:label_count] = np.arange(label_count)
    arcs["weight"][:label_count] = unigrams.log_probs[_FIRST_LABEL:]
    states["order"][1 : 2 + label_count] = 2
    states["backoff_w"][1 : 2 + label_count] = unigrams.backoffs[START:]
    states[tree.start_state] = (0, label_count, 1, tree.start_state, 0.0, unigrams.log_probs[END])
    next_arc, next_state = label_count, 2 + label_count
    for order, suffixes in enumerate(model.suffixes(), 2):
        part, (parents, words) = model.orders[order - 1], model.split(order)
        goes_on = words >= _FIRST_LABEL
        states["final"][state_of[parents[words == END]]] = part.log_probs[words == END]
        made = int(goes_on.sum())
        here = slice(next_arc, next_arc + made)
        arcs["from"][here] = sources = state_of[parents[goes_on]]
        arcs["ilabel"][here] = words[goes_on] - _FIRST_LABEL
        arcs["weight"][here] = part.log_probs[goes_on]
        if order < last:
            places = np.full(len(words), -1, dtype=np.int64)
            places[goes_on] = next_state + np.arange(made)
            new = slice(next_state, next_state + made)
            states["order"][new] = order + 1
            states["backoff_to"][new] = state_of[suffixes[goes_on]]
            states["backoff_w"][new] = part.backoffs[goes_on]
            arcs["to"][here] = places[goes_on]
            state_of = places
            next_state += made
        else:
            arcs["to"][here] = state_of[suffixes[goes_on]]
        first = np.unique(sources, return_index=True)
        states["arcs_start"][first[0]] = next_arc + first[1]
        states["arcs_end"][first[0]] = next_arc + np.append(first[1][1:], made)
        next_arc += made
    return tree


def _count_continued(model: BackoffModel, order: int) -> int:
    """Count the n-grams of an order that do not end the sentence."""
    return int((model.split(order)[1] >= _FIRST_LABEL).sum())


def _read_config(lm_path: Path) -> dict[str, Any]:
    """Read the configuration in a token language model's file; refuse other and incomplete files."""
    if not lm_path.is_file():
        raise FileNotFoundError(f"{lm_path}: no such file")
    kind = identify_file(lm_path)
    if kind is not None:
        hint = " (of words? strategy pyctcdecode reads those)" if kind in _WORD_LM_KINDS else ""
        raise ValueError(f"{lm_path}: found {kind.value}{hint}, expected a token language model (.nemo); {_REMEDY}")
    config = read_nemo_config(lm_path)
    if not {"num_states", "num_arcs", "max_order"} <= config.keys():
        raise ValueError(f"{lm_path}: found a .nemo file of another kind, expected an n-gram language model; {_REMEDY}")
    try:
        with tarfile.open(lm_path) as archive:
            weights = next((m for m in archive.getmembers() if m.name.endswith("model_weights.ckpt")), None)
            stream = archive.extractfile(weights) if weights else None
            if stream is None:
                raise tarfile.ReadError("no weights in it")
            zipfile.ZipFile(stream).close()  # reads its table of contents, which is at the end
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise ValueError(
            f"{lm_path}: found a damaged file ({error}), expected a complete one; copy it again, or {_REMEDY}"
        ) from error
    return config


def _parse_metadata(config: dict[str, Any]) -> NgramLMMetadata | None:
    metadata = config.get(METADATA_KEY)
    if not metadata:
        return None
    lists = {key: tuple(metadata.get(key, ())) for key in ("prune", "weights")}
    return NgramLMMetadata(**{**metadata, **lists})

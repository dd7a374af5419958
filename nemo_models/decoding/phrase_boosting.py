"""Names and terms that the search prefers: NeMo's boosting tree over characters, with a weight for each phrase.

From a configuration, NeMo builds the tree only for subwords with a tokenizer, and with one weight for all phrases.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemo.collections.asr.parts.context_biasing import GPUBoostingTreeModel
from nemo.collections.asr.parts.context_biasing.context_graph_universal import ContextGraph
from omegaconf import DictConfig

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.alphabet import find_outside_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN, TextPolicy
from nemo_models.language_models.labels import LabelTokenizer

# Of the tree's score, in natural logs for each character. On 20 names that a 6-gram never saw, in 40 sentences by an
# unseen synthesised voice, 0 finds 3, 0.3 finds 21, 0.5 finds 28, 1.0 finds 33 and 2.0 finds 35 of 40, while the WER of
# 60 sentences without names goes 3.0, 3.0, 3.2, 3.6, 7.2 %. Without the spaces around each phrase 0.5 finds 22.
BOOSTING_WEIGHT = 0.5


@dataclass(frozen=True)
class Phrase:
    """A normalised phrase to prefer, and its weight relative to the others (1: equal)."""

    text: str
    weight: float = 1.0


def read_phrases(
    path: Path, labels: Sequence[str], language: str = DEFAULT_LANGUAGE, letters: Mapping[str, str] | None = None
) -> list[Phrase]:
    """Read a file with one phrase a line, and a weight after a tab if it is not 1.

    Args:
        path: UTF-8 text. Empty lines are skipped; if a phrase comes twice, the last line counts.
        labels: The model's labels, in order, without the blank.
        language: Code of the phrases' language, or the path of a language file.
        letters: Letter of the language -> label, for a model of several; `None`: the labels are its letters.

    Returns:
        The phrases, written with the labels.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A phrase has other characters, a weight is not above 0, or there is no phrase.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of phrases")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: found {error}, expected UTF-8 text; save it as UTF-8") from error
    policy = replace(AS_WRITTEN, language=language)
    characters, phrases = frozenset(letters) if letters else LabelTokenizer(labels).characters, {}
    folding = str.maketrans(dict(letters or {}))
    for number, line in enumerate(lines, 1):
        if line.strip():
            phrase = _read_phrase(line, f"{path}:{number}", characters, policy)
            phrases[phrase.text] = replace(phrase, text=phrase.text.translate(folding))
    if not phrases:
        raise ValueError(f"{path}: found no phrase, expected one a line; add them")
    return list(phrases.values())


def _read_phrase(line: str, where: str, alphabet: frozenset[str], policy: TextPolicy) -> Phrase:
    written, _, weight = line.partition("\t")
    text = normalize_text(written, policy)
    outside = find_outside_alphabet(text, alphabet)
    if outside or not text:
        found = ", ".join(outside) or "nothing that is spoken"
        raise ValueError(
            f"{where}: found {found} in {written.strip()!r}, expected characters that the model writes; spell it out"
        )
    try:
        value = float(weight) if weight.strip() else 1.0
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{where}: found the weight {weight.strip()!r} of {text!r}, expected a number above 0")
    return Phrase(text, value)


def phrase_settings(phrases: Sequence[Phrase], weight: float = BOOSTING_WEIGHT) -> dict[str, Any]:
    """Return NeMo's settings, for `beam`, that boost phrases."""
    texts, weights = [phrase.text for phrase in phrases], [phrase.weight for phrase in phrases]
    return {
        "boosting_tree": {"key_phrases_list": texts, "phrase_weights": weights},
        "boosting_tree_alpha": weight,
    }


def build_boosting_tree(config: DictConfig, labels: Sequence[str]) -> GPUBoostingTreeModel:
    """Build NeMo's boosting tree over characters.

    Args:
        config: NeMo's `BoostingTreeModelConfig` with `key_phrases_list`, and optionally `phrase_weights`, one for each.
        labels: The acoustic model's labels, in order; phrases are spelled with them, the longest that fit.

    Raises:
        ValueError: A phrase has characters that are not among the labels, or phrases are given in another way.
    """
    phrases, tokenizer = list(config.key_phrases_list or []), LabelTokenizer(labels)
    if not phrases:
        raise ValueError(
            "ctc_decoding.beam.boosting_tree: expected key_phrases_list; give that, or boosting.phrases_file"
        )
    weights = config.get("phrase_weights") or [1.0] * len(phrases)
    # whole words, within a sentence or at its beginning
    edges = ((" ", " "), ("", " ")) if " " in tokenizer.characters else (("", ""),)
    for phrase in phrases:
        if not tokenizer.can_write(phrase):
            outside = "".join(sorted(set(phrase) - tokenizer.characters)) or phrase
            raise ValueError(
                f"ctc_decoding.beam.boosting_tree.key_phrases_list={phrase!r}: expected characters that the model "
                f"can write, found {outside!r}; spell the phrase out"
            )
    spelled = [
        (before + phrase + after, config.context_score * weight)
        for phrase, weight in zip(phrases, weights, strict=True)
        for before, after in edges
    ]
    graph = ContextGraph(context_score=config.context_score, depth_scaling=config.depth_scaling)
    graph.build(
        token_ids=[tokenizer.encode(text) for text, _ in spelled],
        phrases=[text for text, _ in spelled],
        scores=[score for _, score in spelled],
        uniform_weights=config.uniform_weights,
    )
    return GPUBoostingTreeModel.from_context_graph(
        context_graph=graph,
        vocab_size=len(labels),
        unk_score=config.unk_score,
        final_eos_score=config.final_eos_score,
        use_triton=None,  # if installed
        uniform_weights=config.uniform_weights,
    )

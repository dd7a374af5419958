"""The prompt of a request as phrases that the beam search prefers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.alphabet import find_outside_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

MOST_PHRASES = 100  # of one request
MOST_CHARACTERS = 100  # of one phrase
_BETWEEN = re.compile(r"[\n\r\t,;।॥|.?!]+")


def read_prompt(
    prompt: str,
    labels: Sequence[str],
    language: str = DEFAULT_LANGUAGE,
    letters: Mapping[str, str] | None = None,
) -> tuple[list[str], list[str]]:
    """Split a prompt into phrases at commas, ends of sentences and lines.

    Args:
        prompt: What the client sent.
        labels: The model's labels, in order, without the blank; all characters of the text.
        language: Code of the model's language, or the path of a language file.
        letters: Letter of the language -> label, for a model of several; `None`: the labels are its letters.

    Returns:
        The normalised phrases that the model can write, with its labels, each once, sorted; and the parts that it
        cannot prefer: those with other characters, those of more than `MOST_CHARACTERS`, those beyond `MOST_PHRASES`.
    """
    characters, policy = frozenset("".join(letters or labels)), replace(AS_WRITTEN, language=language)
    phrases: list[str] = []
    left_out: list[str] = []
    for part in filter(None, (part.strip() for part in _BETWEEN.split(prompt))):
        text = normalize_text(part, policy)
        usable = text and len(text) <= MOST_CHARACTERS and not find_outside_alphabet(text, characters)
        if usable and text in phrases:
            continue
        (phrases if usable and len(phrases) < MOST_PHRASES else left_out).append(text if usable else part)
    table = str.maketrans(dict(letters or {}))
    return sorted(text.translate(table) for text in phrases), left_out


def make_decoder(model: "EncDecCTCModel", phrases: Sequence[str], weight: float | None = None) -> Any:
    """Make a decoder with a model's settings that prefers phrases as well.

    Args:
        model: A CTC model over characters; it is not changed. A greedy one is searched with `beam_batch` here.
        phrases: Normalised phrases of characters that the model writes.
        weight: How strongly they are preferred, above 0; `None`: `phrase_boosting.BOOSTING_WEIGHT`.

    Returns:
        A `CharacterCTCDecoding`.
    """
    from omegaconf import OmegaConf

    from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding
    from nemo_models.decoding.phrase_boosting import BOOSTING_WEIGHT, Phrase, phrase_settings
    from nemo_models.decoding.settings import resolve_decoding_config
    from nemo_models.decoding.strategy import frame_seconds

    config = model.cfg.decoding.copy()
    if config.strategy == "greedy_batch":
        config = resolve_decoding_config({"strategy": "beam_batch"})
    tree = config.beam.get("boosting_tree") or {}
    texts = list(tree.get("key_phrases_list") or [])
    kept = [Phrase(*pair) for pair in zip(texts, tree.get("phrase_weights") or [1.0] * len(texts), strict=True)]
    kept += [Phrase(text) for text in phrases if text not in texts]
    config.beam = OmegaConf.merge(config.beam, phrase_settings(kept, BOOSTING_WEIGHT if weight is None else weight))
    return CharacterCTCDecoding(config, list(model.decoder.vocabulary), frame_seconds(model))


def can_prefer_phrases(model: "EncDecCTCModel") -> bool:
    """Whether a model's search can prefer phrases: one over characters, greedy or `beam_batch`."""
    from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding

    return isinstance(model.decoding, CharacterCTCDecoding) and model.cfg.decoding.strategy != "pyctcdecode"

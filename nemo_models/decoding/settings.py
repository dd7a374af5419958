"""The settings of a decoder: the user's values merged with the defaults, checked and completed, in one place."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from nemo.collections.asr.parts.context_biasing import BoostingTreeModelConfig
from nemo.collections.asr.parts.submodules.ctc_decoding import CTCDecodingConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data_prep.arguments import require_choice, require_int, require_number
from data_prep.languages.language import DEFAULT_LANGUAGE
from nemo_models.decoding.phrase_boosting import BOOSTING_WEIGHT, phrase_settings, read_phrases

# NeMo's other strategies fail, or give wrong texts, with labels that are characters.
STRATEGIES = ("greedy_batch", "beam_batch", "pyctcdecode")
WORD_LM_SUFFIXES = (
    ".arpa",
    ".arpa.gz",
    ".bin",
    ".binary",
    ".klm",
)  # of a language model over words; every other one is over tokens
BEAM_SIZE = 16
# Swept (beam 8, α 0.3 … 1.0, β 0.5 … 2.5) on held-out synthesised speech, 120 utterances of each of two voices, with
# a tiny model at 23 % and 46 % CER and a 6-gram of 11,994 other sentences: WER 69.5 → 34.7 % and 93.9 → 62.0 %.
# α 0.5 … 1.0 with β 1.0 … 1.5 stays within 4 and 10 points of that. scripts/tune_decoding.py finds better ones.
LM_ALPHA = 0.7  # weight of the language model's natural-log score
LM_BETA = 1.0  # added for each character, against the language model's preference for short texts
NO_LM_BETA = 0.0  # NeMo's default of 1.0 writes vowel signs that nobody spoke where no language model prevents it
WORD_LM_DEFAULTS = {"beam_size": 100, "ngram_lm_alpha": 0.5, "beam_beta": 1.5}  # pyctcdecode's own; β is for each word
_PHRASE_WEIGHTS = "phrase_weights"  # this project's addition to NeMo's `beam.boosting_tree`


def resolve_decoding_config(
    ctc_decoding: Any = None,
    tuned: DictConfig | None = None,
    boosting: Mapping[str, Any] | DictConfig | None = None,
    labels: Sequence[str] = (),
    language: str = DEFAULT_LANGUAGE,
    letters: Mapping[str, str] | None = None,
) -> DictConfig:
    """Return the complete, checked settings of a decoder; see `strategy.configure_decoding`.

    Args:
        ctc_decoding: Any part of NeMo's `CTCDecodingConfig`, as a mapping or as that dataclass.
        tuned: The complete settings that a bundled language model was tuned with; `None` without such a model. They
            apply unless `ctc_decoding` names another strategy or language model.
        boosting: `phrases_file` and `weight` of phrases to prefer; `None`, or without `phrases_file`: none.
        labels: The model's labels, needed for `boosting`.
        language: Language of the phrases.
        letters: See `phrase_boosting.read_phrases`.

    Raises:
        FileNotFoundError: The file of phrases does not exist.
        ValueError: An unknown setting or a value out of range.
    """
    given = _to_plain(ctc_decoding)
    given_beam = given.pop("beam", None) or {}
    if not isinstance(given_beam, Mapping):
        raise ValueError(f"ctc_decoding.beam={given_beam}: expected settings; give ctc_decoding.beam.beam_size=16")
    beam = {key: value for key, value in given_beam.items() if value is not None}
    lm_path = beam.get("ngram_lm_model")
    strategy = _choose_strategy(given.pop("strategy", None), lm_path)
    if tuned is not None and lm_path is None and strategy in (None, tuned.strategy):
        base: dict[str, Any] = _to_plain(tuned)
    else:
        strategy = strategy or "greedy_batch"
        token_defaults = {"ngram_lm_alpha": LM_ALPHA, "beam_beta": NO_LM_BETA if lm_path is None else LM_BETA}
        defaults = WORD_LM_DEFAULTS if strategy == "pyctcdecode" else {"beam_size": BEAM_SIZE, **token_defaults}
        base = {"strategy": strategy, "beam": defaults}
    config = complete_decoding_config(OmegaConf.merge(base, given, {"beam": beam}))
    _check_values(config)
    if boosting is not None and boosting.get("phrases_file") is not None:
        _add_phrases(config, labels, boosting, language, letters)
    return config


def complete_decoding_config(given: Any, strict: bool = True) -> DictConfig:
    """Add NeMo's defaults to any part of its decoding settings.

    Args:
        given: A mapping, or NeMo's dataclass `CTCDecodingConfig`.
        strict: Refuse keys and types that NeMo's dataclass does not have; otherwise unknown keys are kept, as in a
            file that another version of NeMo wrote.

    Raises:
        ValueError: An unknown key, or a value of a wrong type.
    """
    plain = _to_plain(given)
    structured = OmegaConf.structured(CTCDecodingConfig)
    defaults: Any = OmegaConf.to_container(structured)
    if not strict:
        return DictConfig(OmegaConf.merge(defaults, plain))
    tree = plain.get("beam", {}).get("boosting_tree") if isinstance(plain.get("beam"), Mapping) else None
    weights = tree.pop(_PHRASE_WEIGHTS, None) if isinstance(tree, dict) else None
    _check_keys(plain, defaults, "ctc_decoding.")
    try:
        merged = OmegaConf.to_container(OmegaConf.merge(structured, plain))
    except OmegaConfBaseException as error:
        raise ValueError(f"ctc_decoding: {str(error).splitlines()[0]}") from error
    config = DictConfig(merged)
    if weights is not None:
        config.beam.boosting_tree[_PHRASE_WEIGHTS] = weights
    _refuse_greedy_fusion(config)
    return config


def _to_plain(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if is_dataclass(given):
        given = OmegaConf.structured(given)
    if not isinstance(given, Mapping | DictConfig):
        raise ValueError(f"ctc_decoding={given!r}: expected a mapping, or NeMo's CTCDecodingConfig")
    config = given if isinstance(given, DictConfig) else OmegaConf.create(dict(given))
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _check_keys(given: Mapping[str, Any], known: Mapping[str, Any], prefix: str) -> None:
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1)
            meant = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
            raise ValueError(f"{prefix}{key}={value}: expected a setting of NeMo's CTCDecodingConfig; {meant}")
        if isinstance(value, Mapping) and isinstance(known[key], Mapping):
            _check_keys(value, known[key], f"{prefix}{key}.")


def _choose_strategy(strategy: str | None, lm_path: str | None) -> str | None:
    """Choose the search by its name and that of a language model; `None` if neither is given."""
    strategy = "greedy_batch" if strategy == "greedy" else strategy  # NeMo's older name for the same texts
    if lm_path is None:
        return strategy
    if strategy == "greedy_batch":
        raise ValueError(
            f"ctc_decoding.strategy={strategy}: expected a beam search with ctc_decoding.beam.ngram_lm_model={lm_path};"
            " greedy decoding uses no language model: remove one of the two arguments"
        )
    return strategy or ("pyctcdecode" if str(lm_path).endswith(WORD_LM_SUFFIXES) else "beam_batch")


def _check_values(config: DictConfig) -> None:
    require_choice("ctc_decoding.strategy", config.strategy, STRATEGIES)
    beam = config.beam
    require_int("ctc_decoding.beam.beam_size", beam.beam_size, 1)
    for key in ("ngram_lm_alpha", "beam_beta", "beam_threshold"):
        require_number(f"ctc_decoding.beam.{key}", beam[key])
    if config.strategy == "pyctcdecode":
        if beam.ngram_lm_model is None:
            raise ValueError(
                "ctc_decoding.beam.ngram_lm_model=None: expected words.arpa with ctc_decoding.strategy=pyctcdecode; "
                "make one: python scripts/train_ngram_lm.py kind=word"
            )
    elif beam.ngram_lm_model is not None and Path(beam.ngram_lm_model).suffix != ".nemo":
        raise ValueError(
            f"ctc_decoding.beam.ngram_lm_model={beam.ngram_lm_model}: expected a .nemo file with "
            f"ctc_decoding.strategy={config.strategy}; make one: python scripts/train_ngram_lm.py"
        )


def _refuse_greedy_fusion(config: DictConfig) -> None:
    """Refuse what NeMo's greedy search can add to its scores: it needs a tokenizer, which characters do not have."""
    greedy = config.greedy
    if not BoostingTreeModelConfig.is_empty(greedy.boosting_tree):
        raise ValueError(
            "ctc_decoding.greedy.boosting_tree: expected no phrases, because greedy decoding does not use them; "
            "use ctc_decoding.strategy=beam_batch with boosting.phrases_file or ctc_decoding.beam.boosting_tree"
        )
    if greedy.ngram_lm_model is not None:
        raise ValueError(
            f"ctc_decoding.greedy.ngram_lm_model={greedy.ngram_lm_model}: expected no language model, because greedy "
            "decoding uses none; use ctc_decoding.beam.ngram_lm_model"
        )


def _add_phrases(
    config: DictConfig,
    labels: Sequence[str],
    boosting: Mapping[str, Any] | DictConfig,
    language: str,
    letters: Mapping[str, str] | None,
) -> None:
    weight = BOOSTING_WEIGHT if boosting.get("weight") is None else boosting["weight"]
    if config.strategy != "beam_batch":
        raise ValueError(
            f"boosting.phrases_file={boosting['phrases_file']}: expected ctc_decoding.strategy=beam_batch, found "
            f"{config.strategy}; choose that strategy, or remove the phrases"
        )
    require_number("boosting.weight", weight, above=0.0)
    phrases = read_phrases(Path(boosting["phrases_file"]), labels, language, letters)
    config.beam = OmegaConf.merge(config.beam, phrase_settings(phrases, weight))

"""Decoding of CTC log-probabilities as NeMo does it, made independent of the batch that an utterance is in.

`ctc_decoding` does the work. What is added here: the mask over padding, settings that are checked before anything is
decoded, defaults that suit a character model (NeMo's own `beam_beta` of 1.0 writes vowel signs that nobody spoke where
no language model holds it back), and one CPU thread for the beam search.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from nemo.collections.asr.models import EncDecCTCModel
from nemo.collections.asr.parts.submodules.ctc_decoding import CTCDecodingConfig
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding, complete_decoding_config
from nemo_models.decoding.lm_bundle import LM_KEY, is_bundled
from nemo_models.decoding.phrase_boosting import BOOSTING_WEIGHT, phrase_settings, read_phrases
from nemo_models.language_models.lm_file import check_lm_matches
from nemo_models.language_models.word_lm import check_word_lm

PADDED_LOG_PROB = -1e4  # natural log; "impossible" for a beam search, and still a finite float16
STRATEGIES = ("greedy_batch", "beam_batch", "pyctcdecode")
WORD_LM_SUFFIXES = (".arpa", ".arpa.gz")  # what names a language model over words; others are over tokens
BEAM_SIZE = 16
# Swept (beam 8, α 0.3 … 1.0, β 0.5 … 2.5) on held-out synthesised speech, 120 utterances of each of two voices, with
# a tiny model at 23 % and 46 % CER and a 6-gram of 11,994 other sentences: WER 69.5 → 34.7 % and 93.9 → 62.0 %.
# α 0.5 … 1.0 with β 1.0 … 1.5 stays within 4 and 10 points of that. Tune both together on the dev set at hand.
LM_ALPHA = 0.7  # weight of the language model's natural-log score
LM_BETA = 1.0  # added for each character, against the language model's pull towards short texts
NO_LM_BETA = 0.0
WORD_LM_DEFAULTS = {"beam_size": 100, "ngram_lm_alpha": 0.5, "beam_beta": 1.5}  # pyctcdecode's own; β is for each word


def mask_log_probs(log_probs: torch.Tensor, lengths: torch.Tensor, blank_id: int) -> torch.Tensor:
    """Make every frame beyond an utterance's length a certain blank.

    NeMo's `beam_batch` goes on extending hypotheses on padded frames, so that without this mask an utterance's text
    depends on the longest utterance beside it. A certain blank extends nothing and adds 0 to a score.

    Args:
        log_probs: (B, T, V+1) float, natural log-probabilities.
        lengths: (B,) integer, valid frames of each utterance, 0 … T.
        blank_id: Index of the blank in the last dimension.

    Returns:
        (B, T, V+1), same dtype: blank 0 and every other label `PADDED_LOG_PROB` where `t >= lengths[b]`, unchanged
        elsewhere. The input is not written to.
    """
    frames = torch.arange(log_probs.shape[1], device=log_probs.device)
    is_padding = frames[None, :] >= lengths.to(log_probs.device)[:, None]
    certain_blank = torch.full_like(log_probs[:1, :1], PADDED_LOG_PROB)
    certain_blank[..., blank_id] = 0.0
    return torch.where(is_padding[..., None], certain_blank, log_probs)


def configure_decoding(
    model: EncDecCTCModel,
    ctc_decoding: Mapping[str, Any] | DictConfig | None = None,
    boosting: Mapping[str, Any] | DictConfig | None = None,
) -> None:
    """Set a model's decoder through NeMo's `change_decoding_strategy`, with checked settings.

    Args:
        model: A CTC model over characters.
        ctc_decoding: NeMo's `CTCDecodingConfig`, any part of it. `strategy` is one of `STRATEGIES` (`greedy` stands
            for `greedy_batch`); `None` is the search that goes with `beam.ngram_lm_model`, where that is given, else
            what the model carries: its tuned beam search, where a language model is bundled with it, else greedy.
            `None` for `beam.beam_size`, `beam.ngram_lm_alpha` or `beam.beam_beta` takes this module's default (with a
            language model `LM_ALPHA` and `LM_BETA`, without one 0 for each character; `WORD_LM_DEFAULTS` for
            pyctcdecode).
        boosting: `phrases_file` (see `phrase_boosting.read_phrases`) and `weight`, of phrases that `beam_batch` is to
            prefer; `None`, or without `phrases_file`: none.

    Raises:
        FileNotFoundError: The language model or the file of phrases is not there.
        ValueError: An unknown setting, a value that cannot be, or a language model or phrase that does not fit the
            model.
    """
    config = resolve_decoding_config(_on_bundle(model, ctc_decoding))
    labels, lm_path = list(model.decoder.vocabulary), config.beam.ngram_lm_model
    if config.strategy != "greedy_batch" and lm_path is not None:
        fingerprint = model.cfg.get("normalizer_fingerprint") or NORMALIZER_FINGERPRINT
        check = check_word_lm if config.strategy == "pyctcdecode" else check_lm_matches
        check(Path(lm_path), labels, fingerprint)
    if boosting is not None and boosting.get("phrases_file") is not None:
        config = _with_phrases(config, labels, boosting)
    if type(model).change_decoding_strategy is EncDecCTCModel.change_decoding_strategy:  # NeMo's model over characters
        frame_s = model.cfg.preprocessor.window_stride * model.encoder.subsampling_factor
        model.decoding = CharacterCTCDecoding(config, labels, frame_s)
        with open_dict(model.cfg):
            model.cfg.decoding = config
    else:
        model.change_decoding_strategy(config, verbose=False)


def resolve_decoding_config(ctc_decoding: Mapping[str, Any] | DictConfig | None) -> DictConfig:
    """Complete NeMo's decoding settings with defaults and check them; see `configure_decoding`.

    Raises:
        ValueError: An unknown setting or a value that cannot be.
    """
    given = ctc_decoding.copy() if isinstance(ctc_decoding, DictConfig) else OmegaConf.create(dict(ctc_decoding or {}))
    beam = given.get("beam") or {}
    if not isinstance(beam, DictConfig | dict):
        raise ValueError(f"ctc_decoding.beam is {beam}, expected settings such as ctc_decoding.beam.beam_size=16")
    has_lm = beam.get("ngram_lm_model") is not None
    token_defaults = {"ngram_lm_alpha": LM_ALPHA, "beam_beta": LM_BETA if has_lm else NO_LM_BETA}
    by_words = given.get("strategy") == "pyctcdecode"
    defaults = WORD_LM_DEFAULTS if by_words else {"beam_size": BEAM_SIZE, **token_defaults}
    given.beam = {**beam, **{key: value for key, value in defaults.items() if beam.get(key) is None}}
    try:
        config = OmegaConf.merge(OmegaConf.structured(CTCDecodingConfig), given)
    except OmegaConfBaseException as error:
        raise ValueError(f"ctc_decoding: {str(error).splitlines()[0]}") from error
    assert isinstance(config, DictConfig)
    _check_settings(config)
    return config


def _with_phrases(config: DictConfig, labels: Sequence[str], boosting: Mapping[str, Any] | DictConfig) -> DictConfig:
    weight = BOOSTING_WEIGHT if boosting.get("weight") is None else boosting["weight"]
    if config.strategy != "beam_batch":
        raise ValueError(f"boosting.phrases_file needs ctc_decoding.strategy=beam_batch, found {config.strategy}")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        raise ValueError(f"boosting.weight is {weight}, expected a number above 0")
    phrases = read_phrases(Path(boosting["phrases_file"]), labels)
    config = complete_decoding_config(config)  # open for a key of ours
    config.beam = OmegaConf.merge(config.beam, phrase_settings(phrases, weight))
    return config


def decode_log_probs(
    model: EncDecCTCModel,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    timestamps: bool = False,
    confidence: bool = False,
) -> list[Hypothesis]:
    """Decode a batch with the model's present strategy.

    Args:
        model: A CTC model; over characters where times or confidence are wanted.
        log_probs: (B, T, V+1) float, natural log-probabilities, blank last.
        lengths: (B,) integer, valid frames of each.
        timestamps: Fill `timestamp["char"]`, `["word"]` and `["segment"]`: what, `start_offset` and `end_offset`
            (frames, the end not included), `start` and `end` (s).
        confidence: Fill `frame_confidence`, `token_confidence` (of characters) and `word_confidence`, 0 … 1.

    Returns:
        B of NeMo's hypotheses (`text`, `score`, `y_sequence`), the best of each utterance. Each is the same whatever
        else is in the batch.

    Raises:
        ValueError: Times or confidence of a model over subwords.
    """
    if isinstance(model.decoding, CharacterCTCDecoding):
        return [hypotheses[0] for hypotheses in _decode(model, log_probs, lengths, False, timestamps, confidence)]
    if timestamps or confidence:
        raise ValueError(f"{_name(model)}: times and confidence need a model over characters, not subwords")
    with torch.inference_mode(), _search_threads(model, log_probs):
        masked = mask_log_probs(log_probs.float(), lengths, blank_id=log_probs.shape[-1] - 1)
        return model.decoding.ctc_decoder_predictions_tensor(masked, lengths, return_hypotheses=True)


def decode_n_best(
    model: EncDecCTCModel,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    timestamps: bool = False,
    confidence: bool = False,
) -> list[list[Hypothesis]]:
    """As `decode_log_probs`, with all hypotheses of the beam for each utterance: best first, no text twice.

    A greedy search has one.
    """
    if not isinstance(model.decoding, CharacterCTCDecoding):
        raise ValueError(f"{_name(model)}: an n-best list needs a model over characters, not subwords")
    return _decode(model, log_probs, lengths, True, timestamps, confidence)


def _decode(
    model: EncDecCTCModel, log_probs: torch.Tensor, lengths: torch.Tensor, *wanted: bool
) -> list[list[Hypothesis]]:
    with torch.inference_mode(), _search_threads(model, log_probs):
        masked = mask_log_probs(log_probs.float(), lengths, blank_id=log_probs.shape[-1] - 1)
        return model.decoding.decode(masked, lengths, *wanted)


def _search_threads(model: EncDecCTCModel, log_probs: torch.Tensor) -> AbstractContextManager[None]:
    return one_cpu_thread(model.cfg.decoding.strategy == "beam_batch" and log_probs.device.type == "cpu")


def _name(model: EncDecCTCModel) -> str:
    return type(model).__name__


@contextmanager
def one_cpu_thread(enabled: bool = True) -> Iterator[None]:
    """Let torch use one CPU thread inside the block.

    The beam search is thousands of operations on tiny tensors. With several threads each of them waits for the others,
    which made it 4 to 30 times slower than with one.
    """
    threads = torch.get_num_threads()
    if enabled:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _on_bundle(model: EncDecCTCModel, ctc_decoding: Mapping[str, Any] | DictConfig | None) -> DictConfig:
    """Lay settings over those that a bundled language model was tuned with, if the model has one and they mean it."""
    given = OmegaConf.create(ctc_decoding if isinstance(ctc_decoding, DictConfig) else dict(ctc_decoding or {}))
    beam = given.get("beam")
    if isinstance(beam, DictConfig):  # a key without a value is one that was not given
        given.beam = {key: value for key, value in beam.items() if value is not None}
    named_lm = beam.get("ngram_lm_model") if isinstance(beam, DictConfig) else None
    strategy = _choose_strategy(given.pop("strategy", None), named_lm)
    bundled = model.cfg.decoding.strategy if is_bundled(OmegaConf.select(model.cfg, LM_KEY)) else None
    if bundled is not None and strategy in (None, bundled) and named_lm is None:
        return DictConfig(OmegaConf.merge(OmegaConf.create(OmegaConf.to_container(model.cfg.decoding)), given))
    return DictConfig(OmegaConf.merge(given, {"strategy": strategy or "greedy_batch"}))


def _choose_strategy(strategy: str | None, named_lm: str | None) -> str | None:
    """Settle which search is meant by its name and that of a language model; `None`: none is."""
    strategy = "greedy_batch" if strategy == "greedy" else strategy  # NeMo's other name of the same texts
    if named_lm is None:
        return strategy
    if strategy == "greedy_batch":
        raise ValueError(
            f"ctc_decoding.strategy={strategy} has no use for ctc_decoding.beam.ngram_lm_model={named_lm}; leave one "
            "of the two away"
        )
    return strategy or ("pyctcdecode" if str(named_lm).endswith(WORD_LM_SUFFIXES) else "beam_batch")


def _check_settings(config: DictConfig) -> None:
    if config.strategy not in STRATEGIES:
        raise ValueError(
            f"ctc_decoding.strategy is {config.strategy}, expected one of {', '.join(STRATEGIES)} "
            "(NeMo's other strategies fail or go wrong with character models)"
        )
    beam = config.beam
    if beam.beam_size < 1:
        raise ValueError(f"ctc_decoding.beam.beam_size is {beam.beam_size}, expected 1 or more")
    for key in ("ngram_lm_alpha", "beam_beta", "beam_threshold"):
        if not math.isfinite(beam[key]):
            raise ValueError(f"ctc_decoding.beam.{key} is {beam[key]}, expected a finite number")
    if config.strategy == "pyctcdecode":
        if beam.ngram_lm_model is None:
            raise ValueError(
                "ctc_decoding.strategy=pyctcdecode needs ctc_decoding.beam.ngram_lm_model=words.arpa, made by "
                "scripts/train_ngram_lm.py kind=word"
            )
    elif beam.ngram_lm_model is not None and Path(beam.ngram_lm_model).suffix != ".nemo":
        raise ValueError(
            f"ctc_decoding.beam.ngram_lm_model is {beam.ngram_lm_model}, expected a .nemo file "
            "made by scripts/train_ngram_lm.py"
        )

"""Decoding of CTC log-probabilities with NeMo's searches, so that no text depends on its batch.

`ctc_decoding` does the work, `settings` completes the settings. This module adds the mask over padding, and the checks
of a language model against the model that it is used with.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from nemo.collections.asr.models import EncDecCTCModel
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis
from omegaconf import DictConfig, OmegaConf, open_dict

from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.union import is_several
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT, fingerprint_language
from nemo_models.decoding.ctc_decoding import PADDED_LOG_PROB, CharacterCTCDecoding
from nemo_models.decoding.lm_bundle import LM_KEY, is_bundled
from nemo_models.decoding.settings import resolve_decoding_config
from nemo_models.evaluation.calibration import CALIBRATION_KEY, Calibration
from nemo_models.files.model_language import FINGERPRINT_KEY, choose_language, read_languages, read_letters
from nemo_models.language_models.lm_file import check_lm_matches
from nemo_models.language_models.word_lm import check_word_lm


def mask_log_probs(log_probs: torch.Tensor, lengths: torch.Tensor, blank_id: int) -> torch.Tensor:
    """Make every frame beyond an utterance's length a certain blank.

    NeMo's `beam_batch` goes on extending hypotheses on padded frames. Without this mask, an utterance's text depends on
    the longest utterance of its batch. A certain blank extends nothing and adds 0 to a score.

    Args:
        log_probs: (B, T, V+1) float, natural log-probabilities.
        lengths: (B,) integer, valid frames of each utterance, 0 … T.
        blank_id: Index of the blank in the last dimension.

    Returns:
        (B, T, V+1), same dtype: blank 0 and every other label `PADDED_LOG_PROB` where `t >= lengths[b]`, unchanged
        elsewhere. The input is not modified.
    """
    frames = torch.arange(log_probs.shape[1], device=log_probs.device)
    is_padding = frames[None, :] >= lengths.to(log_probs.device)[:, None]
    return torch.where(is_padding[..., None], certain_blank(log_probs, blank_id), log_probs)


def pad_log_probs(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Put log-probabilities of several lengths into one masked batch; see `mask_log_probs`.

    Args:
        rows: (T, V+1) float each, natural log-probabilities, blank last; at least one.

    Returns:
        (B, T, V+1) float32, and the (B,) int64 valid frames of each.
    """
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    labels = rows[0].shape[-1]
    blank = certain_blank(rows[0].float(), labels - 1)
    batch = blank.expand(len(rows), int(max(map(len, rows))), labels).clone()
    for padded, row in zip(batch, rows, strict=True):
        padded[: len(row)] = row
    return batch, lengths


def certain_blank(log_probs: torch.Tensor, blank_id: int) -> torch.Tensor:
    """Return one frame, (V+1,), that is certain to be blank, of the type and on the device of `log_probs`."""
    frame = log_probs.new_full((log_probs.shape[-1],), PADDED_LOG_PROB)
    frame[blank_id] = 0.0
    return frame


def frame_seconds(model: EncDecCTCModel) -> float:
    """Return the seconds from one frame of a model's log-probabilities to the next."""
    return float(model.cfg.preprocessor.window_stride) * getattr(model.encoder, "subsampling_factor", 1)


def configure_decoding(
    model: EncDecCTCModel,
    ctc_decoding: Mapping[str, Any] | DictConfig | None = None,
    boosting: Mapping[str, Any] | DictConfig | None = None,
    language: str | None = None,
) -> None:
    """Set a model's decoder, with checked settings and this project's defaults.

    Args:
        model: A CTC model over characters.
        ctc_decoding: Any part of NeMo's `CTCDecodingConfig`. `strategy` is one of `settings.STRATEGIES` (`greedy` is
            another name of `greedy_batch`). `None` chooses the search that suits `beam.ngram_lm_model`, if that is
            given, else the model's own: its tuned beam search, if a language model is bundled with it, else greedy.
            `None` for `beam.beam_size`, `beam.ngram_lm_alpha` or `beam.beam_beta` takes the defaults of `settings`.
        boosting: `phrases_file` (see `phrase_boosting.read_phrases`) and `weight`, of phrases that `beam_batch`
            prefers; `None`, or without `phrases_file`: none.
        language: The language of a model that has several; language model and phrases are of that language.

    Raises:
        FileNotFoundError: The language model or the file of phrases does not exist.
        ValueError: An unknown setting, a value out of range, or a language model or phrase that does not fit the
            model.
    """
    tuned = model.cfg.decoding if is_bundled(OmegaConf.select(model.cfg, LM_KEY)) else None
    labels = list(model.decoder.vocabulary)
    has_phrases = boosting is not None and boosting.get("phrases_file") is not None
    fingerprint = model.cfg.get(FINGERPRINT_KEY)
    chosen = choose_language(language, fingerprint, "the model") if has_phrases or language else DEFAULT_LANGUAGE
    if has_phrases and boosting is not None:
        _require_one_language(f"boosting.phrases_file={boosting['phrases_file']}", chosen)
    letters = read_letters(model.cfg, load_language(chosen).code) if has_phrases else None
    config = resolve_decoding_config(ctc_decoding, tuned, boosting, labels, chosen, letters)
    lm_path = config.beam.ngram_lm_model
    if config.strategy != "greedy_batch" and lm_path is not None:
        fingerprint = fingerprint or NORMALIZER_FINGERPRINT
        if len(read_languages(fingerprint)) > 1:
            _require_one_language(f"ctc_decoding.beam.ngram_lm_model={lm_path}", language or fingerprint)
            fingerprint = fingerprint_language(chosen)
        check = check_word_lm if config.strategy == "pyctcdecode" else check_lm_matches
        check(Path(lm_path), labels, fingerprint)
    if hasattr(model, "use_decoding"):
        model.use_decoding(config)
    else:  # NeMo's own model over characters
        model.decoding = CharacterCTCDecoding(config, labels, frame_seconds(model))
        with open_dict(model.cfg):
            model.cfg.decoding = config


def _require_one_language(setting: str, language: str) -> None:
    if is_several(language):
        known = ", ".join(read_languages(language))
        raise ValueError(f"{setting}: expected language=… with a model of {known}, for it is of one; choose one")


def decode_log_probs(
    model: EncDecCTCModel,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    timestamps: bool = False,
    confidence: bool = False,
) -> list[Hypothesis]:
    """Decode a batch with the model's current strategy.

    Args:
        model: A CTC model; over characters where times or confidence are asked for.
        log_probs: (B, T, V+1) float, natural log-probabilities, blank last.
        lengths: (B,) integer, valid frames of each.
        timestamps: Fill `timestamp["char"]`, `["word"]` and `["segment"]`: what, `start_offset` and `end_offset`
            (frames, the end not included), `start` and `end` (s).
        confidence: Fill `frame_confidence`, `token_confidence` (of characters) and `word_confidence`, 0 … 1. A model
            with a map for confidences (`confidence_calibration`) applies it to those of words.

    Returns:
        B of NeMo's hypotheses (`text`, `score`, `y_sequence`), the best of each utterance. None of them depends on the
        rest of the batch.

    Raises:
        ValueError: Times or confidence of a model over subwords.
    """
    if isinstance(model.decoding, CharacterCTCDecoding):
        masked = mask_log_probs(log_probs.float(), lengths, blank_id=log_probs.shape[-1] - 1)
        return [beam[0] for beam in decode_masked(model, masked, lengths, False, timestamps, confidence)]
    if timestamps or confidence:
        raise ValueError(f"{_name(model)}: expected a model over characters for times and confidence, found subwords")
    with torch.inference_mode(), one_cpu_thread(log_probs.device.type == "cpu"):
        masked = mask_log_probs(log_probs.float(), lengths, blank_id=log_probs.shape[-1] - 1)
        return model.decoding.ctc_decoder_predictions_tensor(masked, lengths, return_hypotheses=True)


def decode_n_best(
    model: EncDecCTCModel,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    timestamps: bool = False,
    confidence: bool = False,
) -> list[list[Hypothesis]]:
    """Decode a batch as `decode_log_probs` does, and return all hypotheses of each beam: best first, no text twice.

    A greedy search has one.
    """
    masked = mask_log_probs(log_probs.float(), lengths, blank_id=log_probs.shape[-1] - 1)
    return decode_masked(model, masked, lengths, True, timestamps, confidence)


def decode_masked(
    model: EncDecCTCModel,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    n_best: bool = False,
    timestamps: bool = False,
    confidence: bool = False,
) -> list[list[Hypothesis]]:
    """Decode a batch whose padding is masked already, see `CharacterCTCDecoding.decode`.

    Raises:
        ValueError: The model's labels are subwords.
    """
    if not isinstance(model.decoding, CharacterCTCDecoding):
        raise ValueError(f"{_name(model)}: expected a model over characters for an n-best list, found subwords")
    with torch.inference_mode():
        decoded = model.decoding.decode(log_probs, lengths, n_best, timestamps, confidence)
    if confidence and model.cfg.get(CALIBRATION_KEY):
        calibration = Calibration.from_dict(dict(model.cfg[CALIBRATION_KEY]))
        for hypothesis in (hypothesis for beam in decoded for hypothesis in beam):
            hypothesis.word_confidence = calibration.apply(hypothesis.word_confidence).tolist()
    return decoded


def _name(model: EncDecCTCModel) -> str:
    return type(model).__name__


@contextmanager
def one_cpu_thread(enabled: bool = True) -> Iterator[None]:
    """Make torch use one CPU thread inside the block.

    NeMo's beam search is thousands of operations on tiny tensors. With several threads each of them waits for the
    others, which made it 4 to 30 times slower than with one. The compiled search does not need this.
    """
    if not enabled:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

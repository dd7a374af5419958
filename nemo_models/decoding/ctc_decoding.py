"""NeMo's decoding of character labels, with times, confidence and n-best lists for every search.

For models with character labels, the results of NeMo 3.0.0 are incomplete: `beam_batch` refuses timestamps, word
confidence fails, a repeated character ends before it began, and an n-best list may have the same text twice. Here
NeMo's search (or a faster one with the same results) finds the labels only. Times, confidence and n-best lists are
computed from the labels and the utterance's log-probabilities, so they have the same meaning for every search and do
not depend on the batch.
"""

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nemo.collections.asr.parts.context_biasing import BoostingTreeModelConfig
from nemo.collections.asr.parts.submodules.ctc_batched_beam_decoding import BatchedBeamCTCComputer
from nemo.collections.asr.parts.submodules.ctc_decoding import CTCDecoding
from nemo.collections.asr.parts.submodules.ctc_greedy_decoding import GreedyBatchedCTCInfer, GreedyCTCInfer
from nemo.collections.asr.parts.utils.asr_confidence_utils import ConfidenceMethodMixin
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis, NBestHypotheses
from nemo.collections.asr.parts.utils.timestamp_utils import get_segment_offsets
from omegaconf import DictConfig

from nemo_models.decoding.alignment import align_tokens
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.confidence import agreement, weigh
from nemo_models.decoding.phrase_boosting import build_boosting_tree
from nemo_models.language_models.labels import find_special_tokens

BEAM_BESIDE_GREEDY = 16  # hypotheses that give a greedy search its confidence
PADDED_LOG_PROB = -1e4  # natural log: a beam search never takes such a label, and float16 can hold it
_GPU_SEARCH = threading.RLock()  # NeMo's search keeps its state, and CUDA graphs, from call to call


class CharacterCTCDecoding(ConfidenceMethodMixin, CTCDecoding):
    """NeMo's `CTCDecoding` for labels that are characters, or of several letters ("त्र").

    It takes NeMo's settings and answers NeMo's calls, with these differences:

    - Every search works on label indices. Beam searches never write special tokens (`<s>`, `<unk>`, …); greedy search
      writes what the imported checkpoint itself would.
    - `frame_confidence` is NeMo's measure (`confidence_cfg.method_cfg`). The confidence of characters and words is the
      share of the beam that agrees (see `confidence`); `confidence_cfg.aggregation` has no effect.
    - A text is its labels joined, without spaces at its ends, as in transformers. No space is removed before a
      punctuation mark.
    - There are settings beyond NeMo's: `beam.boosting_tree.phrase_weights` (see `phrase_boosting`), and
      `strategy=pyctcdecode` takes an ARPA over words.
    """

    decoding: Any  # the search

    def __init__(self, config: DictConfig, vocabulary: Sequence[str], frame_s: float):
        """Build the search.

        Args:
            config: NeMo's `CTCDecodingConfig`, complete; see `settings.complete_decoding_config`.
            vocabulary: Labels in order, without the blank.
            frame_s: Seconds from one frame of log-probabilities to the next.
        """
        search = config.copy()
        search.compute_timestamps = None  # NeMo's own timestamps, which `beam_batch` refuses
        search.beam.boosting_tree = {}  # NeMo's own boosting, which needs a tokenizer
        super().__init__(search, list(vocabulary))
        self._init_confidence_method(config.confidence_cfg.method_cfg)
        self.cfg = config
        self.frame_s = frame_s
        self.compute_timestamps = bool(config.get("compute_timestamps"))
        self.supported_punctuation = None
        self._special = find_special_tokens(self.vocabulary)
        wanted = config.get("ctc_timestamp_type", "all")
        self.timestamp_types = ("char", "word", "segment") if wanted == "all" else (wanted,)
        if config.strategy == "beam_batch":
            self.decoding.search_algorithm = CompiledBeamCTCComputer.replacing(self.decoding.search_algorithm)
            self._boost_phrases(config.beam)
        elif config.strategy == "pyctcdecode":
            self.decoding = _build_word_lm_search(self.vocabulary, config.beam)

    def _boost_phrases(self, beam: DictConfig) -> None:
        if not BoostingTreeModelConfig.is_empty(beam.boosting_tree):
            search = self.decoding.search_algorithm
            tree = build_boosting_tree(beam.boosting_tree, self.vocabulary)
            search.fusion_models = [*(search.fusion_models or []), tree]
            search.fusion_models_alpha = [*(search.fusion_models_alpha or []), beam.boosting_tree_alpha]

    @property
    def returns_n_best(self) -> bool:
        """Whether NeMo's calls are answered with a list of hypotheses for each utterance."""
        return self.searches_beam and not self.cfg.beam.get("return_best_hypothesis", True)

    @property
    def searches_beam(self) -> bool:
        """Whether the search keeps more than one hypothesis."""
        return not self.cfg.strategy.startswith("greedy")

    def ctc_decoder_predictions_tensor(
        self,
        decoder_outputs: torch.Tensor,
        decoder_lengths: torch.Tensor | None = None,
        fold_consecutive: bool = True,
        return_hypotheses: bool = False,
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """Overrides NeMo's method: the hypotheses are those of `decode`.

        Args:
            decoder_outputs: (B, T, V+1) float, natural log-probabilities, frames of padding masked; or (B, T) integer,
                labels, for texts alone.
            decoder_lengths: (B,) integer, valid frames of each.
            fold_consecutive: For labels: whether repeated ones are one character.
            return_hypotheses: Whether to fill in more than text and score.

        Returns:
            One hypothesis for each utterance, or with `beam.return_best_hypothesis=false` a list of them, best first.
        """
        if decoder_outputs.ndim == 2:
            return super().ctc_decoder_predictions_tensor(decoder_outputs, decoder_lengths, fold_consecutive)
        if decoder_lengths is None:
            decoder_lengths = torch.full((len(decoder_outputs),), decoder_outputs.shape[1])
        timestamps = return_hypotheses and self.compute_timestamps
        confidence = return_hypotheses and self.preserve_frame_confidence
        found = self.decode(decoder_outputs, decoder_lengths, self.returns_n_best, timestamps, confidence)
        if not return_hypotheses:
            found = [[Hypothesis(hyp.score, hyp.y_sequence, hyp.text) for hyp in hyps] for hyps in found]
        return found if self.returns_n_best else [hyps[0] for hyps in found]

    def decode(
        self,
        log_probs: torch.Tensor,
        lengths: torch.Tensor,
        n_best: bool = False,
        timestamps: bool = False,
        confidence: bool = False,
    ) -> list[list[Hypothesis]]:
        """Search a batch, and compute what else is asked for about the hypotheses found.

        Args:
            log_probs: (B, T, V+1) float, natural log-probabilities, frames of padding masked (`mask_log_probs`).
            lengths: (B,) integer, valid frames of each.
            n_best: Return all hypotheses of the beam, no text twice; otherwise only the best.
            timestamps: Fill `timestamp` ("char", "word", "segment").
            confidence: Fill `frame_confidence`, `token_confidence` and `word_confidence`.

        Returns:
            For each utterance its hypotheses, best first, at least one.
        """
        log_probs = log_probs.float()
        if self._special and self.searches_beam:
            special = torch.tensor(self._special, device=log_probs.device)
            log_probs = log_probs.index_fill(-1, special, PADDED_LOG_PROB)
        search = getattr(self.decoding, "search_algorithm", self.decoding)
        found = self._search(search, log_probs, lengths, n_best or (confidence and self.searches_beam))
        beams = found
        if confidence and not self.searches_beam:
            beams = self._search(self._search_beside_greedy, log_probs, lengths, True)
        found = [_without_repeats(hypotheses) if n_best else hypotheses[:1] for hypotheses in found]
        if timestamps or confidence:
            for hypotheses, beam, row, length in zip(found, beams, log_probs.cpu(), lengths.tolist(), strict=True):
                if confidence:
                    self._fill_confidence(hypotheses, beam, row[:length])
                if timestamps:
                    for hypothesis in hypotheses:
                        hypothesis.timestamp = self._timestamps(hypothesis, row[:length])
        return found

    def decode_ids_to_str(self, tokens: list[int]) -> str:
        """Overrides NeMo's method: removes the spaces at the ends."""
        return super().decode_ids_to_str(tokens).strip()

    def _search(
        self, search: Any, log_probs: torch.Tensor, lengths: torch.Tensor, n_best: bool
    ) -> list[list[Hypothesis]]:
        with torch.inference_mode(), nullcontext() if log_probs.device.type == "cpu" else _GPU_SEARCH:
            if isinstance(search, BatchedBeamCTCComputer):  # asked here, not through NeMo's wrapper, for thread safety
                result = search(log_probs, lengths)
                found = result.to_nbest_hyps_list(score_norm=False) if n_best else result.to_hyps_list(score_norm=False)
            else:
                (found,) = search(decoder_output=log_probs, decoder_lengths=lengths)
        hypotheses = found[: len(log_probs)]  # NeMo's CUDA graphs may return rows beyond the batch
        beams = (hyp.n_best_hypotheses if isinstance(hyp, NBestHypotheses) else [hyp] for hyp in hypotheses)
        by_frame = isinstance(search, GreedyCTCInfer | GreedyBatchedCTCInfer)
        return [self._distinct(beam, by_frame) for beam in beams]

    @cached_property
    def _search_beside_greedy(self) -> CompiledBeamCTCComputer:
        """A beam search whose best hypothesis is the greedy one, for it has no language model."""
        return CompiledBeamCTCComputer(self.blank_id, BEAM_BESIDE_GREEDY)

    @cached_property
    def _segment_ends(self) -> list[str]:
        """The marks that end a segment, as a plain list: OmegaConf's takes longer than all else about times."""
        return list(self.segment_seperators)

    def _distinct(self, hypotheses: list[Hypothesis], by_frame: bool) -> list[Hypothesis]:
        """Fill in tokens and text of each hypothesis, and keep the best of those with the same tokens.

        Args:
            hypotheses: The search's result, best first.
            by_frame: Whether a hypothesis has a label for each frame (NeMo's greedy search), or the labels of its text.
        """
        best: dict[tuple[int, ...], Hypothesis] = {}
        for hypothesis in hypotheses:
            labels = np.asarray(hypothesis.y_sequence, dtype=np.int64)
            if by_frame:
                labels = labels[np.diff(labels, prepend=self.blank_id) != 0]
            hypothesis.tokens = labels[labels != self.blank_id].tolist()
            hypothesis.text = self.decode_ids_to_str(hypothesis.tokens)
            best.setdefault(tuple(hypothesis.tokens), hypothesis)
        return list(best.values())

    def _fill_confidence(self, hypotheses: list[Hypothesis], beam: list[Hypothesis], log_probs: torch.Tensor) -> None:
        shares = weigh([hypothesis.score for hypothesis in beam])
        tokens = [hypothesis.tokens for hypothesis in beam]
        words = [self._words(hypothesis) for hypothesis in beam]
        frames = self._get_confidence_tensor(log_probs).clamp(0, 1).tolist()
        for hypothesis in hypotheses:
            hypothesis.frame_confidence = frames
            inside = self._without_edges(hypothesis.tokens)
            hypothesis.token_confidence = agreement(hypothesis.tokens, tokens, shares)[inside]
            hypothesis.word_confidence = agreement(self._words(hypothesis), words, shares)

    def _words(self, hypothesis: Hypothesis) -> list[str]:
        return [word for word in hypothesis.text.split(self.word_seperator) if word]

    def _without_edges(self, tokens: Sequence[int]) -> slice:
        """Return where the text is among the tokens: all but the spaces at its ends."""
        written = [index for index, text in enumerate(self.decode_ids_to_tokens(list(tokens))) if text.strip()]
        return slice(written[0], written[-1] + 1) if written else slice(0)

    def _timestamps(self, hypothesis: Hypothesis, log_probs: torch.Tensor) -> dict[str, Any]:
        inside = self._without_edges(hypothesis.tokens)
        spans = align_tokens(log_probs.numpy(), hypothesis.tokens).tolist()[inside]
        characters = self.decode_ids_to_tokens(hypothesis.tokens)[inside]
        times = {"char": [self._time("char", text, *span) for text, span in zip(characters, spans, strict=True)]}
        times["word"] = [
            self._time("word", "".join(characters[first:last]), spans[first][0], spans[last - 1][1])
            for first, last in _find_words(characters, self.word_seperator)
        ]
        times["segment"] = get_segment_offsets(
            times["word"], self._segment_ends, segment_gap_threshold=self.segment_gap_threshold
        )
        return {"timestep": hypothesis.timestamp, **{kind: times[kind] for kind in self.timestamp_types}}

    def _time(self, kind: str, text: str, start: int, end: int) -> dict[str, Any]:
        """Return a time in NeMo's form: frames from `start_offset` up to, not including, `end_offset`, and seconds."""
        seconds = {"start": round(start * self.frame_s, 6), "end": round(end * self.frame_s, 6)}
        return {kind: text, "start_offset": start, "end_offset": end, **seconds}


def _build_word_lm_search(labels: Sequence[str], beam: DictConfig) -> Any:
    try:
        from nemo_models.decoding.word_lm_search import WordLMSearch  # pyctcdecode is missing after plain pip install
    except ImportError as error:
        raise ValueError(f"ctc_decoding.strategy=pyctcdecode: {error}; install it: make setup") from error
    path = Path(beam.ngram_lm_model)
    return WordLMSearch(labels, path, beam.beam_size, beam.ngram_lm_alpha, beam.beam_beta, beam.pyctcdecode_cfg)


def _without_repeats(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Keep the first hypothesis of each text; their tokens may differ in spaces at the ends."""
    best: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        best.setdefault(hypothesis.text, hypothesis)
    return list(best.values())


def _find_words(characters: Sequence[str], separator: str) -> list[tuple[int, int]]:
    """Return for each word the index of its first character, and the index after its last."""
    words, first = [], None
    for index, character in enumerate([*characters, separator]):
        if character != separator and first is None:
            first = index
        elif character == separator and first is not None:
            words.append((first, index))
            first = None
    return words

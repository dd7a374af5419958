"""NeMo's decoding of character labels, with times, confidence and n-best lists for every way to search.

NeMo 3.0.0 searches well but finishes badly where labels are characters: `beam_batch` refuses timestamps, word
confidence fails, a repeated character ends before it began, and the same text comes twice in an n-best list. Here NeMo
(or a search that stands in for it) finds the labels, and everything else about a hypothesis follows from them and the
utterance's own log-probabilities. So it is the same for every search, and independent of the batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from nemo.collections.asr.parts.submodules.ctc_decoding import CTCDecoding, CTCDecodingConfig
from nemo.collections.asr.parts.utils.asr_confidence_utils import ConfidenceMethodMixin
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis, NBestHypotheses
from nemo.collections.asr.parts.utils.timestamp_utils import get_segment_offsets
from omegaconf import DictConfig, OmegaConf

from nemo_models.ctc_alignment import align_tokens


class CharacterCTCDecoding(ConfidenceMethodMixin, CTCDecoding):
    """NeMo's `CTCDecoding` where labels are characters.

    It takes NeMo's settings and answers NeMo's calls. Of `confidence_cfg` it follows `preserve_*`, `method_cfg` and
    `aggregation`; blanks are never part of a confidence (`exclude_blank`). Text is the labels as they were found: no
    space is taken from before a punctuation mark.
    """

    def __init__(self, decoding_cfg: Mapping[str, Any] | DictConfig, vocabulary: Sequence[str], frame_s: float):
        """Build the search.

        Args:
            decoding_cfg: NeMo's `CTCDecodingConfig`, complete.
            vocabulary: Labels in order, the blank not among them.
            frame_s: Seconds from one frame of log-probabilities to the next.
        """
        config = decoding_cfg if isinstance(decoding_cfg, DictConfig) else OmegaConf.create(dict(decoding_cfg))
        search = config.copy()
        search.compute_timestamps = None  # NeMo's own, which `beam_batch` refuses
        super().__init__(search, list(vocabulary))
        self._init_confidence_method(config.confidence_cfg.method_cfg)
        self.cfg = config
        self.frame_s = frame_s
        self.compute_timestamps = bool(config.get("compute_timestamps"))
        self.supported_punctuation = None
        in_words = config.get("ctc_timestamp_type", "all")
        self.timestamp_types = ("char", "word", "segment") if in_words == "all" else (in_words,)

    @property
    def returns_n_best(self) -> bool:
        """Whether NeMo's calls are answered with a list of hypotheses for each utterance."""
        return self.cfg.strategy == "beam_batch" and not self.cfg.beam.get("return_best_hypothesis", True)

    def ctc_decoder_predictions_tensor(
        self,
        decoder_outputs: torch.Tensor,
        decoder_lengths: torch.Tensor | None = None,
        fold_consecutive: bool = True,
        return_hypotheses: bool = False,
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """As NeMo's.

        Args:
            decoder_outputs: (B, T, V+1) float, natural log-probabilities, frames of padding certain to be blank; or
                (B, T) integer, labels, for texts alone.
            decoder_lengths: (B,) integer, valid frames of each.
            fold_consecutive: For labels: whether repeated ones are one character.
            return_hypotheses: Whether more than text and score is wanted.

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
        """Search a batch and finish what was found.

        Args:
            log_probs: (B, T, V+1) float, natural log-probabilities, frames of padding certain to be blank.
            lengths: (B,) integer, valid frames of each.
            n_best: All hypotheses of the beam, no text twice; otherwise the best.
            timestamps: Fill `timestamp` ("char", "word", "segment").
            confidence: Fill `frame_confidence`, `token_confidence` and `word_confidence`.

        Returns:
            For each utterance its hypotheses, best first, at least one.
        """
        found = [self._distinct(hyps) for hyps in self._search(log_probs.float(), lengths, n_best)]
        if timestamps or confidence:
            for hyps, row, length in zip(found, log_probs.float().cpu(), lengths.tolist(), strict=True):
                for hypothesis in hyps:
                    self._finish(hypothesis, row[:length], timestamps, confidence)
        return found

    def _search(self, log_probs: torch.Tensor, lengths: torch.Tensor, n_best: bool) -> list[list[Hypothesis]]:
        if self.cfg.strategy == "beam_batch":
            self.decoding.return_best_hypothesis = not n_best
        with torch.inference_mode():
            (found,) = self.decoding(decoder_output=log_probs, decoder_lengths=lengths)
        return [hyp.n_best_hypotheses if isinstance(hyp, NBestHypotheses) else [hyp] for hyp in found]

    def _distinct(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Give each hypothesis its tokens and text, and keep the best of those with the same text."""
        best: dict[tuple[int, ...], Hypothesis] = {}
        for hypothesis in hypotheses:
            tokens = self._tokens(hypothesis)
            hypothesis.tokens = tokens
            hypothesis.text = self.decode_ids_to_str(tokens)
            best.setdefault(tuple(tokens), hypothesis)
        return list(best.values())

    def _tokens(self, hypothesis: Hypothesis) -> list[int]:
        """The labels that a hypothesis spells: NeMo's greedy search gives one for each frame, beam search these."""
        labels = np.asarray(hypothesis.y_sequence, dtype=np.int64)
        if self.cfg.strategy.startswith("greedy"):
            labels = labels[np.diff(labels, prepend=self.blank_id) != 0]
        return labels[labels != self.blank_id].tolist()

    def _finish(self, hyp: Hypothesis, log_probs: torch.Tensor, timestamps: bool, confidence: bool) -> None:
        spans = align_tokens(log_probs.numpy(), hyp.tokens).tolist()
        characters = self.decode_ids_to_tokens(hyp.tokens)
        words = _find_words(characters, self.word_seperator)
        if confidence:
            frames = self._get_confidence_tensor(log_probs).clamp(0, 1).tolist()
            hyp.frame_confidence = frames
            hyp.token_confidence = [self._aggregate_confidence(frames[start:end]) for start, end in spans]
            hyp.word_confidence = [self._aggregate_confidence(hyp.token_confidence[a:b]) for a, b in words]
        if timestamps:
            hyp.timestamp = self._timestamps(characters, words, spans, hyp.timestamp)

    def _timestamps(
        self, characters: list[str], words: list[tuple[int, int]], spans: list[list[int]], frames: Any
    ) -> dict[str, Any]:
        times = {"char": [self._time("char", text, *span) for text, span in zip(characters, spans, strict=True)]}
        times["word"] = [
            self._time("word", "".join(characters[first:last]), spans[first][0], spans[last - 1][1])
            for first, last in words
        ]
        times["segment"] = get_segment_offsets(
            times["word"], self.segment_seperators, segment_gap_threshold=self.segment_gap_threshold
        )
        return {"timestep": frames, **{kind: times[kind] for kind in self.timestamp_types}}

    def _time(self, kind: str, text: str, start: int, end: int) -> dict[str, Any]:
        """NeMo's form of a time: frames from `start_offset` up to, not including, `end_offset`, and seconds."""
        seconds = {"start": round(start * self.frame_s, 6), "end": round(end * self.frame_s, 6)}
        return {kind: text, "start_offset": start, "end_offset": end, **seconds}


def complete_decoding_config(given: Mapping[str, Any] | DictConfig) -> DictConfig:
    """Add NeMo's defaults to any part of its decoding settings; keys that NeMo does not know are kept."""
    defaults = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(CTCDecodingConfig)))
    config = OmegaConf.merge(defaults, given)
    assert isinstance(config, DictConfig)
    return config


def _find_words(characters: Sequence[str], separator: str) -> list[tuple[int, int]]:
    """Where the words of a text stand: the index of each one's first character, and the index after its last."""
    words, first = [], None
    for index, character in enumerate([*characters, separator]):
        if character != separator and first is None:
            first = index
        elif character == separator and first is not None:
            words.append((first, index))
            first = None
    return words

"""NeMo's `beam_batch` search for the CPU, compiled: the same texts and scores in a fraction of the time.

NeMo's search runs thousands of small tensor operations for each second of audio. That suits a GPU with CUDA graphs,
where it stays in use; on a CPU it takes as long as a small encoder. The search itself is in `beam_search_kernel`;
`scripts/benchmarks/decode.py` measures the cost of both.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nemo.collections.asr.parts.context_biasing import GPUBoostingTreeModel
from nemo.collections.asr.parts.submodules.ctc_batched_beam_decoding import BatchedBeamCTCComputer
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel
from nemo.collections.asr.parts.utils.batched_beam_decoding_utils import BatchedBeamHyps
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis, NBestHypotheses

from data_prep.arguments import require_int
from nemo_models.decoding.beam_search_data import Fusion, FusionArrays, Settings
from nemo_models.decoding.beam_search_kernel import START_STATE, search


class CompiledBeamCTCComputer(BatchedBeamCTCComputer):
    """NeMo's batched beam search; a compiled search replaces it for log-probabilities on the CPU.

    It finds what NeMo finds for an utterance alone: tokens, frames, order of the n best, float32 scores. It does not
    read frames beyond an utterance's length, so it needs no mask over padding. `beam_size`, `beam_beta`,
    `beam_threshold`, `fusion_models` and `fusion_models_alpha` are read at each call.

    An utterance whose log-probabilities leave no finite score (NaN, all −∞) gets one empty hypothesis of score −∞;
    those beside it are not touched.
    """

    def __init__(self, *args: Any, threads: int = 1, **kwargs: Any) -> None:
        """Set up as NeMo's class does.

        Args:
            args: NeMo's arguments.
            threads: CPU threads that share the utterances of a batch. The default is one: the search takes little time
                beside the encoder, and several decoding processes use all cores already.
            kwargs: NeMo's keyword arguments.

        Raises:
            ValueError: A value is out of range.
        """
        super().__init__(*args, **kwargs)
        self.threads = threads
        self._settings()
        self._read_models: tuple[list[NGramGPULanguageModel], tuple[FusionArrays, ...]] = ([], _as_one_type([]))

    @classmethod
    def replacing(cls, computer: BatchedBeamCTCComputer, threads: int = 1) -> "CompiledBeamCTCComputer":
        """Make a compiled search with the settings and fusion models of NeMo's `computer`."""
        return cls(
            blank_index=computer._blank_index,
            beam_size=computer.beam_size,
            return_best_hypothesis=computer.return_best_hypothesis,
            preserve_alignments=computer.preserve_alignments,
            compute_timestamps=computer.compute_timestamps,
            fusion_models=computer.fusion_models,
            fusion_models_alpha=computer.fusion_models_alpha,
            beam_beta=computer.beam_beta,
            beam_threshold=computer.beam_threshold,
            allow_cuda_graphs=computer.allow_cuda_graphs,
            threads=threads,
        )

    def __call__(self, x: torch.Tensor, out_len: torch.Tensor) -> "BatchedBeamHyps | BeamSearchResult":
        """Search a batch.

        Args:
            x: (B, T, V+1) float, natural log-probabilities; searched in float32.
            out_len: (B,) integer, valid frames of each, 0 … T.

        Returns:
            For CUDA tensors NeMo's own result; else a result with the same two methods.

        Raises:
            ValueError: A value is out of range, or a fusion model does not fit the labels, has no weight or is
                damaged.
        """
        if x.device.type != "cpu":
            return super().__call__(x=x, out_len=out_len)
        settings, fusion = self._settings(), self._fusion(labels=x.shape[-1] - 1)
        rows, lengths = x.detach().float().contiguous().numpy(), out_len.tolist()
        utterances = [row[: max(0, length)] for row, length in zip(rows, lengths, strict=True)]
        with ThreadPoolExecutor(self.threads) as pool:
            spread = pool.map if self.threads > 1 else map
            found = list(spread(lambda utterance: search(utterance, settings, fusion), utterances))
        return BeamSearchResult([_Found(*arrays) for arrays in found])

    def _settings(self) -> Settings:
        require_int("beam_size", self.beam_size, 1)
        require_int("threads", self.threads, 1)
        if not self.beam_threshold > 0:  # infinity prunes nothing
            raise ValueError(f"beam_threshold={self.beam_threshold}: expected a number, above 0")
        return Settings(self._blank_index, self.beam_size, np.float32(self.beam_beta), np.float32(self.beam_threshold))

    def _fusion(self, labels: int) -> Fusion:
        models = self.fusion_models or []
        alphas = np.array(self.fusion_models_alpha or [], np.float32)
        if len(alphas) != len(models):
            raise ValueError(
                f"fusion_models_alpha={self.fusion_models_alpha}: expected one weight for each of {len(models)} models"
            )
        if not (labels if models else 0) <= self._blank_index <= labels:
            raise ValueError(
                f"blank_index={self._blank_index}: expected 0 to {labels}, with fusion models {labels}, the last one"
            )
        if models != self._read_models[0]:
            self._read_models = (list(models), _as_one_type([read_fusion_model(model, labels) for model in models]))
        return Fusion(
            models=self._read_models[1],
            alphas=alphas,
            initial_states=np.array([model.bos_state for model in models], np.int64),
            # as in NeMo: a boosting tree's final scores are for other kinds of acoustic models
            has_final=np.array([not isinstance(model, GPUBoostingTreeModel) for model in models], np.bool_),
        )


@dataclass(frozen=True)
class _Found:
    """The result of `search` for one utterance."""

    scores: np.ndarray
    bounds: np.ndarray
    labels: np.ndarray
    frames: np.ndarray
    durations: np.ndarray

    def ordered(self, score_norm: bool) -> list[int]:
        """Return the indices of the hypotheses, best first; equally good ones keep the beam's order."""
        scores = self.scores / (np.diff(self.bounds).astype(np.float32) + 1) if score_norm else self.scores
        return np.argsort(-scores, kind="stable").tolist()

    def hypothesis(self, index: int) -> Hypothesis:
        tokens = slice(self.bounds[index], self.bounds[index + 1])
        return Hypothesis(
            score=float(self.scores[index]),
            y_sequence=self.labels[tokens],
            timestamp=self.frames[tokens],
            token_duration=self.durations[tokens],
        )


class BeamSearchResult:
    """Hypotheses of a batch, with the methods of NeMo's `BatchedBeamHyps`.

    A hypothesis has `score`, `y_sequence` (tokens), `timestamp` (frame at which each token begins), and, which NeMo's
    lack, `token_duration` (number of frames of each token on the best path).
    """

    def __init__(self, found: list[_Found]) -> None:
        self._found = found

    def to_hyps_list(self, score_norm: bool = True) -> list[Hypothesis]:
        """Return the best hypothesis of each utterance, by the score, or by the score per token."""
        return [nbest.n_best_hypotheses[0] for nbest in self._lists(score_norm, most=1)]

    def to_nbest_hyps_list(self, score_norm: bool = True) -> list[NBestHypotheses]:
        """Return all hypotheses left in each utterance's beam, best first; see `to_hyps_list`."""
        return self._lists(score_norm, most=None)

    def _lists(self, score_norm: bool, most: int | None) -> list[NBestHypotheses]:
        lists = ([found.hypothesis(index) for index in found.ordered(score_norm)[:most]] for found in self._found)
        return [NBestHypotheses(hypotheses or [_nothing_found()]) for hypotheses in lists]


def read_fusion_model(model: NGramGPULanguageModel, labels: int) -> FusionArrays:
    """View a language model's or boosting tree's tensors as arrays, checked: compiled code reads where they point.

    Args:
        model: NeMo's language model or boosting tree.
        labels: Number of the acoustic model's labels, without the blank.

    Raises:
        ValueError: The model has another number of labels, or its arrays point outside themselves.
    """
    if model.vocab_size != labels:
        raise ValueError(
            f"language model: found {model.vocab_size} labels, expected the acoustic model's {labels}; train one"
        )
    arrays = FusionArrays(
        *(
            tensor.detach().cpu().contiguous().numpy()
            for tensor in (
                model.start_end_arcs,
                model.ilabels,
                model.to_states,
                model.arcs_weights,
                model.backoff_to_states,
                model.backoff_weights,
                model.final_weights,
            )
        )
    )
    states, arcs, order = len(arrays.backoff_targets), len(arrays.arc_labels), model.state_order.cpu().numpy()
    within = (
        _within(arrays.arc_bounds, 0, arcs)
        and _within(arrays.arc_labels, 0, labels - 1)
        and _within(arrays.arc_targets, 0, states - 1)
        and _within(arrays.backoff_targets, 0, states - 1)
    )
    if not within or not 0 <= model.bos_state < states:
        raise ValueError(
            f"language model: found links outside its {states} states and {labels} labels; it is damaged, copy it again"
        )
    first, last = arrays.arc_bounds[START_STATE]
    if set(arrays.arc_labels[first:last].tolist()) != set(range(labels)):
        raise ValueError(
            f"language model: found no unigram for some of its {labels} labels; it is damaged, copy it again"
        )
    falls = order[arrays.backoff_targets] < order
    falls[START_STATE] = True
    if not falls.all():
        raise ValueError("language model: found a back-off to a state as long as its own; it is damaged, copy it again")
    return arrays


def _as_one_type(models: list[FusionArrays]) -> tuple[FusionArrays, ...]:
    """Make all models fit one compiled search: at least two models, all with integers of the same type."""
    models = models + [_NO_MODEL] * (2 - len(models))
    dtype = np.result_type(*(model.arc_bounds for model in models))  # NeMo takes 64 bits for huge ones
    return tuple(
        FusionArrays(*(field.astype(dtype, copy=False) if field.dtype.kind == "i" else field for field in model))
        for model in models
    )


def _within(values: np.ndarray, least: int, most: int) -> bool:
    return not values.size or bool(values.min() >= least and values.max() <= most)


def _nothing_found() -> Hypothesis:
    none = np.zeros(0, np.int64)
    return Hypothesis(score=float("-inf"), y_sequence=none, timestamp=none, token_duration=none)


# In the place of a missing model; the search never reads it
_NO_MODEL = FusionArrays(
    arc_bounds=np.zeros((1, 2), np.int32),
    arc_labels=np.zeros(0, np.int32),
    arc_targets=np.zeros(0, np.int32),
    arc_weights=np.zeros(0, np.float32),
    backoff_targets=np.zeros(1, np.int32),
    backoff_weights=np.zeros(1, np.float32),
    final_weights=np.zeros(1, np.float32),
)

"""Beam search with a word language model: pyctcdecode with the interface of NeMo's searches.

NeMo's call passes no unigrams to pyctcdecode, so that every word counts as unknown and the texts get worse without a
warning.

pyctcdecode treats every label as one character of the text. Labels of several letters ("त्र", "<unk>") are therefore
replaced by one private character each, and written out again for the language model.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import kenlm
import numpy as np
import torch
from nemo.collections.asr.parts.submodules.ctc_beam_decoding import PyCTCDecodeConfig
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis, NBestHypotheses
from pyctcdecode.alphabet import Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from nemo_models.language_models.word_lm import read_unigrams

PYCTCDECODE_BLANK = ""
FIRST_PRIVATE = 0xF0000  # of Unicode's supplementary private use area: no text holds these characters


class _SpelledLanguageModel(LanguageModel):
    """A language model whose words arrive with private characters in place of labels of several letters."""

    def __init__(self, spelling: Mapping[int, str], *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._spelling = spelling

    def score_partial_token(self, partial_token: str) -> float:
        return super().score_partial_token(partial_token.translate(self._spelling))

    def score(self, prev_state: kenlm.State, word: str, is_last_word: bool = False) -> tuple[float, kenlm.State]:
        return super().score(prev_state, word.translate(self._spelling), is_last_word)


class WordLMSearch:
    """pyctcdecode's beam search over label indices; each utterance is searched alone, on the CPU."""

    def __init__(
        self,
        labels: Sequence[str],
        lm_path: Path,
        beam_size: int,
        alpha: float,
        beta: float,
        pruning: PyCTCDecodeConfig,
    ):
        """Load the language model.

        Args:
            labels: The acoustic model's labels, in order, without the blank.
            lm_path: ARPA over words.
            beam_size: Hypotheses kept.
            alpha: Weight of the language model's natural-log score.
            beta: Added for each word.
            pruning: The other settings of the search.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file is not ARPA text, from which the words can be read.
        """
        words = read_unigrams(lm_path)
        reader = kenlm.Config()
        reader.show_progress, reader.arpa_complain = False, kenlm.ARPALoadComplain.NONE
        characters = private_characters(labels)
        spelling = {ord(own): label for own, label in zip(characters, labels, strict=True) if own != label}
        model_class = partial(_SpelledLanguageModel, spelling) if spelling else LanguageModel
        language_model = model_class(kenlm.Model(str(lm_path), reader), words, alpha=alpha, beta=beta)
        # not through `build_ctcdecoder`, which guesses what labels mean
        alphabet = Alphabet([*characters, PYCTCDECODE_BLANK], False)
        self._decoder = BeamSearchDecoderCTC(alphabet, language_model)
        self._label_ids = {character: index for index, character in enumerate(characters)}
        self._beam_size = beam_size
        self._settings = {
            "beam_prune_logp": pruning.beam_prune_logp,
            "token_min_logp": pruning.token_min_logp,
            "prune_history": pruning.prune_history,
            "hotwords": pruning.hotwords,
            "hotword_weight": pruning.hotword_weight,
        }

    def change(self, beam_size: int, alpha: float, beta: float) -> None:
        """Use other settings from now on; see `__init__`."""
        self._beam_size = beam_size
        self._decoder.reset_params(alpha=alpha, beta=beta)

    def __call__(
        self, decoder_output: torch.Tensor, decoder_lengths: torch.Tensor
    ) -> tuple[list[NBestHypotheses | Hypothesis]]:
        """Search a batch.

        Args:
            decoder_output: (B, T, V+1) float, natural log-probabilities, blank last.
            decoder_lengths: (B,) integer, valid frames of each.

        Returns:
            One list of hypotheses for each utterance, best first, in a tuple as NeMo's searches have it.
        """
        rows = decoder_output.float().cpu().numpy()
        utterances = zip(rows, decoder_lengths.tolist(), strict=True)
        return ([NBestHypotheses(self._search(row[:length])) for row, length in utterances],)

    def _search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        if not len(log_probs):
            return [Hypothesis(score=0.0, y_sequence=[])]
        beams = self._decoder.decode_beams(log_probs, self._beam_size, **self._settings)
        return [
            Hypothesis(score=float(score), y_sequence=[self._label_ids[character] for character in text])
            for text, *_, score in beams
        ]


def private_characters(labels: Sequence[str]) -> list[str]:
    """Return one distinct character for each label: the label itself, or a private one where it has several letters."""
    return [label if len(label) == 1 else chr(FIRST_PRIVATE + index) for index, label in enumerate(labels)]

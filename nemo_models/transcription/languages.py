"""The language of each input of a model that has several: what was asked for, or what the model's own output says."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.union import LANGUAGE_KEY, find_member, is_several
from nemo_models.decoding.label_languages import read_label_languages
from nemo_models.files.model_language import FINGERPRINT_KEY, choose_language
from nemo_models.transcription.audio_reader import AudioError
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.log_prob_joiner import LogProbSegment
from nemo_models.transcription.segment_results import SegmentResult

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel


class InputLanguages:
    """Decides in which language an input is written, and leaves only its labels. A model of one language has no choice.

    Attributes:
        codes: The languages; empty for a model of one language.
    """

    def __init__(self, model: "EncDecCTCModel", asked: str | None) -> None:
        """Set up.

        Args:
            model: A CTC model.
            asked: Language of all inputs; `None`: that of an input's row (`lang`), else the one that is identified.

        Raises:
            ValueError: The model lacks the language.
        """
        self._labels = read_label_languages(model.cfg, list(model.decoder.vocabulary))
        self.codes = self._labels.codes if self._labels else ()
        self._asked = None
        if asked is not None:
            chosen = choose_language(asked, model.cfg.get(FINGERPRINT_KEY), "the model")
            self._asked = load_language(chosen).code if self.codes and not is_several(chosen) else None

    def check(self, audio: AudioInput) -> None:
        """Check the `lang` of an input's row.

        Raises:
            AudioError: The model lacks that language, or there is none and the output does not say which it is.
        """
        code = self.choose(audio)
        if code is None and self._labels and self._labels.are_folded:
            known = ", ".join(self.codes)
            raise AudioError(
                f"language: {audio.path}: expected one of {known}, found none; the model writes them in one script and "
                "cannot tell them apart: give language=…, or lang in the row"
            )
        if code is not None and code not in self.codes:
            known = ", ".join(self.codes)
            raise AudioError(f"language: {audio.path}: found lang {code}, expected one of {known}, the model's")

    def choose(self, audio: AudioInput) -> str | None:
        """Return the language that an input is to be written in; `None`: the one that is identified.

        A manifest's row with a text and without `lang` is Hindi, where the output itself does not tell.
        """
        stated = str(audio.fields.get(LANGUAGE_KEY) or "") if self.codes else ""
        chosen = self._asked or find_member(self.codes, stated) or stated or None
        if chosen is None and self._labels and self._labels.are_folded and DEFAULT_LANGUAGE in self.codes:
            return DEFAULT_LANGUAGE if "text" in audio.fields else None
        return chosen

    def apply(self, segment: LogProbSegment) -> LogProbSegment:
        """Give a segment a language, identified where none was chosen, and leave only that language's labels."""
        code = segment.language or (self._labels.identify(segment.log_probs) if self._labels else None)
        if self._labels is None or code is None:
            return segment
        return replace(segment, log_probs=self._labels.mask(segment.log_probs, code), language=code)

    def unfold(self, result: SegmentResult) -> SegmentResult:
        """Write a result with the letters of its language, if the model writes several in one script."""
        if self._labels is None or not self._labels.are_folded or result.language is None:
            return result
        text, fields, words = (
            self._labels.unfold(value, result.language)
            for value in (result.text, dict(result.nemo_fields), [word.word for word in result.words])
        )
        listed = tuple(replace(word, word=own) for word, own in zip(result.words, words, strict=True))
        return replace(result, text=text, words=listed, nemo_fields=fields)

    def mask(self, log_probs: torch.Tensor, code: str | None) -> torch.Tensor:
        """Leave only the labels of a language, by default that of all inputs; all of them if there is none."""
        code = self._asked or code
        return self._labels.mask(log_probs, code) if self._labels and code else log_probs


def find_main_language(results: Sequence[SegmentResult], chosen: str | None) -> str | None:
    """Return the language of an input: the chosen one, else that of most of its text; `None` without any text."""
    lengths: dict[str, int] = {}
    for result in results:
        if result.language and result.text:
            lengths[result.language] = lengths.get(result.language, 0) + len(result.text)
    return chosen or max(lengths, key=lambda code: lengths[code], default=None)

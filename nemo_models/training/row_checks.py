"""Checks of one row of a manifest before training: its text, its length, and both together."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from omegaconf import DictConfig

from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.conv_frames import count_conv_frames, count_ctc_steps
from data_prep.languages.language import DEFAULT_LANGUAGE, SEPARATOR
from data_prep.languages.union import LANGUAGE_KEY, find_member, language_of_row, name_languages
from data_prep.text.alphabet import load_alphabet
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import DEFAULT_POLICY, judge
from nemo_models.training.findings import Problem
from nemo_models.training.sources import Row
from nemo_models.w2v_bert_features import HOP, STACKED, WINDOW

SLOW_COPY, FAST_COPY = 0.9, 1.1  # speeds of the copies that NeMo's perturb_speed adds


@dataclass(frozen=True)
class RowChecks:
    """The limits for one utterance.

    Attributes:
        labels: The characters that the model writes.
        count_frames: Function from samples to the encoder's frames.
        min_duration: Shortest utterance that training keeps, in seconds.
        max_duration: Longest utterance that training keeps, in seconds.
        has_speed_copies: Whether training adds copies at other speeds.
        policy: The language of the texts.
        code: Code of that language, which a row's `lang` must have.
        several: Where a row's `lang` chooses among several languages: code -> labels and policy of each.
        may_lack_text: Whether a row may have no text.
    """

    labels: frozenset[str]
    count_frames: Callable[[int], int]
    min_duration: float = -math.inf
    max_duration: float = math.inf
    has_speed_copies: bool = False
    policy: TextPolicy = DEFAULT_POLICY
    code: str = DEFAULT_LANGUAGE
    several: Mapping[str, tuple[frozenset[str], TextPolicy]] = field(default_factory=dict)
    may_lack_text: bool = False

    def check(self, row: Row) -> Iterator[Problem]:
        """Yield the problems of an utterance's description."""
        if not self._lacks_text(row):
            yield from self._check_text(row)
        name, seconds = row["audio_filepath"], row["duration"]
        if seconds < self.min_duration:
            yield Problem("too_short", f"{name} ({seconds} s)")
        if seconds > self.max_duration:
            yield Problem("too_long", f"{name} ({seconds} s)")

    def _lacks_text(self, row: Row) -> bool:
        return self.may_lack_text and not row.get("text")

    def _check_text(self, row: Row) -> Iterator[Problem]:
        name, text, seconds = row["audio_filepath"], row["text"], row["duration"]
        code = language_of_row(row) if self.several else str(row.get(LANGUAGE_KEY) or self.code)
        own = find_member(self.several or (self.code,), code)
        rules = self.several.get(own or "") if self.several else (self.labels, self.policy)
        fault = judge(text, *rules) if rules else None
        if fault is not None:
            detail = f"{fault.detail}, lang is {code}" if self.several else fault.detail
            yield Problem(fault.reason, name if fault.reason == "empty_text" else f"{name} ({detail})")
        if own is None:
            yield Problem("other_language", f"{name} (lang is {code}, language is {self.code})")
        if text and not text.isspace():
            frames = self.count_frames(round(seconds * SAMPLE_RATE_HZ))
            if frames < 2 * len(text) and frames < (needed := count_ctc_steps(text)):
                yield Problem("ctc_infeasible", f"{name} ({frames} frames, {needed} needed)")

    def check_copies(self, row: Row) -> Iterator[Problem]:
        """Yield what deserves a warning: no text, and copies at other speeds that the limits leave out."""
        if self._lacks_text(row):
            yield Problem("no_text", row["audio_filepath"])
        seconds = row["duration"]
        if not self.has_speed_copies or not self.min_duration <= seconds <= self.max_duration:
            return
        if seconds / SLOW_COPY > self.max_duration:
            yield Problem("slow_copy_too_long", f"{row['audio_filepath']} ({seconds / SLOW_COPY:.2f} s)")
        if seconds / FAST_COPY < self.min_duration:
            yield Problem("fast_copy_too_short", f"{row['audio_filepath']} ({seconds / FAST_COPY:.2f} s)")


@dataclass(frozen=True)
class AudioRowChecks(RowChecks):
    """The limits for one utterance without a transcript: what they leave out is counted in a warning.

    Attributes:
        span: Frames of a masked span.
        is_cut: Whether long recordings are cut into windows, so that none is too long.
    """

    span: int = 1
    is_cut: bool = False

    def check(self, row: Row) -> Iterator[Problem]:
        """Yield nothing: no utterance ends a pre-training."""
        return iter(())

    def check_copies(self, row: Row) -> Iterator[Problem]:
        """Yield the reason for which an utterance is left out."""
        name, seconds = row["audio_filepath"], row["duration"]
        if self.count_frames(round(seconds * SAMPLE_RATE_HZ)) <= self.span:
            yield Problem("shorter_than_a_span", f"{name} ({seconds} s)")
        elif seconds < self.min_duration:
            yield Problem("too_short", f"{name} ({seconds} s)")
        elif seconds > self.max_duration and not self.is_cut:
            yield Problem("too_long", f"{name} ({seconds} s)")


def audio_row_checks(dataset: DictConfig, count_frames: Callable[[int], int], span: int) -> AudioRowChecks:
    """Build the checks for a dataset without transcripts; see `row_checks`.

    Args:
        dataset: `train_ds` or `validation_ds`.
        count_frames: Function from samples to the encoder's frames.
        span: Frames of a masked span.
    """
    limits = row_checks(dataset, frozenset(), count_frames)
    is_cut = bool(dataset.get("cut_into_windows_duration") or dataset.get("truncate_duration"))
    return AudioRowChecks(frozenset(), count_frames, limits.min_duration, limits.max_duration, span=span, is_cut=is_cut)


def row_checks(
    dataset: DictConfig,
    labels: frozenset[str],
    count_frames: Callable[[int], int],
    language: str = DEFAULT_LANGUAGE,
) -> RowChecks:
    """Build the checks for a dataset.

    Args:
        dataset: `train_ds` or `validation_ds`; read once here, because reading it takes as long as checking a row.
        labels: The characters that the model writes.
        count_frames: Function from samples to the encoder's frames.
        language: Code of the texts' language, or the path of a language file; or several, see `union`.
    """
    named = name_languages(language)
    rules = {code: (frozenset(load_alphabet(language=part)), TextPolicy(language=part)) for code, part in named.items()}
    only = next(iter(rules))
    shortest, longest = dataset.get("min_duration"), dataset.get("max_duration")
    return RowChecks(
        labels,
        count_frames,
        -math.inf if shortest is None else float(shortest),
        math.inf if longest is None else float(longest),
        bool(dataset.get("perturb_speed")),
        rules[only][1],
        SEPARATOR.join(rules),
        rules if len(rules) > 1 else {},
        bool(dataset.get("may_lack_text")),
    )


def frame_counter(encoder: DictConfig) -> Callable[[int], int]:
    """Return the function from samples to frames of a configured encoder.

    Args:
        encoder: `model.encoder` of the configuration.
    """
    if encoder._target_.endswith("W2VBertEncoder"):
        return lambda samples: max(0, (samples - WINDOW) // HOP + 1) // STACKED
    layers = list(zip(encoder.architecture.conv_kernel, encoder.architecture.conv_stride, strict=True))
    return partial(count_conv_frames, layers=layers)

"""The audio of a live stream: encodings, and the current utterance with the labels that were computed so far.

A window slides over the utterance while it is spoken. Labels of frames with enough right context are kept, later ones
are computed again. The text comes from the sequence of all labels, so that no word is split at a window's end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr

from data_prep.arguments import require_number
from nemo_models.serving.voice_activity import VoiceTrack

LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 48_000


def _decode_mulaw(content: bytes) -> np.ndarray:
    """Decode G.711 μ-law; a byte holds sign, exponent and mantissa, all inverted."""
    codes = ~np.frombuffer(content, np.uint8)
    exponent, mantissa = (codes >> 4) & 7, (codes & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 132) << exponent.astype(np.int32)) - 132
    return np.where(codes & 128, -magnitude, magnitude).astype(np.int16)


def _decode_alaw(content: bytes) -> np.ndarray:
    """Decode G.711 A-law; a byte holds sign, exponent and mantissa, every second bit inverted."""
    codes = np.frombuffer(content, np.uint8) ^ 0x55
    exponent, mantissa = ((codes >> 4) & 7).astype(np.int32), (codes & 15).astype(np.int32)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0))
    return np.where(codes & 128, magnitude, -magnitude).astype(np.int16)


@dataclass(frozen=True)
class Encoding:
    """How samples are written in a message.

    Attributes:
        width: Bytes of a sample.
        decode: Function that makes (n,) int16 or float32 samples of whole samples' bytes.
    """

    width: int
    decode: Callable[[bytes], np.ndarray]


ENCODINGS = {
    "pcm16": Encoding(2, lambda content: np.frombuffer(content, "<i2").astype(np.int16)),
    "float32": Encoding(4, lambda content: np.frombuffer(content, "<f4").astype(np.float32)),
    "mulaw": Encoding(1, _decode_mulaw),
    "alaw": Encoding(1, _decode_alaw),
}


@dataclass(frozen=True)
class StreamOptions:
    """When partial results are made and utterances end.

    Attributes:
        step_s: Seconds of new audio from one partial result to the next.
        left_context_s: Seconds before the new audio that the model hears with it.
        right_context_s: Seconds after a frame that the model must have heard before its label is kept.
        endpoint_s: Seconds without a letter that end an utterance.
        utterance_s: Longest utterance, seconds; a longer one is cut at the longest gap of its later half.
        silence_s: Seconds without a letter, before any was heard, that are declared a silence.

    Raises:
        ValueError: An option is out of range.
    """

    step_s: float = 0.5
    left_context_s: float = 6.0
    right_context_s: float = 0.6
    endpoint_s: float = 0.8
    utterance_s: float = 30.0
    silence_s: float = 2.0

    def __post_init__(self) -> None:
        require_number("stream.step_s", self.step_s, 0.1, 10.0)
        require_number("stream.left_context_s", self.left_context_s, 0)
        require_number("stream.right_context_s", self.right_context_s, 0)
        require_number("stream.endpoint_s", self.endpoint_s, 0.1)
        require_number("stream.utterance_s", self.utterance_s, 5.0)
        require_number("stream.silence_s", self.silence_s, 0.5)


@dataclass(frozen=True)
class ModelFrames:
    """What the labels of frames mean.

    Attributes:
        sample_rate_hz: Rate of the waveforms that the model takes.
        step: Samples from one frame to the next.
        vocabulary: The labels; the blank follows them.
    """

    sample_rate_hz: int
    step: int
    vocabulary: Sequence[str]

    def count(self, seconds: float) -> int:
        """Return the number of frames in some seconds."""
        return round(seconds * self.sample_rate_hz / self.step)

    def find_letters(self, labels: np.ndarray) -> np.ndarray:
        """Return the positions of frames that are neither blank nor space."""
        silent = [len(self.vocabulary)]
        silent += [number for number, label in enumerate(self.vocabulary) if not label.strip()]
        return np.flatnonzero(~np.isin(labels, silent))

    def write(self, labels: np.ndarray) -> str:
        """Return the text of the best label of each frame: repeated ones once, without blanks."""
        if not len(labels):
            return ""
        firsts = labels[np.flatnonzero(np.diff(labels, prepend=-1))]
        text = "".join(self.vocabulary[label] for label in firsts if label < len(self.vocabulary))
        return " ".join(text.split())


class StreamUtterance:
    """What was said since the last utterance ended.

    Attributes:
        start: Its first sample, counted from the stream's beginning, at the stream's rate.
        length: Number of samples so far, at the stream's rate.
        labels: (frames,) int, the labels that are kept.
        options: The stream's options.
    """

    def __init__(
        self, start: int, rate: int, frames: ModelFrames, options: StreamOptions, track: VoiceTrack | None = None
    ) -> None:
        """Begin an utterance.

        Args:
            start: See the attribute.
            rate: The stream's rate.
            frames: The model's frames.
            options: See the attribute.
            track: What says where the stream holds speech; `None`: the labels alone do.
        """
        self.start, self.length, self.labels = start, 0, np.zeros(0, np.int64)
        self.options = options
        self._rate, self._frames, self._track = rate, frames, track
        self._tentative = self.labels
        self._given: list[np.ndarray] = []
        self._heard: np.ndarray = np.zeros(0, np.float32)
        self._dropped = 0  # frames at its beginning that no window needs any more
        self._computed = 0
        same = rate == frames.sample_rate_hz
        self._resampler = None if same else soxr.ResampleStream(rate, frames.sample_rate_hz, 1, dtype="float32")

    @property
    def samples(self) -> np.ndarray:
        """All samples as they came, (n,) int16 or float32."""
        return np.concatenate(self._given) if self._given else np.zeros(0, np.int16)

    @property
    def text(self) -> str:
        """The text so far."""
        return self._frames.write(self._hush(np.concatenate([self.labels, self._tentative])))

    @property
    def stable_text(self) -> str:
        """The part of the text that later audio does not change."""
        return self._frames.write(self._hush(self.labels))

    @property
    def holds_speech(self) -> bool:
        """Whether somebody speaks in it, as far as that was judged."""
        if self._track is None:
            return True
        return self._track.holds_speech(self.start / self._rate, (self.start + self.length) / self._rate)

    def add(self, samples: np.ndarray) -> None:
        """Add samples, (n,) int16 or float32."""
        self._given.append(samples)
        self.length += len(samples)
        waveform = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform)
        self._heard = np.concatenate([self._heard, waveform])

    def take_window(self) -> tuple[int, np.ndarray] | None:
        """Return the next window and the number of its first frame; `None` if little is new."""
        heard = self._dropped * self._frames.step + len(self._heard)
        if heard - self._computed < self.options.step_s * self._frames.sample_rate_hz:
            return None
        self._computed = heard
        first = max(0, len(self.labels) - self._frames.count(self.options.left_context_s))
        self._heard = self._heard[(first - self._dropped) * self._frames.step :]
        self._dropped = first
        return first, self._heard.copy()

    def add_labels(self, first: int, best: np.ndarray) -> None:
        """Add what the model found in a window.

        Args:
            first: Number of the window's first frame.
            best: (frames,) int, the best label of each.
        """
        kept = len(self.labels)
        end = max(kept, first + len(best) - self._frames.count(self.options.right_context_s))
        self.labels = np.concatenate([self.labels, best[kept - first : end - first]])
        self._tentative = best[end - first :]

    def find_silence(self) -> int | None:
        """Return how many samples, from the first, are a silence before anything was said; `None`: there is none."""
        letters = self._frames.find_letters(self._hush(self.labels))
        quiet = int(letters[0]) if len(letters) else len(self.labels)
        if quiet < self._frames.count(self.options.silence_s):
            return None
        return self._place(quiet - self._frames.count(self.options.endpoint_s / 2))

    def find_end(self) -> int | None:
        """Return after how many samples the utterance ends, if it does: within a gap, or where it is too long.

        The place depends on the labels alone, not on how much came after it.
        """
        letters, gap = self._frames.find_letters(self._hush(self.labels)), self._frames.count(self.options.endpoint_s)
        for letter, following in pairwise([*map(int, letters), len(self.labels)]):
            if following - letter - 1 >= gap:
                return self._place(letter + 1 + gap // 2)
        if self.length < self.options.utterance_s * self._rate:
            return None
        if not len(self.labels):
            return self.length
        middle = len(self.labels) // 2
        edges = [middle, *(int(place) for place in letters if place >= middle), len(self.labels)]
        return self._place(max((after - before, (before + after + 1) // 2) for before, after in pairwise(edges))[1])

    def split(self, at: int) -> tuple[np.ndarray, "StreamUtterance"]:
        """End the utterance.

        Args:
            at: Number of samples that belong to it.

        Returns:
            These samples, and the next utterance, which has the others.
        """
        samples = self.samples
        following = StreamUtterance(self.start + at, self._rate, self._frames, self.options, self._track)
        if at < len(samples):
            following.add(samples[at:])
        return samples[:at], following

    def _hush(self, labels: np.ndarray) -> np.ndarray:
        """Return the labels with a blank wherever nobody speaks."""
        if self._track is None or not len(labels):
            return labels
        frame_s = self._frames.step / self._frames.sample_rate_hz
        voice = self._track.find_voice(self.start / self._rate, len(labels), frame_s)
        return np.where(voice, labels, len(self._frames.vocabulary))

    def _place(self, frame: int) -> int:
        place = round(frame * self._frames.step * self._rate / self._frames.sample_rate_hz)
        return max(1, min(self.length, place))

"""Finds speech in a live stream: by loudness, or with the voice-activity model silero-vad.

The labels of the recogniser decide when an utterance begins and ends. This module can overrule them: letters that the
recogniser finds in audio without speech count as silence, so that noise and (with the model) music are not transcribed.
Audio without a verdict counts as speech.

Source: silero-vad (snakers4/silero-vad, utils_vad.py): pieces of 512 samples at 16 kHz, each behind the last 64 of the
piece before; speech begins at a probability of 0.5 and ends below 0.35.
"""

from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr

from data_prep.arguments import require_choice
from nemo_models.transcription.audio_windows import ABOVE_FLOOR_DB, FLOOR_DB, LEAST_CONTRAST_DB

KINDS = ("energy", "silero", "none")
RATE_HZ = 16_000
PIECE = 512  # samples that are judged together
PAD_S = 0.3  # before and after speech that counts as speech: soft beginnings and ends
LEVELS_S = 10.0  # of the past that say how loud the room and its speech are
FLOOR_PERCENTILE, SPEECH_PERCENTILE = 5, 95
LEVELS_AT_ONCE = 8  # pieces that share a limit
BELOW_SPEECH_DB = 40.0  # so far below the loudest, nothing is speech to the same microphone
THRESHOLD, HYSTERESIS = 0.5, 0.15
LEAST_PIECES = 2  # of speech that an utterance has; less is a click
_CONTEXT = 64
_KEPT_S = 120.0  # of what was judged; more than an utterance


class VoiceActivity(Protocol):
    """Judges one stream."""

    def judge(self, piece: np.ndarray) -> bool:
        """Say whether the next `PIECE` samples, float32 at `RATE_HZ`, hold speech."""


class EnergyActivity:
    """Finds what is clearly quieter than the loud parts of the last seconds; steady sound has no quiet."""

    def __init__(self) -> None:
        """Begin without a past."""
        self._levels: deque[float] = deque(maxlen=round(LEVELS_S * RATE_HZ / PIECE))
        self._limit, self._judged = FLOOR_DB, 0

    def judge(self, piece: np.ndarray) -> bool:
        """Judge a piece, see `VoiceActivity`."""
        level = max(FLOOR_DB, 10 * np.log10(np.square(piece, dtype=np.float64).mean() + 1e-12))
        self._levels.append(level)
        if self._judged % LEVELS_AT_ONCE == 0:
            floor, speech = np.percentile(self._levels, (FLOOR_PERCENTILE, SPEECH_PERCENTILE))
            has_contrast = speech - floor >= LEAST_CONTRAST_DB
            quiet = min(max(floor + ABOVE_FLOOR_DB, speech - BELOW_SPEECH_DB), speech - LEAST_CONTRAST_DB)
            self._limit = float(quiet) if has_contrast else FLOOR_DB
        self._judged += 1
        return bool(level > self._limit)


class SileroActivity:
    """Judges with silero-vad; knows music and noise from speech."""

    def __init__(self, session: Any, threshold: float = THRESHOLD) -> None:
        """Begin a stream.

        Args:
            session: onnxruntime's session of the model; streams share it.
            threshold: Probability from which on a piece is speech, 0 to 1.
        """
        self._session, self._threshold = session, threshold
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._is_speech = False

    def judge(self, piece: np.ndarray) -> bool:
        """Judge a piece, see `VoiceActivity`."""
        heard = np.concatenate([self._context, piece])[None]
        inputs = {"input": heard, "state": self._state, "sr": np.array(RATE_HZ, np.int64)}
        found, self._state = self._session.run(None, inputs)
        self._context = piece[-_CONTEXT:]
        least = self._threshold - HYSTERESIS if self._is_speech else self._threshold
        self._is_speech = float(found[0, 0]) >= least
        return self._is_speech


OpenVoiceActivity = Callable[[float | None], VoiceActivity]
"""Function that returns the judge of a new stream; its argument is a threshold, `None` is the usual one."""


def load_voice_activity(kind: str) -> OpenVoiceActivity | None:
    """Load what judges streams.

    Args:
        kind: One of `KINDS`; with `none`, the recogniser alone decides.

    Raises:
        ModuleNotFoundError: silero-vad or onnxruntime is not installed.
        ValueError: Another kind.
    """
    require_choice("vad", kind, KINDS)
    if kind == "none":
        return None
    if kind == "energy":
        return lambda _: EnergyActivity()
    session = _load_silero()
    return lambda threshold: SileroActivity(session, THRESHOLD if threshold is None else threshold)


def _load_silero() -> Any:
    """Load the model's file without importing its package, which needs more."""
    package = find_spec("silero_vad")
    if package is None or not package.submodule_search_locations or find_spec("onnxruntime") is None:
        command = "pip install -c constraints.txt silero-vad onnxruntime"
        raise ModuleNotFoundError(f"vad=silero: expected silero-vad and onnxruntime to be installed; run: {command}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    path = Path(package.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class VoiceTrack:
    """What was judged of a stream, by time."""

    def __init__(self, activity: VoiceActivity, rate: int) -> None:
        """Begin.

        Args:
            activity: What judges.
            rate: The stream's rate.
        """
        self._activity = activity
        self._resampler = None if rate == RATE_HZ else soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
        self._rest = np.zeros(0, np.float32)
        self._judged: deque[bool] = deque()
        self._first = 0  # number of the first piece that is kept

    def add(self, samples: np.ndarray) -> None:
        """Judge more of the stream, (n,) int16 or float32."""
        waveform = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform)
        self._rest = np.concatenate([self._rest, waveform])
        whole = len(self._rest) // PIECE * PIECE
        for at in range(0, whole, PIECE):
            self._judged.append(self._activity.judge(self._rest[at : at + PIECE]))
        self._rest = self._rest[whole:]
        while len(self._judged) > _KEPT_S * RATE_HZ / PIECE:
            self._judged.popleft()
            self._first += 1

    def find_voice(self, start_s: float, count: int, frame_s: float) -> np.ndarray:
        """Say which frames hold speech, or are within `PAD_S` of it.

        Args:
            start_s: Where the first frame begins, seconds from the stream's beginning.
            count: Number of frames.
            frame_s: Seconds of a frame.

        Returns:
            (count,) bool. What was forgotten or not judged yet counts as speech.
        """
        judged = np.array(self._judged, bool)
        pad = round(PAD_S * RATE_HZ / PIECE)
        near = np.convolve(judged, np.ones(2 * pad + 1), "same") > 0.5 if len(judged) > 2 * pad else judged | True
        pieces = ((start_s + (np.arange(count) + 0.5) * frame_s) * RATE_HZ / PIECE).astype(int) - self._first
        known = (pieces >= 0) & (pieces < len(judged) - pad)  # those at the end may still be just before speech
        voice = np.ones(count, bool)
        voice[known] = near[pieces[known]]
        return voice

    def holds_speech(self, start_s: float, end_s: float) -> bool:
        """Whether somebody speaks in a stretch; where nothing of it was judged, it is taken to be so.

        Args:
            start_s: Its beginning, seconds from the stream's beginning.
            end_s: Its end.
        """
        first, end = (max(0, round(place * RATE_HZ / PIECE) - self._first) for place in (start_s, end_s))
        judged = list(self._judged)[first:end]
        return not judged or sum(judged) >= LEAST_PIECES

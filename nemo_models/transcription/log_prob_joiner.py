"""The log-probabilities of an input's windows, joined into segments that are decoded at once, in constant memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nemo_models.transcription.audio_windows import AudioWindow

LONGEST_DECODED_FRAMES = 3000  # a minute: speech without a pause is decoded piece by piece, between two words


@dataclass(frozen=True)
class LogProbSegment:
    """Frames of one input that are decoded at once.

    Attributes:
        log_probs: (T, V+1) float, natural logarithms, blank last.
        start_frame: Number of the segment's first frame in the input.
        index: The input's position in its job.
        language: Language that they are decoded in, for a model that has several; `None`: the one that is identified.
    """

    log_probs: torch.Tensor
    start_frame: int = 0
    index: int = 0
    language: str | None = None


class LogProbJoiner:
    """Takes the windows of one input as they come out of the model, in any order."""

    def __init__(self, vocabulary: Sequence[str], frame_step: int, index: int = 0, language: str | None = None) -> None:
        """Set up for one input.

        Args:
            vocabulary: The model's labels, without the blank.
            frame_step: Samples from one of the model's frames to the next.
            index: The input's position in its job.
            language: See `LogProbSegment`.
        """
        self._space = vocabulary.index(" ") if " " in vocabulary else None
        self._blank = len(vocabulary)
        self._frame_step = frame_step
        self._index, self._language = index, language
        self._early: dict[int, tuple[AudioWindow, torch.Tensor]] = {}
        self._next = 0
        self._held: list[torch.Tensor] = []
        self._start_frame = 0
        self.done = False
        """Whether the last window and all before it have been added."""

    def add(self, window: AudioWindow, log_probs: torch.Tensor) -> list[LogProbSegment]:
        """Add a window.

        Args:
            window: The audio that went through the model.
            log_probs: (T, V+1) float, all of its frames.

        Returns:
            The segments that can be decoded now, in order.
        """
        self._early[window.number] = (window, log_probs)
        ready = []
        while self._next in self._early:
            ready += self._append(*self._early.pop(self._next))
            self._next += 1
        return ready

    def _append(self, window: AudioWindow, log_probs: torch.Tensor) -> list[LogProbSegment]:
        if not self._held:
            self._start_frame = window.start // self._frame_step + window.first_frame
        self._held.append(log_probs[window.first_frame : window.end_frame])
        if not window.joined:
            self.done = window.last
            return [self._take(sum(map(len, self._held)))]
        ready = []
        while sum(map(len, self._held)) > LONGEST_DECODED_FRAMES:
            ready.append(self._take(self._find_gap()))
        return ready

    def _take(self, frames: int) -> LogProbSegment:
        joined = torch.cat(self._held) if len(self._held) > 1 else self._held[0]
        segment = LogProbSegment(joined[:frames], self._start_frame, self._index, self._language)
        self._held = [joined[frames:].clone()] if frames < len(joined) else []
        self._start_frame += frames
        return segment

    def _find_gap(self) -> int:
        """Find where to end a segment of up to a minute: after the last space, else blank, of its later half."""
        best = torch.cat(self._held)[:LONGEST_DECODED_FRAMES].argmax(dim=-1).tolist()
        for label in (self._space, self._blank):
            for frame in range(len(best) - 1, len(best) // 2, -1):
                if best[frame] == label:
                    return frame + 1
        return len(best)

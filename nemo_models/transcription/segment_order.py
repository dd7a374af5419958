"""The order in which inputs are read: the longest first, and the segments of one compressed recording in a row."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_prep.audio.formats import is_read_by_position
from nemo_models.transcription.inputs import AudioInput


def count_segments(inputs: Sequence[AudioInput]) -> dict[Path, int]:
    """Count the segments of each recording of which several are listed and that has to be decoded from its beginning.

    Args:
        inputs: The inputs of a job.

    Returns:
        Recording -> number of its segments, 2 or more.
    """
    segments = Counter(audio.path for audio in inputs if _is_segment(audio))
    return {path: count for path, count in segments.items() if count > 1 and not is_read_by_position(path)}


def order_inputs(inputs: Sequence[AudioInput]) -> list[int]:
    """Return the positions of inputs in the order in which they are read.

    Args:
        inputs: The inputs of a job, with their durations where these are known.

    Returns:
        Positions: the longest first, so that inputs of similar length are in one batch. The segments of one recording
        that has to be decoded from its beginning follow one another in time, in the place of the longest of them.
    """
    shared = count_segments(inputs)
    longest: dict[Path, float] = {}
    for audio in inputs:
        if audio.path in shared and _is_segment(audio):
            longest[audio.path] = max(longest.get(audio.path, 0.0), audio.expected_s)

    def rank(index: int) -> tuple[float, str, float]:
        audio = inputs[index]
        if audio.path in shared and _is_segment(audio):
            return -longest[audio.path], str(audio.path), audio.offset_s
        return -audio.expected_s, "", 0.0

    return sorted(range(len(inputs)), key=rank)


def _is_segment(audio: AudioInput) -> bool:
    return not audio.error and bool(audio.offset_s or audio.duration_s is not None)

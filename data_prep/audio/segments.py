"""Checks that a segment is inside its recording: one rule, with the tolerance as an argument."""

from data_prep.audio.errors import SegmentError, TruncatedAudioError
from data_prep.audio.recording import Recording


def check_segment(
    recording: Recording, offset_s: float, duration_s: float | None, overshoot_s: float, is_cut_allowed: bool = False
) -> tuple[int, int | None]:
    """Check a segment before it is read, as far as the recording's length is known.

    Args:
        recording: The recording.
        offset_s: Where the segment begins, in seconds.
        duration_s: Its length, in seconds; `None` is up to the end.
        overshoot_s: Time by which it may run over the recording's end, in seconds.
        is_cut_allowed: Whether a segment may run into the missing part of a recording that is cut.

    Returns:
        The first sample and the number of samples; `None` is up to the end.

    Raises:
        SegmentError: It is empty or outside the recording.
        TruncatedAudioError: It is in the part of the recording that is missing.
    """
    start = round(offset_s * recording.rate)
    frames = None if duration_s is None else round(duration_s * recording.rate)
    if start < 0 or (frames is not None and frames <= 0):
        raise _make_error(recording, offset_s, duration_s)
    if recording.length is not None:
        if start >= recording.length:
            raise _make_error(recording, offset_s, duration_s)
        there = recording.length - start
        if is_cut_allowed and any(fault.truncated for fault in recording.faults):
            return start, frames
        check_segment_end(recording, offset_s, duration_s, there if frames is None else min(frames, there), overshoot_s)
    return start, frames


def check_segment_end(
    recording: Recording, offset_s: float, duration_s: float | None, found: int, overshoot_s: float
) -> None:
    """Check a segment when its samples are counted.

    Args:
        recording: The recording.
        offset_s: Where the segment begins, in seconds.
        duration_s: Its length, in seconds; `None` is up to the end.
        found: Number of samples that are there.
        overshoot_s: Time by which it may run over the recording's end, in seconds.

    Raises:
        SegmentError: It is outside the recording.
        TruncatedAudioError: It is in the part of the recording that is missing.
    """
    wanted = 1 if duration_s is None else max(1, round(duration_s * recording.rate) - overshoot_s * recording.rate)
    if found < wanted:
        raise _make_error(recording, offset_s, duration_s)


def _make_error(recording: Recording, offset_s: float, duration_s: float | None) -> Exception:
    end = "the end" if duration_s is None else f"{offset_s + duration_s:.3f} s"
    length = "unknown length" if recording.length is None else f"{recording.length / recording.rate:.3f} s"
    text = f"segment {offset_s:.3f} s to {end} of a recording of {length}"
    cut = next((fault for fault in recording.faults if fault.truncated), None)
    valid = offset_s >= 0 and (duration_s is None or duration_s > 0)
    return TruncatedAudioError(f"{text}: {cut.detail}") if cut and valid else SegmentError(text)

"""Why audio cannot be used: one error type for data preparation and transcription, with a reason code."""

from dataclasses import dataclass


class AudioError(ValueError):
    """Audio that cannot be used; `reason` is the code that `data_prep.selection.quality.REASONS` explains."""

    reason = "unreadable_audio"


class MissingAudioError(AudioError):
    """The file is not there."""

    reason = "missing_audio"


class UnreadableAudioError(AudioError):
    """No installed decoder can read the file."""


class TruncatedAudioError(UnreadableAudioError):
    """The file holds less audio than it says."""

    reason = "truncated_audio"


class DamagedAudioError(UnreadableAudioError):
    """A part within the file cannot be decoded."""

    reason = "damaged_audio"


class TooLongError(AudioError):
    """The audio is longer than the caller's limit; the rest was not decoded."""

    reason = "too_long"


class SegmentError(AudioError):
    """A segment that is not inside its recording."""

    reason = "bad_segment"


class MissingChannelError(AudioError):
    """The recording lacks the channel that was chosen."""

    reason = "missing_channel"


class SeveralChannelsError(AudioError):
    """The recording has several channels and none was chosen."""

    reason = "several_channels"


class CancellingChannelsError(AudioError):
    """The average of the channels is close to silence, because they have opposite phase."""

    reason = "cancelling_channels"


class NotFiniteError(AudioError):
    """The audio holds NaN or infinite samples."""

    reason = "not_finite_audio"


@dataclass(frozen=True)
class Fault:
    """A fault of a recording that can be read in part.

    Attributes:
        detail: A description, for messages.
        truncated: Whether its end is missing; else something within it is.
        at_s: Where, in seconds; `None` if that is not known.
        somewhere: Whether it is a small place that is not known, so that most segments are sound.
    """

    detail: str
    truncated: bool = True
    at_s: float | None = None
    somewhere: bool = False

    def make_error(self) -> AudioError:
        """Make the error for those who take whole recordings only."""
        return (TruncatedAudioError if self.truncated else DamagedAudioError)(self.detail)

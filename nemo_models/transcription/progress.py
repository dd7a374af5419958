"""The progress bar of a transcription: hours of audio done, speed against real time, time left, failures so far."""

from types import TracebackType

from tqdm import tqdm

LAYOUT = "{desc} {percentage:3.0f} % |{bar}| {n:.2f}/{total:.2f} h of audio{postfix} [{elapsed}<{remaining}]"
REFRESH_S = 0.5


class TranscriptionProgress:
    """A bar on standard error."""

    def __init__(self, total_s: float) -> None:
        """Show the bar.

        Args:
            total_s: Audio to be transcribed, seconds, as far as it is known.
        """
        self._bar = tqdm(
            total=total_s / 3600,
            desc="transcribing",
            bar_format=LAYOUT,
            mininterval=REFRESH_S,
            postfix="",
        )
        self._audio_s, self._failed = 0.0, 0

    def __enter__(self) -> "TranscriptionProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add_done(self, seconds: float) -> None:
        """Count audio that an earlier run transcribed; it does not count for the speed."""
        self._bar.initial = self._bar.n = min(seconds / 3600, self._bar.total)
        self._bar.refresh()

    def add_audio(self, seconds: float) -> None:
        """Count audio that went through the model."""
        self._audio_s += seconds
        hours = min(seconds / 3600, max(0.0, self._bar.total - self._bar.n))  # windows overlap, durations are rounded
        elapsed = self._bar.format_dict["elapsed"]
        speed = f"{self._audio_s / elapsed:.1f} × real time" if elapsed else ""
        self._bar.set_postfix_str(f"{speed}, {self._failed} failed" if self._failed else speed, refresh=False)
        self._bar.update(hours)

    def add_row(self, failed: bool) -> None:
        """Count a finished input."""
        self._failed += failed

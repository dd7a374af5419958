"""How much an engine takes at once."""

from dataclasses import dataclass

from data_prep.arguments import require_int, require_number


@dataclass(frozen=True)
class EngineLimits:
    """How much the engine takes at once.

    Attributes:
        max_requests: Most recordings that are begun or wait, from 1.
        num_workers: Threads that read audio, from 1: so many recordings are read at a time. Those of more than
            `WINDOWS_AHEAD` windows, which are read as fast as the model computes them, leave one thread to the others.
        batch_size: Most windows in a batch, from 1.
        batch_audio_s: Most seconds of audio in a batch, padding included; a longer window is a batch alone.
        batch_wait_ms: Milliseconds that the first window of a batch waits for others.
        parallel_batches: Most batches that go through the model at a time, from 1.
        max_audio_s: Longest recording, seconds.

    Raises:
        ValueError: A limit is out of range.
    """

    max_requests: int = 64
    num_workers: int = 4
    batch_size: int = 32
    batch_audio_s: float = 120.0
    batch_wait_ms: float = 5.0
    parallel_batches: int = 1
    max_audio_s: float = 7200.0

    def __post_init__(self) -> None:
        for key in ("max_requests", "num_workers", "batch_size", "parallel_batches"):
            require_int(key, getattr(self, key), 1)
        require_number("batch_audio_s", self.batch_audio_s, above=0)
        require_number("batch_wait_ms", self.batch_wait_ms, 0)
        require_number("max_audio_s", self.max_audio_s, above=0)

"""Keeps a process small that computes waveforms of ever new lengths.

Two things grow with the number of different lengths. glibc keeps freed tensors whose neighbours are in use, and oneDNN
keeps compiled code for each shape, up to 1024. An hour of live streams made 140 MB of them.
"""

import ctypes
import os
import time

KEPT_SHAPES = "64"  # of oneDNN's compiled code; with fewer than 1024 nothing was slower
RELEASE_EVERY_S = 10.0  # releasing takes some 10 ms


def limit_compiled_shapes() -> None:
    """Limit what oneDNN keeps, unless the environment says how much. Call it before the first computation."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_SHAPES)


class MemoryRelease:
    """Gives freed memory back to the system, from time to time; does nothing without glibc."""

    def __init__(self, every_s: float = RELEASE_EVERY_S) -> None:
        """Begin.

        Args:
            every_s: Seconds between two releases.
        """
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
        self._every_s, self._done_at = every_s, time.monotonic()

    def release(self) -> None:
        """Release, if it is time."""
        now = time.monotonic()
        if self._trim is not None and now - self._done_at >= self._every_s:
            self._trim(0)
            self._done_at = now

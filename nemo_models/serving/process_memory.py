"""Keeps a process small that computes waveforms of ever new lengths.

glibc keeps freed tensors whose neighbours are in use. oneDNN's compiled code for each shape grows too, up to 1024
shapes and some 35 MB. It is kept: with room for 64 shapes, most batches compiled some again, which cost a small network
an eighth of its speed.
"""

import ctypes
import os
import time

RELEASE_EVERY_S = 10.0  # releasing takes some 10 ms


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

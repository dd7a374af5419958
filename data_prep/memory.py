"""A setting of the memory allocator that makes array work faster."""

import ctypes
import functools
import sys

# glibc's numbers of the settings (malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_KEPT = 32 << 20  # bytes; what one larger array held goes back to the system at once
_MOST_KEPT = 64 << 20  # bytes


@functools.cache
def keep_freed_memory() -> bool:
    """Make this process keep up to 64 MB of freed memory for its next arrays, instead of giving it back at once.

    An utterance of a few seconds takes a few arrays of a megabyte. glibc asks the system for each of them and gives it
    back; the system then clears 200 pages for each utterance, which takes as long as half of its resampling.

    Returns:
        Whether the allocator took the settings: only glibc's does.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _MOST_KEPT), (_TOP_PAD, _MOST_KEPT // 4))
    return min(mallopt(name, value) for name, value in settings) == 1

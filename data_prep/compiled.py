"""Compilation of functions by numba, with its cache where one can be written."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, to run without the GIL, and keep the result on disk if possible.

    Numba tries `NUMBA_CACHE_DIR`, the source's `__pycache__` and the user's cache folder. If it can write to none of
    them it raises an error; then each process compiles for itself.
    """
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Function, numba.njit(nogil=True)(function))

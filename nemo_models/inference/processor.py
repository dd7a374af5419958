"""Finds the number formats that this processor computes fast; others are refused or get a warning.

The kernel's list of features is read without loading torch, so that `--help` can show the result. oneDNN does the
arithmetic; its environment variable `ONEDNN_MAX_CPU_ISA` limits it, and the same limit applies here, so that a machine
can act as an older processor.
"""

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
BFLOAT16_PRODUCTS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # the last one is Arm's name
# What oneDNN may use under a value of `ONEDNN_MAX_CPU_ISA`; any other value is no limit of interest here.
ISA_FEATURES = {
    "SSE41": frozenset[str](),
    "AVX": frozenset({"avx"}),
    "AVX2": frozenset({"avx", "avx2"}),
    "AVX2_VNNI": frozenset({"avx", "avx2", "avx_vnni"}),
    "AVX512_CORE": frozenset({"avx", "avx2", "avx512f"}),
    "AVX512_CORE_VNNI": frozenset({"avx", "avx2", "avx512f", "avx512_vnni"}),
    "AVX512_CORE_BF16": frozenset({"avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16"}),
}


def find_features() -> frozenset[str]:
    """Return the processor's features by the kernel's names (`avx2`, `avx512_vnni`, `asimd`, `bf16`, …)."""
    features = _read_features()
    limit = ISA_FEATURES.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper())
    return features if limit is None else features & limit


@cache
def _read_features() -> frozenset[str]:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux: nothing is known, so nothing but float32 is called fast
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())


def is_x86() -> bool:
    """Whether the processor runs x86-64 code."""
    return platform.machine().lower() in ("x86_64", "amd64")


def has_int8() -> bool:
    """Whether int8 can be computed: any x86-64 processor with AVX2."""
    return is_x86() and "avx2" in find_features()


def has_int8_dot_product() -> bool:
    """Whether the processor multiplies and sums 8-bit integers in one instruction (VNNI, AMX), without overflow."""
    return bool(INT8_DOT_PRODUCTS & find_features())


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; elsewhere it is emulated, up to ten times slower than float32."""
    return bool(BFLOAT16_PRODUCTS & find_features())


def fast_formats() -> tuple[str, ...]:
    """Return the number formats that are at least as fast as float32 on this processor, the slowest first."""
    return ("float32", *(["bfloat16"] if has_bfloat16() else []), *(["int8"] if has_int8() else []))


def describe_formats() -> str:
    """Say in one line which number formats are fast here."""
    fast = fast_formats()
    slow = [name for name in ("bfloat16", "int8") if name not in fast]
    return f"fast on this processor: {', '.join(fast)}" + (f"; not: {', '.join(slow)}" if slow else "")


def warn_of_slow_format(key: str, number_format: str) -> str | None:
    """Say in one line that a number format is slow on this processor.

    Args:
        key: The argument that asked for it, for the message.
        number_format: `float32`, `bfloat16`, `float16` or `int8`.

    Returns:
        The warning; `None` if the format is fast.
    """
    if number_format in fast_formats():
        return None
    return (
        f"{key}={number_format}: this processor emulates {number_format}, which is slower than float32; "
        f"use one of {', '.join(fast_formats())}"
    )

"""Freed memory goes back to the system, although what lies behind it is in use."""

import platform
import subprocess
import sys

import pytest

from project import ROOT

FREE_BETWEEN_BLOCKS = """
from pathlib import Path
from nemo_models.serving.process_memory import MemoryRelease

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

release, late = MemoryRelease(0.0), MemoryRelease(3600.0)
blocks = [bytes(100_000) + b"x" for _ in range(1000)]
del blocks[:-1]
before = resident_mb()
late.release()
unchanged = resident_mb()
release.release()
print(before - unchanged, unchanged - resident_mb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no glibc")
def test_freed_memory_is_given_back_when_it_is_time():
    done = subprocess.run([sys.executable, "-c", FREE_BETWEEN_BLOCKS], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    unchanged, released = map(float, done.stdout.split())
    assert abs(unchanged) < 10 and released > 50

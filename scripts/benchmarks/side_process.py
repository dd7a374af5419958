"""Runs each side of a benchmark in a separate process, so that they share no memory, threads or caches."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 3000  # characters of what a failed side printed


class SideFailed(RuntimeError):
    """A side of a benchmark ended with an error; the message ends with what it printed."""


def run_side(script: str, arguments: Sequence[object], timeout_s: float | None = None) -> Any:
    """Run a script and return what it prints last, which is JSON.

    Args:
        script: The benchmark itself, as `__file__`.
        arguments: Command line that makes it measure one side only.
        timeout_s: After which it is ended; `None` waits for as long as it takes.

    Raises:
        SideFailed: It ended with an error, or was not through in time.
    """
    command = [sys.executable, script, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise SideFailed(f"{' '.join(command[1:])}: not through in {timeout_s:.0f} s") from error
    if done.returncode:
        raise SideFailed(f"{' '.join(command[1:])}: exit status {done.returncode}\n{done.stderr[-SHOWN:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Return the most resident memory that this process has had, mapped files included."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))

"""Runs each side of a benchmark in a process of its own: nothing of one is in the other's memory, threads or caches."""

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


def run_side(script: str, arguments: Sequence[object]) -> Any:
    """Run a script and return what it prints last, which is JSON.

    Args:
        script: The benchmark itself, as `__file__`.
        arguments: Of its command line; they make it measure one side only.

    Raises:
        SideFailed: It ended with an error.
    """
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SideFailed(f"{' '.join(command[1:])}: exit status {done.returncode}\n{done.stderr[-SHOWN:]}")
    return json.loads(done.stdout.splitlines()[-1])

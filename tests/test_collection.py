"""The tests that are collected are the same in every process, so that they can be spread over several."""

import os
import subprocess
import sys

import pytest

from project import ROOT
from warm_python import WarmPython


@pytest.mark.slow
def test_two_processes_collect_the_same_tests(warm_python: WarmPython):
    """One after the other, in different seconds: in a fork that drew its own hash seed, and in a new process."""
    arguments = (
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-o",
        "addopts=--import-mode=importlib",
        "-p",
        "no:cacheprovider",
    )
    setting = {"PYTHONHASHSEED": "2", "TZ": "Asia/Kolkata", "LC_ALL": "C"}
    command = [sys.executable, *arguments]
    new = subprocess.run(command, cwd=ROOT, env={**os.environ, **setting}, capture_output=True, text=True)
    listed = []
    for done in (warm_python.run(*arguments, folder=ROOT), new):
        assert done.returncode == 0, done.stdout[-2000:]
        listed.append([line for line in done.stdout.splitlines() if "::" in line])
    assert len(listed[0]) > 1000
    assert listed[0] == listed[1]

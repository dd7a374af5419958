"""The tests that are collected are the same in every process, so that they can be spread over several."""

import os
import subprocess
import sys

import pytest

from project import ROOT


@pytest.mark.slow
def test_two_processes_collect_the_same_tests():
    settings = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Kolkata", "LC_ALL": "C"},
    ]
    options = ["-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "--collect-only", *options]
    listed = []
    for setting in settings:  # one after the other: in different seconds
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **setting}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
        listed.append([line for line in done.stdout.splitlines() if "::" in line])
    assert len(listed[0]) > 1000
    assert listed[0] == listed[1]

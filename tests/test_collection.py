"""The tests that are collected are the same in every process, so that they can be spread over several."""

import pytest

from project import ROOT
from warm_python import WarmPython


@pytest.mark.slow
def test_another_process_collects_the_same_tests(
    warm_python: WarmPython, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    """In another second, with another hash seed, time zone and locale."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("LC_ALL", "C")
    options = ("--collect-only", "-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider")
    done = warm_python.run("-m", "pytest", *options, folder=ROOT)
    assert done.returncode == 0, done.stdout[-2000:]
    there = [line for line in done.stdout.splitlines() if "::" in line]
    here = [item.nodeid for item in request.session.items]
    assert len(there) > 1000 and set(here) <= set(there)
    assert len(here) < len(there) or here == there, "the same order, if this is a run of all tests"

"""scripts/build_kenlm.sh where there is nothing to do and where it cannot work; `make setup` is its real run."""

import shutil
import subprocess
import sys

import pytest

from project import ROOT

SCRIPT = ROOT / "scripts" / "build_kenlm.sh"


@pytest.fixture
def bare_machine(tmp_path):
    """A PATH with a shell and little else, and an environment without KenLM's tools."""
    for tool in ("sh", "dirname", "tar"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "env").mkdir()
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {tmp_path}/env\n")
    python.chmod(0o755)
    return tmp_path


def _run(*arguments, path=None):
    environment = {"PATH": str(path)} if path else None
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60)


def test_tools_that_are_there_are_left_alone(lmplz):
    done = _run(sys.executable)
    assert done.returncode == 0, done.stderr
    assert "are there" in done.stdout


def test_missing_compiler_names_the_packages(bare_machine):
    done = _run(str(bare_machine / "python"), path=bare_machine)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cmake not found; install it with: sudo apt-get install -y cmake make g++")
    assert list((bare_machine / "env").iterdir()) == []


def test_missing_headers_name_the_packages(bare_machine):
    for tool, status in (("cmake", 0), ("make", 0), ("g++", 1)):
        (bare_machine / tool).write_text(f"#!/bin/sh\nexit {status}\n")
        (bare_machine / tool).chmod(0o755)
    done = _run(str(bare_machine / "python"), path=bare_machine)
    assert done.returncode == 1
    assert "headers of Boost or zlib not found" in done.stderr and "libboost-program-options-dev" in done.stderr


def test_missing_environment_names_make_setup(tmp_path):
    done = _run(str(tmp_path / "python"))
    assert done.returncode == 1
    assert "make setup" in done.stderr

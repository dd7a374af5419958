"""The built grammars: missing library, many processes, a cache without write access."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.text import grammars
from project import ROOT

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")


def test_missing_grammars_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grammars.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"numbers=verbalize: expected nemo_text_processing.*pip install"):
        grammars.check_grammars()


FAKE_BUILD = """
import sys, time
from pathlib import Path
from data_prep.text import grammars

def make(language, folder):
    if not (folder / grammars.list_archives()[-1]).exists():
        with open("{log}", "a") as log:
            print("build", file=log)
        for name in grammars.list_archives():
            (folder / name).write_text("far")
            time.sleep(0.2)

grammars._make_normalizer = make
grammars._load_normalizer("hi")
"""


def test_many_processes_build_the_grammars_once(tmp_path: Path):
    code = FAKE_BUILD.format(log=tmp_path / "log")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": ""}
    arguments = {"env": environment, "cwd": ROOT, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **arguments) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert (tmp_path / "log").read_text() == "build\n"
    assert sum("building the number grammars" in text for text in said) == 1
    folder = next((tmp_path / "cache/hindi-xlsr-nemo").glob("grammars-*[0-9]"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(grammars.list_archives())
    assert not list(folder.parent.glob(".*"))


def test_a_cache_without_write_access_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set XDG_CACHE_HOME to a writable folder"):
        grammars.load_built(grammars.find_grammar_cache(), grammars.list_archives(), print)

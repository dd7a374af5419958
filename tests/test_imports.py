"""Imports run one way: scripts → nemo_models → data_prep → libraries."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = {path.stem for path in (REPOSITORY / "scripts").glob("*.py")}
TRAINING_LIBRARIES = {"torch", "nemo", "lightning", "pytorch_lightning", "transformers"}
FORBIDDEN = {
    "data_prep": TRAINING_LIBRARIES | SCRIPTS | {"nemo_models", "scripts", "tests", "benchmarks"},
    "nemo_models": SCRIPTS | {"scripts", "tests", "benchmarks"},
    "scripts": {"tests", "benchmarks"},
}


def find_imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of every absolute import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module.split(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "import_module":
            names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, str(name).split(".")[0]) for name in names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_run_one_way(folder: str):
    paths = sorted((REPOSITORY / folder).rglob("*.py"))
    assert paths
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: imports {name}"
        for path in paths
        for line, name in find_imports(path.read_text(encoding="utf-8"))
        if name in FORBIDDEN[folder]
    ]
    assert not wrong, "\n".join(wrong)


def test_an_import_is_found_wherever_it_hides():
    source = "import a.b\ndef f():\n    from c.d import e\n"
    source += "    import importlib; importlib.import_module('g.h')\nfrom . import i\n"
    assert sorted(find_imports(source)) == [(1, "a"), (3, "c"), (4, "g"), (4, "importlib")]


def test_data_prep_loads_neither_torch_nor_nemo():
    code = """
import importlib, pkgutil, sys
import data_prep
names = [module.name for module in pkgutil.walk_packages(data_prep.__path__, "data_prep.")]
for name in names:
    importlib.import_module(name)
print(*names)
print(*sorted({name.split(".")[0] for name in sys.modules}))"""
    modules, loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=REPOSITORY).splitlines()
    assert {"data_prep.text", "data_prep.pipeline", "data_prep.corpora.tsv"} <= set(modules.split())
    assert not TRAINING_LIBRARIES & set(loaded.split())

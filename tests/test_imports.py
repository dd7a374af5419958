"""Imports run one way: scripts → nemo_models → data_prep → libraries, and downward among the rooms of each."""

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from project import ROOT

SCRIPTS = {path.stem for path in (ROOT / "scripts").glob("*.py")}
TRAINING_LIBRARIES = {"torch", "nemo", "lightning", "pytorch_lightning", "transformers"}
FORBIDDEN = {
    "data_prep": TRAINING_LIBRARIES | SCRIPTS | {"nemo_models", "scripts", "tests", "benchmarks"},
    "nemo_models": SCRIPTS | {"scripts", "tests", "benchmarks"},
    "scripts": {"tests", "benchmarks"},
}

ROOMS = {
    "data_prep": [
        {"."},  # manifests and process pools
        {"languages"},
        {"text", "audio"},
        {"corpora", "synthesis"},
        {"selection"},
        {"prepare"},
    ],
    "nemo_models": [
        {"files", "optimization", "training_data", "evaluation"},
        {"layers", "language_models"},
        {"decoding"},
        {"."},  # the model itself
        {"inference"},
        {"checkpoints", "transcription"},
        {"export", "tuning", "training", "serving"},
        {"pretraining", "distillation", "self_training"},
    ],
}
"""The rooms of each package from the lowest to the highest: a room imports from rooms further up in this list only."""


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
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
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
    modules, loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).splitlines()
    assert {"data_prep.text.normalizer", "data_prep.prepare.pipeline", "data_prep.corpora.tsv"} <= set(modules.split())
    assert not TRAINING_LIBRARIES & set(loaded.split())


def find_modules(package: str) -> dict[str, Path]:
    """Return every module of a package by its dotted name."""
    paths = (ROOT / package).rglob("*.py")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def find_imported_modules(path: Path, modules: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield line and name of every module of `modules` that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if name in modules else node.module) for name in submodules)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in modules)


def room_of(module: str, modules: Mapping[str, Path]) -> str:
    """Return the folder below the package in which a module lies, or `.`."""
    parts = modules[module].relative_to(ROOT).parts
    return parts[1] if len(parts) > 2 else "."


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_downward_only(package: str):
    modules = find_modules(package)
    rank = {room: number for number, rooms in enumerate(ROOMS[package]) for room in rooms}
    assert {room_of(module, modules) for module in modules} == set(rank)
    wrong = []
    for module, path in modules.items():
        for line, name in find_imported_modules(path, modules):
            here, there = room_of(module, modules), room_of(name, modules)
            if here != there and rank[there] >= rank[here]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {here} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", ROOMS)
def test_modules_do_not_import_each_other_in_a_circle(package: str):
    modules = find_modules(package)
    graph = {name: {found for _, found in find_imported_modules(path, modules)} for name, path in modules.items()}
    assert sum(map(len, graph.values())) > 50
    TopologicalSorter({name: found - {name} for name, found in graph.items()}).prepare()


@pytest.mark.parametrize("package", ROOMS)
def test_the_architecture_page_shows_these_ranks(package: str):
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition(f"\n`{package}/`")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    shown = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()]
    ranks = [(number, room) for number, rooms in enumerate(ROOMS[package], 1) for room in rooms]
    expected = {(str(rank), "the package itself" if room == "." else f"`{room}`") for rank, room in ranks}
    assert {(rank, room) for rank, room in shown} == expected

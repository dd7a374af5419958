"""Files that describe the project: licence, version, citation, changelog, workflow, Makefile."""

import os
import re
import subprocess

import pytest
import yaml

from project import ROOT

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def test_version_licence_and_dates_agree_between_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\S+) – (\S+)$", changelog, flags=re.MULTILINE)
    assert versions[0][0] == project["version"].removesuffix(".dev0")
    released = [(version, date) for version, date in versions if date != "unreleased"]
    assert released[0] == (citation["version"], str(citation["date-released"]))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in released)
    assert project["license"] == citation["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_workflow_calls_the_readmes_test_command():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert {"run": "make test"} in workflow["jobs"]["test"]["steps"]
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_issue_forms_and_hooks_are_valid_yaml():
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form), path
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {hook["id"] for repo in hooks["repos"] for hook in repo["hooks"]} >= {
        "ruff-check",
        "ruff-format",
        "codespell",
    }


def expand_make_target(target: str) -> str:
    """Return the commands of a target. The tests themselves run below `make test`: its settings are not passed on."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", target]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["demo", "setup", "serve", "test", "check", "lint", "clean"])
def test_make_target_expands_to_commands_that_work_in_any_folder(target: str):
    """A path with spaces must not break a recipe: tools are started by the interpreter, none by an absolute path."""
    commands = expand_make_target(target)
    assert str(ROOT) not in commands
    assert not re.search(r"\.venv/bin/(?!python\b)", commands)


def test_make_demo_installs_none_of_the_test_tools():
    installs = [line for line in expand_make_target("demo").splitlines() if "pip install" in line]
    assert len(installs) == 1 and installs[0].endswith("--editable .")


def test_only_the_tests_install_a_browser():
    """The demo installs the packages that it runs; `make test` also those that only tests look with."""
    calls = {
        target: re.findall(r"^scripts/install_system_packages\.sh.*$", expand_make_target(target), re.MULTILINE)
        for target in ("demo", "setup", "test", "check")
    }
    alone = ["scripts/install_system_packages.sh"]
    assert calls["demo"] == calls["setup"] == alone
    assert calls["test"] == calls["check"] == [*alone, "scripts/install_system_packages.sh tests"]

"""README and docs/: links, commands that the tests find, messages that exist in the code."""

import ast
import re
from pathlib import Path

import pytest

from documents import BLOCK, DOCUMENTS, read_blocks
from project import ROOT

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FILES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN_BY_OTHER_TESTS = {"docs/recipes.md", "docs/self-training.md"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_page_with_commands_is_run():
    assert {page for page in PAGES if read_blocks(page)} == {"README.md", *DOCUMENTS, *RUN_BY_OTHER_TESTS}


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_outside_the_blocks_that_are_run(page: str):
    text = BLOCK.sub("", read(page))
    assert not re.findall(r"^ *(?:python|torchrun|srun|git|bash) .*", text, flags=re.MULTILINE)
    assert "```" not in text


def test_readme_is_short_and_names_the_two_commands():
    readme, makefile = read("README.md"), read("Makefile")
    assert len(readme.splitlines()) <= 120
    for target in ("demo", "test", "setup"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if file.startswith(("http://", "https://")):
            continue
        found = (path.parent / file) if file else path
        assert found.exists(), f"{path.name}: {target} leads nowhere"
        if anchor:
            assert anchor in find_anchors(found), f"{path.name}: {found.name} has no heading for #{anchor}"


def find_anchors(path: Path) -> set[str]:
    """Return the anchors that a Markdown viewer makes of the headings of a file."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


TROUBLESHOOTING = re.findall(r"^\| `([^`]+)`", read("docs/troubleshooting.md"), flags=re.MULTILINE)
NOT_PYTHON = (
    "UnsafeTargetError",
    "No module named",
    "found Python",
    "found a read-only",
    "lmplz",
    "Please have an admin",
)
"""Messages of NeMo, of Python, of the Makefile and of its scripts."""


@pytest.fixture(scope="module")
def strings() -> str:
    """Every text in the code, with adjacent pieces joined and placeholders as an ellipsis."""
    found = []
    for folder in ("data_prep", "nemo_models", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"%\S", "…", node.value))
    return "\n".join(found)


@pytest.mark.parametrize(
    "message",
    [message for message in TROUBLESHOOTING if not message.startswith(NOT_PYTHON)],
)
def test_messages_in_the_troubleshooting_page_exist(message: str, strings: str):
    longest = max(re.split("…|\\d+", message), key=len).strip(" :,;")
    assert len(longest) >= 8 and longest in strings

"""Commands of the README and of docs/: found in fenced blocks, prepared for small inputs, run as a user runs them."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from project import ROOT
from warm_python import WarmPython

DOCUMENTS = (
    *("docs/data.md", "docs/fine-tuning.md", "docs/language-models.md", "docs/transcription.md", "docs/evaluation.md"),
    *("docs/distillation.md", "docs/pretraining.md", "docs/export.md", "docs/checkpoints.md", "docs/nemo-tools.md"),
    *("docs/serving.md", "docs/languages.md"),
)
"""Documents whose commands `tests/scripts/test_commands.py` runs, in this order after the README."""

SHORT_RUN = (
    "trainer.max_steps=2 trainer.limit_train_batches=2 trainer.val_check_interval=2 trainer.accumulate_grad_batches=1 "
    "model.train_ds.batch_duration=4 model.train_ds.num_workers=0 model.validation_ds.num_workers=0 "
    "model.train_ds.num_buckets=2"
)
"""What makes a full-size recipe a matter of seconds."""

NEEDS = "# Needs: "
"""First line of a block that the tests do not run, unless it names a program that is installed here."""


BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    language: str
    text: str

    @property
    def runs_here(self) -> bool:
        """Whether the tests run the block on this machine."""
        if not self.text.startswith(NEEDS):
            return True
        return shutil.which(self.text.removeprefix(NEEDS).split()[0]) is not None


def read_blocks(document: str) -> list[Block]:
    """Return the bash and Python blocks of a document, in order.

    Args:
        document: Path of the document from the project's folder.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(*found) for found in re.findall(r"^```(bash|python)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    ]


def find_jobs(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield script name and arguments of every job of this project that a block starts."""
    for line in block.text.replace("\\\n", " ").splitlines():
        found = re.search(r"scripts/(\w+)\.py (.*)", line)
        if found:
            arguments = re.split(r"\s(?:\|\||&&|;|>)", found[2])[0]
            yield found[1], shlex.split(arguments, comments=True)


@dataclass(frozen=True)
class Workspace:
    """A folder that looks like the project's.

    Attributes:
        folder: Working directory, with the environment at `.venv`.
        python: Runs the commands.
    """

    folder: Path
    python: WarmPython

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def make_workspace(folder: Path, python: WarmPython) -> Workspace:
    """Make `folder` look like the project's.

    Args:
        folder: Folder to fill.
        python: Python that runs the commands.
    """
    for name in ("conf", "data_prep", "nemo_models", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return Workspace(folder, python)


def run_block(block: Block, workspace: Workspace, replacements: dict[str, str] | None = None) -> str:
    """Run a block with the environment active.

    Args:
        block: A block; a Python one is run as a script.
        workspace: Where to run it.
        replacements: Parts of the text to replace, such as a full-size setting by one for a small input.

    Returns:
        Standard output and standard error.
    """
    script = block.text
    for old, new in (replacements or {}).items():
        script = script.replace(old, new)
    if block.language == "python":
        (workspace / "snippet.py").write_text(script, encoding="utf-8")
        script = "python snippet.py"
    return run_shell(script, workspace)


def run_shell(script: str, workspace: Workspace) -> str:
    """Run a shell script with the environment active; return what it prints, both streams."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source .venv/bin/activate\n{workspace.python.shell}\n{script}"],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr

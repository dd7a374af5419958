"""Drops repeated lines and estimates n-grams with KenLM's `lmplz`; both use the disk beyond a limit of memory."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from nemo_models.language_models.arpa import open_arpa
from nemo_models.language_models.corpus import PreparedText
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.lm_file import encode_tokens
from nemo_models.language_models.text_counts import TextCounts, describe_counts

# Reason for which a line is left out, in `TextCounts.reasons`.
UNWRITABLE = "characters that occur only inside longer labels"
# What lmplz writes -> what is wrong and what to do, with the setting and the folder of temporary files.
_FAILURES = (
    ("No space left on device", "{folder}: found a full disk; free some space, or write output= to another disk"),
    ("Failed to parse", "memory={memory}: expected a size such as 500M, 1G or 50%"),
    ("below the minimum block size", "memory={memory}: expected more memory for this order; try memory=500M"),
    ("Cannot allocate memory", "memory={memory}: expected at most this machine's free memory; lower it"),
    ("Pruning thresholds", "prune: expected numbers that do not decrease with the order"),
)
_NOISE = re.compile(
    r"/.* threw |terminate called|=== |Chain sizes|Warning|Name:|File stdin|Unigram tokens|Statistics|\s*[-0-9*]"
)
_SORT_MEMORY = "256M"  # of `sort` while it drops repeated lines; beyond it, it goes to disk


@dataclass(frozen=True)
class Estimator:
    """Settings of the estimation of n-gram models.

    Attributes:
        order: Longest n-gram.
        prune: For each order, the count up to which n-grams are dropped.
        memory: Memory that `lmplz` uses for sorting, in its notation.
        tokenizer: Divides lines into labels, which are the tokens; `None` makes words the tokens.
        deduplicate: Whether repeated lines count once.
        folding: Table of `str.translate` that writes a line with the model's labels; empty where they are its letters.
    """

    order: int
    prune: tuple[int, ...]
    memory: str
    tokenizer: LabelTokenizer | None
    deduplicate: bool
    folding: Mapping[int, str] = field(default_factory=dict)

    def run(self, name: str, text: PreparedText, counts: TextCounts, unseen: set[bytes], folder: Path) -> Path:
        """Estimate a model of one text.

        Args:
            name: Name of the text, for errors.
            text: Lines of the text.
            counts: Counts of the lines; duplicates are moved out of `used`.
            unseen: Words; those of the text are removed.
            folder: Folder for the ARPA file and temporary files.

        Returns:
            The ARPA file.

        Raises:
            FileNotFoundError: `lmplz` is missing.
            ValueError: There is no usable line or too little text for the order, or `lmplz` failed.
        """
        if not counts.used:
            raise ValueError(f"{name}: found no usable line ({describe_counts(counts)})")
        arpa = text.path.with_suffix(".arpa")
        command = [find_lmplz(), "-o", str(self.order), "--discount_fallback", "-S", self.memory, "-T", f"{folder}/"]
        command += ["--arpa", str(arpa), *(["--prune", *map(str, self.prune)] if self.prune else [])]
        lines = _unique(text.read(), folder) if self.deduplicate else text.read()
        kept = unwritable = 0

        def tokens() -> Iterator[bytes]:
            nonlocal kept, unwritable
            for line in tqdm(lines, desc="estimating", total=counts.used, unit=" lines"):
                encoded = self.encode(line)
                if encoded is None:
                    unwritable += 1
                    continue
                kept += 1
                if unseen:
                    unseen.difference_update(line.split(b" "))
                yield encoded + b"\n"

        _feed(command, tokens(), folder / "lmplz.log", self.memory)
        if unwritable:
            counts.reasons[UNWRITABLE] += unwritable
            counts.left_out += unwritable
        counts.duplicates, counts.used = counts.used - kept - unwritable, kept
        with open_arpa(arpa) as (_, sizes):
            is_complete = len(sizes) == self.order and sizes[-1] > 0
        if not is_complete:  # raised out here: within the block it would be a fault of the ARPA file
            raise ValueError(
                f"{name}: found no {self.order}-gram in {kept} usable lines"
                f"{' after pruning' if self.prune else ''}; use a lower order, less pruning or more text"
            )
        return arpa

    def encode(self, line: bytes) -> bytes | None:
        """Write a normalised line as `lmplz` and the model's vocabulary have it; `None` if the labels cannot."""
        if self.folding:
            line = line.decode().translate(self.folding).encode()
        if self.tokenizer is None:
            return line
        tokens = encode_tokens(line.decode(), self.tokenizer)
        return None if tokens is None else tokens.encode()


def find_lmplz() -> str:
    """Return the path of KenLM's `lmplz`: beside this interpreter first, then on PATH.

    Raises:
        FileNotFoundError: It is in neither place.
    """
    own = Path(sys.prefix) / "bin" / "lmplz"
    found = str(own) if os.access(own, os.X_OK) else shutil.which("lmplz")
    if not found:
        raise FileNotFoundError(
            f"lmplz: no such program at {own} or on PATH; build it with: make setup (or scripts/build_kenlm.sh)"
        )
    return found


def _unique(lines: Iterable[bytes], folder: Path) -> Iterator[bytes]:
    """Yield each line once, in the order of their bytes."""
    command = ["sort", "--unique", "--buffer-size", _SORT_MEMORY, "--temporary-directory", str(folder)]
    environment = {**os.environ, "LC_ALL": "C"}  # compare bytes: quicker, and no two lines are taken for the same
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            for line in lines:  # it says nothing before it has read everything, so that no pipe can fill up
                process.stdin.write(line + b"\n")
            process.stdin.close()
            for line in process.stdout:
                yield line[:-1]
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise OSError(
            f"{folder.parent}: sort ended with exit status {process.returncode}; make room on the disk and run again"
        )


def _feed(command: Sequence[str], lines: Iterable[bytes], log_path: Path, memory: str) -> None:
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        assert process.stdin is not None
        try:
            process.stdin.writelines(lines)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early; its exit status and log say why
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
    if status:
        said = log_path.read_text(encoding="utf-8", errors="replace")
        raise ValueError(describe_failure(said, status, memory, log_path.parent.parent))


def describe_failure(said: str, status: int, memory: str, folder: Path) -> str:
    """Say in one line why `lmplz` failed.

    Args:
        said: What it wrote on standard error: a place in its C++ source, then the message, among progress lines.
        status: Its exit status.
        memory: What it was allowed to use, as the user wrote it.
        folder: The folder of its temporary files.
    """
    for mark, message in _FAILURES:
        if mark in said:
            return message.format(memory=memory, folder=folder)
    if status == -9:
        return f"memory={memory}: lmplz was killed, probably because the machine was out of memory; lower it"
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _NOISE.match(line)]
    return f"lmplz: exit status {status}: {' '.join(lines[-2:]) or 'no message'}"

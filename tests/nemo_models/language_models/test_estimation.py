"""lmplz's own messages, as it really writes them, become one line with what to do."""

import subprocess
from pathlib import Path

import pytest

from nemo_models.language_models.estimation import describe_failure

FULL_DISK = """=== 5/5 Writing ARPA model ===
terminate called after throwing an instance of 'util::FDException'
  what():  /tmp/source/util/file.cc:228 in void util::WriteOrThrow(int) threw FDException because `ret < 1'.
No space left on device in /dev/full while writing 646 bytes
"""


def run(lmplz: str, folder: Path, *arguments: str, text: str = "a b c\n" * 9) -> tuple[str, int]:
    command = [lmplz, "-o", "3", "-T", f"{folder}/", "--arpa", str(folder / "x.arpa"), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode
    return done.stderr, done.returncode


@pytest.mark.parametrize(
    ("arguments", "memory", "message"),
    [
        (("-S", "1X"), "1X", "memory=1X: expected a size such as 500M, 1G or 50%"),
        (("-S", "1K"), "1K", "memory=1K: expected more memory for this order; try memory=500M"),
        (("-S", "50M", "--prune", "1", "0", "0"), "50M", "prune: expected numbers that do not decrease with the order"),
    ],
)
def test_real_failures(lmplz: str, tmp_path: Path, arguments: tuple[str, ...], memory: str, message: str):
    said, status = run(lmplz, tmp_path, "--discount_fallback", *arguments)
    assert describe_failure(said, status, memory, tmp_path) == message


def test_a_failure_that_is_not_listed_keeps_its_message_without_the_source_lines(lmplz: str, tmp_path: Path):
    said, status = run(lmplz, tmp_path, "-S", "50M")
    message = describe_failure(said, status, "50M", tmp_path)
    assert message.startswith(f"lmplz: exit status {status}: Could not calculate Kneser-Ney discounts")
    assert ".cc:" not in message and "\n" not in message and "===" not in message


def test_a_full_disk_names_the_folder():
    assert describe_failure(FULL_DISK, -6, "1G", Path("/data")) == (
        "/data: found a full disk; free some space, or write output= to another disk"
    )
    assert "out of memory" in describe_failure("", -9, "1G", Path("/data"))

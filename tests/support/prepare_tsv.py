"""Prepares small corpora in tests, and reads what was written."""

from pathlib import Path

from preparing import prepare_corpus

ROWS = [(f"s{number % 7}/{number}.wav", f"spk{number % 7}", "कमल खिला") for number in range(30)]


def read_outputs(folder: Path) -> dict[str, bytes]:
    """All files but the shards and the lock: what a user gets."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".units" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def prepare(folder: Path, output_dir: Path, **arguments) -> dict:
    return prepare_corpus("tsv", folder, output_dir, **{"num_workers": 1, "unit_size": 4, **arguments})

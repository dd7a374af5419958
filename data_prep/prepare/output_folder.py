"""The output folder of data preparation: one run at a time, one corpus; other files are never overwritten."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.atomic import remove_leftovers
from data_prep.manifest import write_json
from data_prep.selection.splits import SPLITS

UNIT_FOLDER = ".units"
MANIFESTS = {split: f"{split}_manifest.json" for split in SPLITS}
OUTPUTS = (*MANIFESTS.values(), "rejected.jsonl", "report.json", "report.html")


@contextmanager
def claim_output(output_dir: Path, corpus: str, corpus_dir: Path) -> Iterator[None]:
    """Lock an output folder for one run, and clear away what a killed run left half-written.

    Args:
        output_dir: The folder; made if needed.
        corpus: Name of the corpus reader.
        corpus_dir: The corpus, as an absolute path.

    Raises:
        OSError: Another run is active in the folder.
        ValueError: The folder holds the output of another corpus, or files of the same names from elsewhere.
    """
    units = output_dir / UNIT_FOLDER
    _check_owner(output_dir, corpus, corpus_dir)
    units.mkdir(parents=True, exist_ok=True)
    with (units / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with this process; its workers do not inherit it
        except OSError as error:
            raise OSError(
                f"output_dir={output_dir}: found another run in this folder, expected none; wait for its end"
            ) from error
        shutil.rmtree(units / "tmp", ignore_errors=True)
        remove_leftovers(units)
        remove_leftovers(output_dir)
        write_json(units / "corpus.json", {"corpus": corpus, "corpus_dir": str(corpus_dir)})
        yield


def _check_owner(output_dir: Path, corpus: str, corpus_dir: Path) -> None:
    for record in (output_dir / UNIT_FOLDER / "corpus.json", output_dir / "report.json"):
        try:
            owner = json.loads(record.read_text(encoding="utf-8"))
            found = (owner["corpus"], owner["corpus_dir"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if found != (corpus, str(corpus_dir)):
            raise ValueError(
                f"output_dir={output_dir}: found the data of corpus={found[0]} corpus_dir={found[1]}, expected an "
                "empty folder or the same corpus; choose another output_dir, or remove this one"
            )
        return
    if foreign := [name for name in OUTPUTS if (output_dir / name).exists()]:
        raise ValueError(
            f"output_dir={output_dir}: found {', '.join(foreign)}, which no earlier run of this job wrote, expected a "
            "folder without them; choose another output_dir"
        )

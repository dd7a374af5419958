"""What all measures of a server share: recordings, references, arguments, the batch job's texts, printed rows."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jiwer
import soundfile
from side_process import ROOT, SHOWN, SideFailed, run_side

sys.path.insert(0, str(ROOT))

from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl

CLIENTS = str(ROOT / "scripts/benchmarks/serve_clients.py")
SPEED = re.compile(r"^RTFx\s+([\d.]+)", re.MULTILINE)


@dataclass
class Inputs:
    """The inputs of a benchmark.

    Attributes:
        model: The `.nemo` file.
        paths: The recordings.
        references: Their texts; empty if the manifest has none.
        arguments: Arguments of the server and the batch job.
        server_arguments: Arguments of the server alone.
        folder: Folder for temporary files.
        note: Keys of every row.
    """

    model: Path
    paths: list[str]
    references: list[str]
    arguments: list[str]
    server_arguments: list[str]
    folder: Path
    note: dict[str, Any]

    @property
    def server_command(self) -> list[str]:
        """Command line of the server."""
        script = [sys.executable, str(ROOT / "scripts/serve.py"), f"model_path={self.model}", "port={port}"]
        return [*script, *self.arguments, *self.server_arguments]

    @cached_property
    def offline_texts(self) -> dict[str, str]:
        """Texts of `transcribe_speech.py` by recording."""
        texts, _ = self.transcribe(self.paths)
        return dict(zip(self.paths, texts, strict=True))

    def transcribe(self, paths: Sequence[str]) -> tuple[list[str], float]:
        """Run `transcribe_speech.py`.

        Returns:
            The texts, and audio-seconds a second without loading (its RTFx).

        Raises:
            SideFailed: It ended with an error.
        """
        manifest, output = self.folder / "batch.json", self.folder / "batch_output.json"
        rows = [{"audio_filepath": path, "duration": soundfile.info(path).duration} for path in paths]
        write_jsonl(manifest, rows)
        command = [sys.executable, str(ROOT / "scripts/transcribe_speech.py"), f"model_path={self.model}"]
        command += [f"dataset_manifest={manifest}", f"output_filename={output}", "calculate_rtfx=true"]
        command += ["warmup_steps=1", *self.arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        found = SPEED.search(done.stdout)
        if done.returncode or found is None:
            raise SideFailed(f"{' '.join(command[1:])}: exit status {done.returncode}\n{done.stderr[-SHOWN:]}")
        return [json.loads(line)["pred_text"] for line in output.read_text(encoding="utf-8").splitlines()], float(
            found[1]
        )

    def ask_clients(self, kind: str, host: str, **plan: Any) -> Any:
        """Run clients in a process beside the server, see `serve_clients.py`."""
        path = self.folder / "plan.json"
        path.write_text(json.dumps({"host": host, "paths": self.paths, **plan}), encoding="utf-8")
        return run_side(CLIENTS, [kind, path])

    def measure_wer(self, texts: Sequence[str]) -> float | None:
        """Return the word error rate in per cent; `None` without references."""
        return round(100 * jiwer.wer(self.references, list(texts)), 2) if self.references else None

    def print_row(self, measure: str, **figures: Any) -> None:
        """Print one measure."""
        print(json.dumps({"measure": measure, **figures, **self.note}, ensure_ascii=False), flush=True)


def list_recordings(manifest: Path, most: int | None) -> tuple[list[str], list[str]]:
    """Read a manifest whose rows are whole recordings of one channel and one rate.

    Args:
        manifest: The manifest.
        most: Number of rows to take; `None`: all.

    Returns:
        Paths of the recordings, and their references (empty unless all have one).

    Raises:
        OSError: The manifest or a recording is missing.
        ValueError: A row is something else.
    """
    rows = read_manifest(manifest)[:most]
    if not rows:
        raise ValueError(f"{manifest}: found no recording, expected one or more; give another manifest")
    paths, rates = [], set()
    for number, row in enumerate(rows, 1):
        path = Path(resolve_audio_path(row["audio_filepath"], manifest)).resolve()
        if row.get("offset"):
            message = f"found offset={row['offset']}, expected whole recordings; cut them with export_shards.py"
            raise ValueError(f"{manifest}:{number}: {message}")
        try:
            facts = soundfile.info(str(path))
        except soundfile.LibsndfileError as error:
            raise OSError(f"{path}: {error}") from None
        if facts.channels != 1:
            raise ValueError(f"{path}: found {facts.channels} channels, expected 1; convert it")
        paths.append(str(path))
        rates.add(facts.samplerate)
    if len(rates) > 1:
        found = ", ".join(map(str, sorted(rates)))
        raise ValueError(f"{manifest}: found recordings of {found} Hz, expected one rate; choose those of one rate")
    references = [str(row.get("text") or "") for row in rows]
    return paths, references if all(references) else []

"""Packs a manifest's audio into large tar files, which training reads from front to back instead of seeking.

Two formats: NeMo's tarred datasets and Lhotse Shar. Both are written here, with the same bytes every time and without
NeMo or Lhotse, which would import torch; tests read them with NeMo's data loaders. Each shard is written atomically and
skipped if it is complete, so that a new run continues after a killed one.

    <output_dir>/tarred/audio_0.tar …, sharded_manifests/manifest_0.json …, tarred_audio_manifest.json
    <output_dir>/shar/cuts.000000.jsonl.gz …, recording.000000.tar …
"""

import io
import json
import math
import random
import re
import shutil
import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile

from data_prep.arguments import require_choice, require_int
from data_prep.atomic import atomic_path, open_atomic, remove_leftovers
from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.corpora.nemo import get_channel
from data_prep.engines import Engine
from data_prep.job_keys import make_key, stat_file
from data_prep.manifest import parse_manifest_line, resolve_audio_path, write_json, write_jsonl
from data_prep.prepare.shard_formats import add_file, describe_cut, describe_row, encode_rows
from data_prep.progress import ProgressBar

FORMATS = ("tarred", "shar")
AUDIO_FORMATS = ("flac", "wav")
SHARD_VERSION = 2  # part of each shard's key: raise it when the same rows give other bytes than before


@dataclass(frozen=True)
class _Shard:
    """Some rows of a manifest, by the bytes at which their lines begin, and everything that their shard depends on."""

    index: int
    count: int
    manifest: Path
    places: tuple[tuple[int, int, int], ...]  # (position in the shuffled order, row number, first byte)
    output_dir: Path
    format: str
    audio_format: str

    @property
    def state(self) -> Path:
        return self.output_dir / ".shards" / f"{self.format}-{self.index:06d}.json"

    @property
    def files(self) -> tuple[Path, Path]:
        """Files of the rows and of the audio."""
        if self.format == "shar":
            folder, number = self.output_dir / "shar", f"{self.index:06d}"
            return folder / f"cuts.{number}.jsonl.gz", folder / f"recording.{number}.tar"
        folder = self.output_dir / "tarred"
        return folder / "sharded_manifests" / f"manifest_{self.index}.json", folder / f"audio_{self.index}.tar"


def export_shards(
    manifest: str | Path,
    output_dir: str | Path,
    format: str = "tarred",
    *,
    num_shards: int | None = None,
    audio_format: str = "flac",
    seed: int = 0,
    engine: str = "local",
    address: str | None = None,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Pack a manifest for training at scale.

    Args:
        manifest: NeMo manifest with audio in files; rows may be segments with an `offset`, and may choose a channel
            with `channel_selector`.
        output_dir: Folder for `tarred/` or `shar/`.
        format: `tarred` or `shar`.
        num_shards: Number of shards, at most one a row; `None` for one an hour of audio. With a multiple of
            GPUs × data loader workers, each worker reads the same share.
        audio_format: `flac` or `wav`; both are lossless. Files of this format are copied byte by byte.
        seed: Seed of the order of the rows, which are shuffled over all shards.
        engine: `local` or `ray`, see `data_prep.engines.Engine`.
        address: Address of the Ray cluster.
        num_workers: Number of processes; `None` for one a core.

    Returns:
        `in`, `exported`, `hours`, `bytes`, `shards`, and `rejected`: rows whose audio could not be read, each with
        `row` (from 1), `reason`, `detail` and `audio_filepath`, as in `<output_dir>/<format>.rejected.jsonl`.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: An argument or a line of the manifest is invalid, or the folder holds another manifest's shards.
    """
    manifest, output_dir = Path(manifest).expanduser().resolve(), Path(output_dir).expanduser().resolve()
    require_choice("format", format, FORMATS)
    require_choice("audio_format", audio_format, AUDIO_FORMATS)
    require_int("num_shards", num_shards, least=1, optional=True)
    runner = Engine(engine, num_workers, address)
    starts, seconds = _index_manifest(manifest)
    count = min(num_shards or math.ceil(seconds / 3600), len(starts))
    order = list(range(len(starts)))
    random.Random(seed).shuffle(order)
    _claim(output_dir, format, manifest)
    _clear(output_dir, format, count)

    def cut() -> Iterator[_Shard]:
        for index in range(count):
            places = tuple((at, order[at], starts[order[at]]) for at in range(index, len(order), count))
            yield _Shard(index, count, manifest, places, output_dir, format, audio_format)

    with ProgressBar(total=len(starts), unit=" rows", desc="export", mininterval=0.5) as progress:
        for rows in runner.run(_write_shard, cut()):
            progress.update(rows)
    return _close(output_dir, format, count, len(starts))


def _index_manifest(manifest: Path) -> tuple[array, float]:
    """Return the first byte of each row, 8 bytes a row in memory, and the seconds of audio."""
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest}: no such manifest")
    starts, seconds, place = array("Q"), 0.0, 0
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                row = parse_manifest_line(line, f"{manifest}:{number}", ("audio_filepath", "duration", "text"))
                if "shard_id" in row:
                    raise ValueError(
                        f"{manifest}:{number}: found a tarred manifest; export the manifest it was made from"
                    )
                starts.append(place)
                seconds += row["duration"]
            place += len(line)
    if not starts:
        raise ValueError(f"{manifest}: found no row, expected one JSON object a line")
    return starts, seconds


def _claim(output_dir: Path, format: str, manifest: Path) -> None:
    """Note whose shards the folder holds; refuse to overwrite those of another manifest."""
    record = output_dir / ".shards" / f"{format}.json"
    try:
        owner = json.loads(record.read_text(encoding="utf-8"))["manifest"]
    except (OSError, ValueError, KeyError, TypeError):
        owner = str(manifest)
    if owner != str(manifest):
        raise ValueError(
            f"output_dir={output_dir}: found the {format} shards of {owner}, expected an empty folder or the same "
            "manifest; choose another output_dir"
        )
    write_json(record, {"manifest": str(manifest)})


def _clear(output_dir: Path, format: str, count: int) -> None:
    """Remove what a killed run left half-written, and the surplus shards of an earlier export with more of them."""
    shutil.rmtree(output_dir / ".shards" / "tmp", ignore_errors=True)
    for folder in {path.parent for path in _Shard(0, 0, output_dir, (), output_dir, format, "").files}:
        remove_leftovers(folder)
    for state in (output_dir / ".shards").glob(f"{format}-*.json"):
        index = int(state.stem.rpartition("-")[2])
        if index >= count:
            for path in (*_Shard(index, 0, state, (), output_dir, format, "").files, state):
                path.unlink(missing_ok=True)


def _write_shard(shard: _Shard) -> int:
    """Write a shard's two files and its state, unless they are complete; return its number of rows."""
    rows = list(_read_rows(shard))
    key = _make_key(shard, rows)
    if _is_done(shard, key):
        return len(rows)
    shard.state.unlink(missing_ok=True)  # from here until the end the two files may be of different runs
    exported, rejected = _pack_audio(shard, rows)
    with open_atomic(shard.files[0]) as out:
        out.write(encode_rows(exported, compress=shard.format == "shar"))
    hours = sum(row["duration"] for row in exported) / 3600
    size = sum(path.stat().st_size for path in shard.files)
    state = {"key": key, "exported": len(exported), "hours": hours, "bytes": size, "rejected": rejected}
    write_json(shard.state, state)
    return len(rows)


def _is_done(shard: _Shard, key: str) -> bool:
    try:
        done = json.loads(shard.state.read_text(encoding="utf-8"))["key"] == key
    except (OSError, ValueError, KeyError):
        return False
    return done and all(map(Path.is_file, shard.files))


def _pack_audio(
    shard: _Shard, rows: list[tuple[int, int, dict[str, Any]]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Write the tar of a shard; return the rows that are in it, and those whose audio could not be read."""
    scratch_dir = shard.output_dir / ".shards" / "tmp"
    scratch_dir.mkdir(parents=True, exist_ok=True)
    exported: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    with (
        TemporaryDirectory(dir=scratch_dir) as scratch,
        AudioReader(Path(scratch)) as reader,
        atomic_path(shard.files[1]) as packed,
        tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for at, number, row in rows:
            try:
                content, samples = _read_audio(row, shard, reader)
            except (AudioError, OSError, ValueError) as error:
                kind = "missing_audio" if isinstance(error, OSError) else "malformed_row"
                reason = error.reason if isinstance(error, AudioError) else kind
                place = {"row": number + 1, "reason": reason, "detail": str(error)}
                rejected.append({**place, "audio_filepath": row["audio_filepath"]})
                continue
            name = f"{at:09d}_{re.sub(r'[^0-9A-Za-z]+', '_', Path(row['audio_filepath']).stem)[:40]}"
            exported.append(
                describe_cut(name, row, samples)
                if shard.format == "shar"
                else describe_row(name, row, shard.index, shard.audio_format, samples)
            )
            add_file(tar, f"{name}.{shard.audio_format}", content)
            if shard.format == "shar":
                add_file(tar, f"{name}.json", json.dumps(exported[-1]["recording"]).encode() + b"\n")
    return exported, rejected


def _read_rows(shard: _Shard) -> Iterator[tuple[int, int, dict[str, Any]]]:
    with shard.manifest.open("rb") as lines:
        for at, number, start in shard.places:
            lines.seek(start)
            yield at, number, parse_manifest_line(lines.readline(), str(shard.manifest), ())


def _make_key(shard: _Shard, rows: list[tuple[int, int, dict[str, Any]]]) -> str:
    stats = [stat_file(resolve_audio_path(row["audio_filepath"], shard.manifest)) for _, _, row in rows]
    place = [shard.index, shard.count, shard.format, shard.audio_format, str(shard.manifest.parent)]
    return make_key(SHARD_VERSION, place, rows, stats)


def _read_audio(row: dict[str, Any], shard: _Shard, reader: AudioReader) -> tuple[bytes, int]:
    """Return the encoded audio of a row and its number of samples."""
    path = resolve_audio_path(row["audio_filepath"], shard.manifest)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    offset = row.get("offset") or None
    audio = reader.read(str(path), offset, row["duration"] if offset else None, channel=get_channel(row))
    if audio.ready and soundfile.info(str(path)).format == shard.audio_format.upper():
        return path.read_bytes(), len(audio.samples)
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, SAMPLE_RATE_HZ, format=shard.audio_format.upper(), subtype="PCM_16")
    return buffer.getvalue(), len(audio.samples)


def _close(output_dir: Path, format: str, count: int, rows: int) -> dict[str, Any]:
    """Add up the shards, write NeMo's manifest of all of them, and list the rows that could not be read."""
    states, rejected = [], []
    for index in range(count):
        shard = _Shard(index, count, output_dir, (), output_dir, format, "")
        states.append(json.loads(shard.state.read_text(encoding="utf-8")))
        rejected += states[-1].pop("rejected")
    if format == "tarred":
        manifests = (_Shard(index, count, output_dir, (), output_dir, format, "").files[0] for index in range(count))
        lines = (json.loads(line) for path in manifests for line in path.read_text(encoding="utf-8").splitlines())
        write_jsonl(output_dir / "tarred" / "tarred_audio_manifest.json", lines)
    rejected.sort(key=lambda row: row["row"])
    write_jsonl(output_dir / f"{format}.rejected.jsonl", rejected)
    exported = sum(state["exported"] for state in states)
    assert rows == exported + len(rejected), f"{rows} rows in, but {exported} exported and {len(rejected)} rejected"
    hours, size = sum(state["hours"] for state in states), sum(state["bytes"] for state in states)
    return {"in": rows, "exported": exported, "hours": hours, "bytes": size, "shards": count, "rejected": rejected}

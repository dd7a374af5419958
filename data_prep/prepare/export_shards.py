"""Packs a manifest's audio into large files, read from front to back: how training at scale avoids a seek an utterance.

Two formats: NeMo's tarred datasets and Lhotse Shar. Both are written here byte by byte the same way every time, without
NeMo or Lhotse (which would bring torch in); tests read them back with NeMo's own data loaders. Each shard is finished
atomically and skipped when it is there; where a killed run stopped, the next one goes on.

    <output_dir>/tarred/audio_0.tar …, sharded_manifests/manifest_0.json …, tarred_audio_manifest.json
    <output_dir>/shar/cuts.000000.jsonl.gz …, recording.000000.tar …

Source: nemo/scripts/speech_recognition/convert_to_tarred_audio_dataset.py and nemo_adapters.py (NeMo 3.0.0);
lhotse/shar/writers (Lhotse 1.33).
"""

import gzip
import hashlib
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
from tqdm import tqdm

from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.engines import Engine
from data_prep.manifest import parse_manifest_line, resolve_audio_path, write_json, write_jsonl

FORMATS = ("tarred", "shar")
AUDIO_FORMATS = ("flac", "wav")


@dataclass(frozen=True)
class _Shard:
    """Some rows of a manifest, as the places where their lines begin, and all that their shard depends on."""

    index: int
    count: int
    manifest: Path
    places: tuple[tuple[int, int, int], ...]  # (place in the shuffled order, number of the row, byte where it begins)
    output_dir: Path
    format: str
    audio_format: str

    @property
    def state(self) -> Path:
        return self.output_dir / ".shards" / f"{self.format}-{self.index:06d}.json"

    @property
    def files(self) -> tuple[Path, Path]:
        """Rows and audio."""
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
        manifest: NeMo manifest with audio in files; rows may be segments with an `offset`.
        output_dir: Where `tarred/` or `shar/` goes.
        format: `tarred` or `shar`.
        num_shards: Shards, at most one a row; `None` is one an hour of audio. A multiple of GPUs × data loader workers
            gives each the same share.
        audio_format: `flac` or `wav`; both are lossless. Files that are that already are copied byte by byte.
        seed: Of the order of the rows, which is shuffled over all shards.
        engine: `local` or `ray`, see `data_prep.engines.Engine`.
        address: Of the Ray cluster.
        num_workers: Processes; `None` is one a core.

    Returns:
        `in`, `exported`, `hours`, `bytes`, `shards`, and `rejected`: rows whose audio could not be read, each with
        `row` (from 1), `reason`, `detail` and `audio_filepath`, as in `<output_dir>/<format>.rejected.jsonl`.

    Raises:
        FileNotFoundError: There is no such manifest.
        ValueError: An argument is wrong, or a line of the manifest is.
    """
    manifest, output_dir = Path(manifest).expanduser().resolve(), Path(output_dir).expanduser().resolve()
    for name, value, allowed in (("format", format, FORMATS), ("audio_format", audio_format, AUDIO_FORMATS)):
        if value not in allowed:
            raise ValueError(f"{name}={value}: expected {' or '.join(allowed)}")
    if num_shards is not None and (isinstance(num_shards, bool) or not isinstance(num_shards, int) or num_shards < 1):
        raise ValueError(f"num_shards={num_shards}: expected a whole number from 1, or null")
    runner = Engine(engine, num_workers, address)
    starts, seconds = _index_manifest(manifest)
    count = min(num_shards or math.ceil(seconds / 3600), len(starts))
    order = list(range(len(starts)))
    random.Random(seed).shuffle(order)
    _clear(output_dir, format, count)

    def cut() -> Iterator[_Shard]:
        for index in range(count):
            places = tuple((at, order[at], starts[order[at]]) for at in range(index, len(order), count))
            yield _Shard(index, count, manifest, places, output_dir, format, audio_format)

    with tqdm(total=len(starts), unit=" rows", desc="export", mininterval=0.5) as progress:
        for rows in runner.run(_write_shard, cut()):
            progress.update(rows)
    return _close(output_dir, format, count, len(starts))


def _index_manifest(manifest: Path) -> tuple[array, float]:
    """Return the byte at which each row begins, and the seconds of audio; eight bytes a row are held."""
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest}: no such manifest")
    starts, seconds, place = array("Q"), 0.0, 0
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                row = parse_manifest_line(line, f"{manifest}:{number}", ("audio_filepath", "duration", "text"))
                if "shard_id" in row:
                    raise ValueError(f"{manifest}:{number}: a tarred manifest; export the one that it was made from")
                starts.append(place)
                seconds += row["duration"]
            place += len(line)
    if not starts:
        raise ValueError(f"{manifest}: holds no row; there is nothing to export")
    return starts, seconds


def _clear(output_dir: Path, format: str, count: int) -> None:
    """Remove what a killed run left half-written, and shards of an export that had more of them."""
    shutil.rmtree(output_dir / ".shards" / "tmp", ignore_errors=True)
    for state in (output_dir / ".shards").glob(f"{format}-*.json"):
        index = int(state.stem.rpartition("-")[2])
        if index >= count:
            for path in (*_Shard(index, 0, state, (), output_dir, format, "").files, state):
                path.unlink(missing_ok=True)


def _write_shard(shard: _Shard) -> int:
    rows = list(_read_rows(shard))
    key = _make_key(shard, rows)
    try:
        if json.loads(shard.state.read_text(encoding="utf-8"))["key"] == key and all(map(Path.is_file, shard.files)):
            return len(rows)
    except (OSError, ValueError, KeyError):
        pass  # not done yet
    scratch_dir = shard.output_dir / ".shards" / "tmp"
    scratch_dir.mkdir(parents=True, exist_ok=True)
    exported: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    with TemporaryDirectory(dir=scratch_dir) as scratch, AudioReader(Path(scratch)) as reader:
        packed = Path(scratch) / "audio.tar"
        with tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as tar:
            for at, number, row in rows:
                try:
                    content, samples = _read_audio(row, shard, reader)
                except (AudioError, OSError) as error:
                    reason = error.reason if isinstance(error, AudioError) else "missing_audio"
                    place = {"row": number + 1, "reason": reason, "detail": str(error)}
                    rejected.append({**place, "audio_filepath": row["audio_filepath"]})
                    continue
                name = f"{at:09d}_{re.sub(r'[^0-9A-Za-z]+', '_', Path(row['audio_filepath']).stem)[:40]}"
                entry = (
                    _describe_cut(name, row, samples)
                    if shard.format == "shar"
                    else _describe_row(name, row, shard, samples)
                )
                exported.append(entry)
                _add_file(tar, f"{name}.{shard.audio_format}", content)
                if shard.format == "shar":
                    _add_file(tar, f"{name}.json", json.dumps(entry["recording"]).encode() + b"\n")
        listed = Path(scratch) / "rows"
        listed.write_bytes(_encode_rows(exported, compress=shard.format == "shar"))
        for source, target in zip((listed, packed), shard.files, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
    hours = sum(row["duration"] for row in exported) / 3600
    size = sum(path.stat().st_size for path in shard.files)
    state = {"key": key, "exported": len(exported), "hours": hours, "bytes": size, "rejected": rejected}
    write_json(shard.state, state)
    return len(rows)


def _read_rows(shard: _Shard) -> Iterator[tuple[int, int, dict[str, Any]]]:
    with shard.manifest.open("rb") as lines:
        for at, number, start in shard.places:
            lines.seek(start)
            yield at, number, parse_manifest_line(lines.readline(), str(shard.manifest), ())


def _make_key(shard: _Shard, rows: list[tuple[int, int, dict[str, Any]]]) -> str:
    stats = []
    for _, _, row in rows:
        try:
            stat = resolve_audio_path(row["audio_filepath"], shard.manifest).stat()
            stats.append((stat.st_size, stat.st_mtime_ns))
        except OSError:
            stats.append((-1, -1))
    made_of = [1, shard.index, shard.count, shard.format, shard.audio_format, str(shard.manifest.parent), rows, stats]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _read_audio(row: dict[str, Any], shard: _Shard, reader: AudioReader) -> tuple[bytes, int]:
    """Return the encoded audio of a row and its number of samples."""
    path = resolve_audio_path(row["audio_filepath"], shard.manifest)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    offset = row.get("offset") or None
    audio = reader.read(str(path), offset, row["duration"] if offset else None)
    if audio.ready and soundfile.info(str(path)).format == shard.audio_format.upper():
        return path.read_bytes(), len(audio.samples)
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, SAMPLE_RATE_HZ, format=shard.audio_format.upper(), subtype="PCM_16")
    return buffer.getvalue(), len(audio.samples)


def _describe_row(name: str, row: dict[str, Any], shard: _Shard, samples: int) -> dict[str, Any]:
    kept = {key: value for key, value in row.items() if key != "offset"}
    place = {"audio_filepath": f"{name}.{shard.audio_format}", "duration": samples / SAMPLE_RATE_HZ}
    return {**kept, **place, "shard_id": shard.index}


def _describe_cut(name: str, row: dict[str, Any], samples: int) -> dict[str, Any]:
    duration = samples / SAMPLE_RATE_HZ
    span = {"start": 0, "duration": duration, "channel": 0}
    supervision = {"id": name, "recording_id": name, **span, "text": row["text"], "language": "hi"}
    if "speaker" in row:
        supervision["speaker"] = str(row["speaker"])
    recording = {
        "id": name,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": SAMPLE_RATE_HZ,
        "num_samples": samples,
        "duration": duration,
        "channel_ids": [0],
    }
    return {"id": name, **span, "supervisions": [supervision], "recording": recording, "type": "MonoCut"}


def _add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # owner 0, time 0: the same bytes every time
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _encode_rows(rows: list[dict[str, Any]], compress: bool) -> bytes:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return gzip.compress(content, mtime=0) if compress else content


def _close(output_dir: Path, format: str, count: int, rows: int) -> dict[str, Any]:
    """Add up the shards, write NeMo's manifest of all of them, and list what could not be read."""
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

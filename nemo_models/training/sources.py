"""The files that training and validation data are read from: manifests, tarred shards, and Lhotse's Shar folders."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo.collections.asr.data.audio_to_text import expand_sharded_filepaths
from omegaconf import DictConfig, ListConfig, OmegaConf

from data_prep.arguments import is_number
from data_prep.languages.language import DEFAULT_LANGUAGE, is_known
from data_prep.languages.union import LANGUAGE_KEY
from data_prep.manifest import MANIFEST_KEYS, parse_manifest_line

Row = dict[str, Any]

DATA_KEYS = ("manifest_filepath", "shar_path", "cuts_path", "input_cfg")  # Lhotse reads any of them
# Keys of a row without a transcript: a noise, or an utterance for pre-training.
AUDIO_KEYS = ("audio_filepath", "duration")
SHARD_NUMBERS = (  # NeMo's expressions
    (re.compile(r"manifest[^/]*_(\d+)[^/]*\.json"), "manifest_N.json"),
    (re.compile(r"audio[^/]*_(\d+)[^/]*\.tar"), "audio_N.tar"),
)


@dataclass(frozen=True)
class Source:
    """One manifest, or the cuts of one Shar shard.

    Attributes:
        path: The file.
        has_files: Whether its rows name audio files, and not members of a tar.
        keys: The keys that every row of a manifest must have.
    """

    path: Path
    has_files: bool = True
    keys: tuple[str, ...] = MANIFEST_KEYS

    def count_lines(self) -> int:
        """Count its lines quickly, for a progress bar; 0 if it is compressed or missing."""
        if not self.path.is_file() or self.path.suffix == ".gz":
            return 0  # reading reports a missing file
        with self.path.open("rb") as content:
            return sum(block.count(b"\n") for block in iter(lambda: content.read(1 << 20), b""))

    def read(self) -> Iterator[Row]:
        """Stream its utterances as manifest rows.

        Raises:
            FileNotFoundError: The file is missing.
            ValueError: A line is invalid (`path:line: …`), or the file is compressed and damaged.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such manifest")
        is_shar = ".jsonl" in self.path.suffixes and self.path.name.startswith("cuts.")
        for number, line in enumerate(self._read_lines(), 1):
            if line.strip():
                where = f"{self.path}:{number}"
                if is_shar:
                    yield _row_of_cut(parse_manifest_line(line, where, ("id", "duration")), where)
                else:
                    yield _check_offset(parse_manifest_line(line, where, self.keys), where)

    def _read_lines(self) -> Iterator[bytes]:
        if self.path.suffix != ".gz":
            with self.path.open("rb") as lines:
                yield from lines
            return
        try:
            with gzip.open(self.path, "rb") as unpacked:
                yield from unpacked
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{self.path}: found damaged gzip data ({error}), expected a complete file; copy the file again, or "
                "export the shards again (scripts/export_shards.py)"
            ) from error


def list_sources(dataset: DictConfig, keys: tuple[str, ...] = MANIFEST_KEYS) -> list[Source]:
    """List the files that a dataset of NeMo's is read from, with the parts of an `input_cfg`; patterns are expanded.

    Args:
        dataset: `train_ds` or `validation_ds`.
        keys: The keys that every row of a manifest must have.

    Raises:
        FileNotFoundError: A tar file, a Shar folder or a part of one is missing.
        ValueError: Manifests and tar files, or the parts of Shar shards, do not match.
    """
    tars = [shard for value in _strings(dataset.get("tarred_audio_filepaths")) for shard in _expand(value)]
    for tar in tars:
        if not Path(tar).is_file():
            raise FileNotFoundError(f"{tar}: no such tar file of audio")
    if tars:
        _check_shard_numbers(dataset.get("manifest_filepath"), dataset.tarred_audio_filepaths)
    has_files = not tars and not dataset.get("is_tarred", False)
    found = [
        Source(Path(path), has_files, keys)
        for value in _strings(dataset.get("manifest_filepath"))
        for path in _expand(value)
    ]
    for folder in _strings(dataset.get("shar_path")):
        cuts = sorted(Path(folder).glob("cuts.*.jsonl*"))
        if not cuts:
            raise FileNotFoundError(f"{folder}: found no cuts.*.jsonl.gz, expected a folder in Lhotse's Shar format")
        _check_shar_parts(Path(folder), cuts)
        found += [Source(path, has_files=False) for path in cuts]
    parts = dataset.get("input_cfg") or []
    for part in OmegaConf.load(parts) if isinstance(parts, str) else parts:
        found += list_sources(part, keys)  # type: ignore[arg-type]  # a list of mappings
    return found


def list_noise_sources(dataset: DictConfig) -> list[Source]:
    """List the manifests of the noises that are mixed in; none if only Lhotse reads this kind of `noise_path`."""
    noise = dataset.get("noise_path")
    if not isinstance(noise, str) or noise.endswith((".yaml", ".jsonl", ".jsonl.gz")):
        return []
    return [Source(Path(path), keys=AUDIO_KEYS) for path in _expand(noise)]


def find_empty_sets(cfg: DictConfig) -> list[str]:
    """Describe the datasets that are missing although training, or the choice of the best weights, needs them."""
    problems = []
    if not _has_data(cfg.model.train_ds):
        problems.append("model.train_ds: found no data; give its manifest_filepath or shar_path")
    checkpoints = cfg.exp_manager.get("checkpoint_callback_params") or {}
    monitor = str(checkpoints.get("monitor") or "")
    is_needed = cfg.exp_manager.get("create_checkpoint_callback", True) and monitor.startswith("val_")
    if is_needed and not _has_data(cfg.model.validation_ds):
        problems.append(
            f"model.validation_ds: found no data, expected some to choose the best weights by {monitor}; give its "
            "manifest_filepath, or another exp_manager.checkpoint_callback_params.monitor"
        )
    return problems


def _has_data(dataset: DictConfig) -> bool:
    return any(dataset.get(key) for key in (DATA_KEYS if dataset.get("use_lhotse") else DATA_KEYS[:1]))


def _check_shard_numbers(manifests: Any, tars: Any) -> None:
    """Check the numbers in the names of manifests and tar files, by which NeMo pairs them."""
    pairs = [(manifests, tars)]
    if isinstance(manifests, ListConfig | list | tuple):
        listed = tars if isinstance(tars, ListConfig | list | tuple) else [tars]
        if len(manifests) != len(listed):
            raise ValueError(
                f"manifest_filepath has {len(manifests)} items, tarred_audio_filepaths {len(listed)}: expected as "
                "many; give a tar file, or a pattern of them, for each manifest or pattern of manifests"
            )
        pairs = list(zip(manifests, listed, strict=True))
    for pair in pairs:
        names = [[path for value in _strings(side) for path in _expand(value)] for side in pair]
        if len(names[0]) < 2:
            continue  # the rows of a single manifest name their shard
        manifest_of, tar_of = (
            {_shard_number(path, *expected): path for path in side}
            for side, expected in zip(names, SHARD_NUMBERS, strict=True)
        )
        for number in sorted(manifest_of.keys() ^ tar_of.keys()):
            path, other = (
                (manifest_of.get(number), "tar file") if number in manifest_of else (tar_of[number], "manifest")
            )
            raise ValueError(
                f"{path}: found no {other} with this number, expected one for each; add it to manifest_filepath or "
                "tarred_audio_filepaths"
            )


def _shard_number(path: str, pattern: re.Pattern[str], expected: str) -> int:
    if (found := pattern.search(path)) is None:
        raise ValueError(f"{path}: found no shard number in the name, expected a name like {expected}; rename the file")
    return int(found.group(1))


def _check_shar_parts(folder: Path, cuts: list[Path]) -> None:
    """Check that every file of a Shar folder is part of a shard, and that every shard is complete, as Lhotse needs."""
    shards = {path.name.split(".")[1]: path.name for path in cuts}
    parts: dict[str, set[str]] = {}
    for path in sorted(folder.iterdir()):
        kind, number = [*path.name.split("."), ""][:2]
        if number not in shards:
            raise ValueError(
                f"{path}: found no cuts.{number}.jsonl.gz beside it, expected only files of shards in this folder; "
                "copy the missing file there, or move this one away"
            )
        parts.setdefault(kind, set()).add(number)
    for kind, numbers in parts.items():
        for number in sorted(shards.keys() - numbers):
            raise FileNotFoundError(
                f"{folder / kind}.{number}.*: no such file, expected it beside {shards[number]}; copy it there, or "
                "export the shards again (scripts/export_shards.py)"
            )


def _check_offset(row: Row, where: str) -> Row:
    offset = row.get("offset")
    if offset is not None and not (is_number(offset) and offset >= 0):
        raise ValueError(
            f"{where}: found offset {json.dumps(offset, ensure_ascii=False)}, expected seconds from the file's start; "
            "correct it, or remove it if the row is the whole file"
        )
    return row


def _strings(value: Any) -> Iterator[str]:
    """Yield the paths in NeMo's nested lists of paths and weights."""
    if isinstance(value, ListConfig | list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str | Path):
        yield from str(value).split(",")


def _expand(pattern: str) -> list[str]:
    return expand_sharded_filepaths(pattern, shard_strategy="replicate", world_size=1, global_rank=0)


def _row_of_cut(cut: Mapping[str, Any], where: str) -> Row:
    spoken = cut.get("supervisions") or []
    if not isinstance(spoken, list) or not all(isinstance(item, dict) for item in spoken):
        raise ValueError(f"{where}: found invalid supervisions, expected a list of objects; export the shards again")
    text = " ".join(str(item.get("text") or "") for item in spoken)
    speakers = {item["speaker"] for item in spoken if item.get("speaker")}
    codes = {item["language"] for item in spoken if is_known(str(item.get("language")))}
    return {
        "audio_filepath": str(cut["id"]),
        "duration": cut["duration"],
        "text": text,
        **({"speaker": speakers.pop()} if len(speakers) == 1 else {}),
        **({LANGUAGE_KEY: codes.pop()} if len(codes) == 1 and codes != {DEFAULT_LANGUAGE} else {}),
    }

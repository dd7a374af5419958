"""What training and validation data are read from: manifests, those of tarred shards, and Lhotse's Shar folders."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo.collections.asr.data.audio_to_text import expand_sharded_filepaths
from omegaconf import DictConfig, ListConfig

from data_prep.manifest import parse_manifest_line

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """One manifest, or the cuts of one Shar shard.

    Attributes:
        path: The file.
        has_files: Whether its rows name audio files (not members of a tar).
    """

    path: Path
    has_files: bool = True

    def count_lines(self) -> int:
        """Count its lines quickly, for a progress bar; 0 where it is compressed or not there."""
        if not self.path.is_file() or self.path.suffix == ".gz":
            return 0  # a missing file is reported when it is read
        with self.path.open("rb") as content:
            return sum(block.count(b"\n") for block in iter(lambda: content.read(1 << 20), b""))

    def read(self) -> Iterator[Row]:
        """Stream its utterances as manifest rows."""
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such manifest")
        is_shar = ".jsonl" in self.path.suffixes and self.path.name.startswith("cuts.")
        with (gzip.open if self.path.suffix == ".gz" else open)(self.path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    where = f"{self.path}:{number}"
                    if is_shar:
                        yield _row_of_cut(parse_manifest_line(line, where, ("id", "duration", "supervisions")), where)
                    else:
                        yield parse_manifest_line(line, where, ("audio_filepath", "duration", "text"))


def list_sources(dataset: DictConfig) -> list[Source]:
    """List what a data set of NeMo's is read from; a pattern of shards is written out.

    Raises:
        FileNotFoundError: A tar file or a Shar folder is not there.
    """
    tars = [shard for value in _strings(dataset.get("tarred_audio_filepaths")) for shard in _expand(value)]
    for tar in tars:
        if not Path(tar).is_file():
            raise FileNotFoundError(f"{tar}: no such tar file of audio")
    has_files = not tars and not dataset.get("is_tarred", False)
    found = [
        Source(Path(path), has_files) for value in _strings(dataset.get("manifest_filepath")) for path in _expand(value)
    ]
    for folder in _strings(dataset.get("shar_path")):
        cuts = sorted(Path(folder).glob("cuts.*.jsonl*"))
        if not cuts:
            raise FileNotFoundError(f"{folder}: no cuts.*.jsonl.gz in it; expected a folder in Lhotse's Shar format")
        found += [Source(path, has_files=False) for path in cuts]
    return found


def _strings(value: Any) -> Iterator[str]:
    """The texts in NeMo's nested lists of paths, whose numbers are weights."""
    if isinstance(value, ListConfig | list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str | Path):
        yield from str(value).split(",")


def _expand(pattern: str) -> list[str]:
    return expand_sharded_filepaths(pattern, shard_strategy="replicate", world_size=1, global_rank=0)


def _row_of_cut(cut: Mapping[str, Any], where: str) -> Row:
    spoken = cut["supervisions"]
    if not isinstance(spoken, list) or not all(isinstance(item, dict) for item in spoken):
        raise ValueError(f"{where}: supervisions is no list of objects; expected a cut in Lhotse's format")
    text = " ".join(str(item.get("text") or "") for item in spoken)
    speakers = {item["speaker"] for item in spoken if item.get("speaker")}
    return {
        "audio_filepath": str(cut["id"]),
        "duration": cut["duration"],
        "text": text,
        **({"speaker": speakers.pop()} if len(speakers) == 1 else {}),
    }

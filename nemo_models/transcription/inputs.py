"""The inputs of a transcription: from a NeMo manifest, a folder, a list of files, or standard input."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.arguments import is_number
from data_prep.audio.channels import check_channel
from data_prep.audio.formats import is_recording
from data_prep.languages.union import LANGUAGE_KEY
from data_prep.manifest import parse_manifest_line, resolve_audio_path
from nemo_models.transcription.audio_reader import probe_duration
from nemo_models.transcription.options import EACH_CHANNEL

STANDARD_INPUT = "-"
MAX_SECONDS = 1e9  # thirty years; a longer time is a typing error
_MOST_NAMED = 10  # files that a search left out
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioInput:
    """One piece of audio to transcribe.

    Attributes:
        path: The file.
        offset_s: Start of the piece in the file, seconds.
        duration_s: Length of the piece, seconds; `None` is up to the end of the file.
        fields: The manifest's row, or other fields to write beside the text in the output.
        error: Reason for which it is not read, where that is known before reading (`reason: details`).
        place: Where it was named (`manifest:line`), for messages about it.
        header_s: Length of the file according to its header, seconds, for sorting and progress bars. Headers may be
            wrong in both directions; the whole file is read.
        channel: The channel to transcribe, see `TranscribeOptions.channel`; `None`: the job's choice.
        label: Name of the channel in outputs, where each of several is transcribed on its own.
    """

    path: Path
    offset_s: float = 0.0
    duration_s: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    place: str | None = None
    header_s: float | None = None
    channel: int | str | None = None
    label: str | None = None

    @property
    def expected_s(self) -> float:
        """Expected length of the audio, seconds; 0 if it is not known."""
        return self.duration_s if self.duration_s is not None else self.header_s or 0.0


def in_language(audio: AudioInput, code: str | None) -> AudioInput:
    """Return an input that is to be recognised in a language, for a model that has several; `None` changes nothing."""
    return replace(audio, fields={**audio.fields, LANGUAGE_KEY: code}) if code else audio


def list_inputs(
    dataset_manifest: str | Path | None = None,
    audio_dir: str | Path | None = None,
    audio_list: str | Path | Sequence[str | Path] | None = None,
    audio_key: str = "audio_filepath",
    audio_type: str | None = None,
) -> list[AudioInput]:
    """List what to transcribe.

    Args:
        dataset_manifest: A NeMo manifest, `-` for standard input; see `read_manifest_inputs`.
        audio_dir: A folder; see `find_audio_inputs`.
        audio_list: A file with one path in each line, `-` for standard input, or paths, or a single recording. Relative
            paths start at the current folder. One of the three is given.
        audio_key: The manifest's key of the path.
        audio_type: Extension of the files to take from the folder.

    Raises:
        FileNotFoundError: The manifest, folder or list does not exist.
        ValueError: None or several are given, or there is nothing to do.
    """
    given = [source for source in (dataset_manifest, audio_dir, audio_list) if source is not None]
    if len(given) != 1:
        raise ValueError(
            f"dataset_manifest, audio_dir, audio_list: found {len(given)} of them, expected one; "
            "give one of dataset_manifest (JSON lines), audio_dir (a folder) and audio_list (a file of paths, or paths)"
        )
    if dataset_manifest is not None:
        return read_manifest_inputs(dataset_manifest, audio_key)
    if audio_dir is not None:
        return find_audio_inputs(Path(audio_dir), audio_type)
    assert audio_list is not None
    return read_listed_inputs(audio_list)


def read_manifest_inputs(manifest: str | Path, audio_key: str = "audio_filepath") -> list[AudioInput]:
    """List the audio of a NeMo manifest; `offset` and `duration` cut a segment out of the file.

    Args:
        manifest: JSON lines; `-`: standard input. Relative paths start at its folder.
        audio_key: The key of the path.

    Returns:
        One input for each line that is not empty; an invalid line has an `error` that names file and line.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: It is empty.
    """
    lines = _read_lines(manifest, "dataset_manifest")
    inputs = [_parse_line(line, number, str(manifest), audio_key) for number, line in lines]
    if not inputs:
        raise ValueError(f"dataset_manifest={manifest}: found an empty manifest, expected JSON lines; write its rows")
    return inputs


def find_audio_inputs(audio_dir: Path, audio_type: str | None = None) -> list[AudioInput]:
    """List the recordings under a folder and its subfolders, linked ones too, in order of their paths.

    A recording is known by its content, or by an extension that recordings have (so that a broken one is an error and
    does not vanish). The files that the search left out are named in a warning.

    Args:
        audio_dir: The folder.
        audio_type: Extension of the files to take, such as `wav`; `None` takes all recordings.

    Returns:
        One input for each file. Links that lead nowhere are among them; a folder that may not be read has an `error`.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It holds no recording.
    """
    if not audio_dir.is_dir():
        raise FileNotFoundError(f"audio_dir={audio_dir}: found no such folder; check the path")
    closed: list[OSError] = []
    taken: list[Path] = []
    left_out: list[Path] = []
    for path in _walk(audio_dir, closed):
        wanted = _has_extension(path, audio_type) if audio_type else is_recording(path)
        (taken if wanted else left_out).append(path)
    inputs = [as_input(path) for path in taken]
    for error in closed:
        folder = as_input(str(error.filename))
        inputs.append(replace(folder, error=f"unreadable_audio: the folder {folder.path}: {error.strerror}"))
    if not inputs:
        expected = f"a file that ends in .{audio_type.lstrip('.')}" if audio_type else "recordings"
        found = f"found {len(left_out)} other files" if left_out else "found no file"
        raise ValueError(f"audio_dir={audio_dir}: {found}, expected {expected}; choose another folder or audio_type")
    if left_out:
        _log.warning("%s", describe_left_out(audio_dir, left_out, audio_type))
    return sorted(inputs, key=lambda audio: audio.path)


def describe_left_out(audio_dir: Path, left_out: Sequence[Path], audio_type: str | None = None) -> str:
    """Name the files that a folder's search left out, in one line."""
    names = sorted(str(path.relative_to(audio_dir)) for path in left_out)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    why = f"do not end in .{audio_type.lstrip('.')}" if audio_type else "are not recordings"
    return f"audio_dir={audio_dir}: left out {len(names)} files that {why}: {', '.join(names[:_MOST_NAMED])}{more}"


def _has_extension(path: Path, audio_type: str) -> bool:
    return path.suffix.lower() == f".{audio_type.lower().lstrip('.')}"


def _walk(folder: Path, closed: list[OSError]) -> Iterator[Path]:
    """Yield all files, each folder's once however many links lead to it; `closed` gets the folders without access."""
    seen: set[tuple[int, int]] = set()
    for name, subfolders, files in os.walk(folder, onerror=closed.append, followlinks=True):
        here = Path(name)
        identity = (here.stat().st_dev, here.stat().st_ino)
        if identity in seen:
            subfolders.clear()
            continue
        seen.add(identity)
        links = {subfolder for subfolder in subfolders if (here / subfolder).is_symlink()}
        subfolders[:] = [*sorted(set(subfolders) - links), *sorted(links)]
        yield from (here / file for file in files)


def read_listed_inputs(audio_list: str | Path | Sequence[str | Path]) -> list[AudioInput]:
    """List the files that a text file or standard input names, one a line, or a sequence of paths, or one recording.

    Raises:
        FileNotFoundError: The list does not exist.
        ValueError: It is empty.
    """
    if isinstance(audio_list, str | Path) and is_recording(audio_list):
        paths = [str(audio_list)]
    elif isinstance(audio_list, str | Path):
        lines = _read_lines(audio_list, "audio_list")
        paths = [line.decode("utf-8-sig", "surrogateescape").strip() for _, line in lines]
    else:
        paths = [str(path) for path in audio_list]
    if not paths:
        raise ValueError(f"audio_list={audio_list}: found no name, expected one path in each line; write them")
    return [as_input(path) for path in paths]


def as_input(item: AudioInput | Path | str) -> AudioInput:
    """Make an input of a path; an input stays as it is."""
    return item if isinstance(item, AudioInput) else AudioInput(Path(item), fields={"audio_filepath": str(item)})


def measure_durations(inputs: Iterable[AudioInput], num_workers: int = 8) -> list[AudioInput]:
    """Fill in `header_s` of inputs without a duration; `None` stays where a header does not say."""
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        return list(pool.map(_with_duration, inputs))


def _read_lines(source: str | Path, key: str) -> list[tuple[int, bytes]]:
    """Read the lines that are not empty, with their numbers."""
    if str(source) == STANDARD_INPUT:
        content = sys.stdin.buffer.read()
    elif Path(source).is_file():
        content = Path(source).read_bytes()
    else:
        raise FileNotFoundError(f"{key}={source}: found no such file; check the path")
    return [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def _parse_line(line: bytes, number: int, manifest: str, audio_key: str) -> AudioInput:
    place = f"{manifest}:{number}"
    try:
        row = parse_manifest_line(line, place, (audio_key,))
        if not isinstance(row[audio_key], str):
            raise ValueError(f"{place}: found {audio_key}={row[audio_key]!r}, expected a path; correct the line")
        check_channel(row.get("channel_selector"), f"{place}: channel_selector", others=(EACH_CHANNEL,))
        seconds = {key: _check_seconds(row, key, place) for key in ("offset", "duration")}
        # standard input is in no folder: paths start at the current one
        path = Path(row[audio_key]) if manifest == STANDARD_INPUT else resolve_audio_path(row[audio_key], manifest)
    except (ValueError, RuntimeError, OSError) as error:  # RuntimeError: nested too deep, or ~ of an unknown user
        return AudioInput(Path(), fields=_fields_of(line), error=f"manifest: {error}", place=place)
    channel = row.get("channel_selector")
    return AudioInput(path, seconds["offset"] or 0.0, seconds["duration"], row, place=place, channel=channel)


def _check_seconds(row: Mapping[str, Any], key: str, place: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if not (is_number(value) and 0 <= value <= MAX_SECONDS):
        raise ValueError(f"{place}: found {key}={value!r}, expected seconds, 0 or more; correct the line")
    return float(value)


def _fields_of(line: bytes) -> dict[str, Any]:
    """Keep what a bad line says, where it is an object."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RuntimeError):
        return {}
    return row if isinstance(row, dict) else {}


def _with_duration(audio: AudioInput) -> AudioInput:
    if audio.duration_s is not None or audio.error:
        return audio
    length_s = probe_duration(audio.path)
    return audio if length_s is None else replace(audio, header_s=max(0.0, length_s - audio.offset_s))

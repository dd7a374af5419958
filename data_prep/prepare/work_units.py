"""The unit of work: rows that one worker checks and converts, finished atomically and reused by the next run."""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from data_prep.atomic import atomic_path
from data_prep.audio.measures import measure_audio
from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader, write_wav
from data_prep.corpora import MalformedRow, Utterance
from data_prep.job_keys import make_key, stat_file
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.manifest import write_jsonl
from data_prep.memory import keep_freed_memory
from data_prep.prepare.causes import find_cause
from data_prep.prepare.output_folder import UNIT_FOLDER
from data_prep.prepare.verdicts import describe_rejection
from data_prep.selection.kept_index import KeptRow, make_kept_row
from data_prep.selection.quality import QualityLimits, check_utterance
from data_prep.text.normalizer import fingerprint_policy, trace_rules
from data_prep.text.policy import TextPolicy
from data_prep.text.transliteration import learn_english_words, list_written_words

# Part of every unit's key: raise it when this module, data_prep.audio or data_prep.selection.quality gives other
# results than before.
WORK_UNIT_VERSION = 9
_MANY_ROWS = 16_000  # from here on, 16 folders would hold more than 1,000 files each
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EBADF)  # what pathlib takes for no file
_MOST_SOURCE_CHARACTERS = 60  # of a file name; at most 255 bytes are allowed


@dataclass(frozen=True)
class UnitSettings:
    """Settings that the result of a row depends on.

    Attributes:
        output_dir: The job's output folder; converted audio goes to `audio/` in it, finished units to `.units/`.
        source: Name of the corpus in the manifests.
        alphabet: The allowed characters.
        limits: The limits of what is kept.
        channel: Which channel is used, see `data_prep.audio.channels.check_channel`.
        trim_silence: Whether silence at both ends is cut off.
        policy: What is rewritten in a text and what is rejected.
        split_by: `speaker`, `text` or `utterance`: what is never in two splits.
        audio_column: Column of audio in Parquet files; `None` for the first one.
        folder_digits: Hex digits that name the folders of converted audio. The results hold the names, so that another
            number does not make them invalid.
    """

    output_dir: Path
    source: str
    alphabet: tuple[str, ...]
    limits: QualityLimits = field(default_factory=QualityLimits)
    channel: int | str | None = "auto"
    trim_silence: bool = False
    policy: TextPolicy = field(default_factory=TextPolicy)
    split_by: str = "speaker"
    audio_column: str | None = None
    folder_digits: int = 2

    @property
    def unit_dir(self) -> Path:
        """Folder of the finished units, with temporary files in `tmp`."""
        return self.output_dir / UNIT_FOLDER

    def make_scratch_dir(self) -> Path:
        """Make and return the folder for temporary files; the next run removes what is left in it."""
        path = self.unit_dir / "tmp"
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class WorkUnit:
    """Consecutive rows of a corpus.

    Attributes:
        index: Number of the unit, from 0.
        first_row: Position of its first row among all rows, from 0.
        rows: The rows.
        repeated: Position in `rows` of audio that was listed before -> (reason, detail).
        settings: What the results depend on.
    """

    index: int
    first_row: int
    rows: Sequence[Utterance | MalformedRow]
    repeated: Mapping[int, tuple[str, str]]
    settings: UnitSettings

    @property
    def path(self) -> Path:
        """The file of this unit's results."""
        return self.settings.unit_dir / f"{self.index:06d}.jsonl"


@dataclass(frozen=True)
class FinishedUnit:
    """The facts about a finished unit that the job needs; its results are in its file.

    Attributes:
        rows: Number of rows.
        reused: Whether an earlier run finished it.
        kept: The kept rows.
    """

    rows: int
    reused: bool
    kept: list[KeptRow]


def process_unit(unit: WorkUnit) -> FinishedUnit:
    """Check and convert a unit's rows and write its file, unless the file exists for the same rows and audio."""
    keep_freed_memory()
    key = _make_key(unit)
    results = _read_finished(unit, key)
    reused = results is not None
    if results is None:
        # A folder for each call, because a cluster may start a task again while the first attempt is still ending.
        with (
            TemporaryDirectory(dir=unit.settings.make_scratch_dir()) as scratch,
            _open_reader(Path(scratch), unit.settings) as reader,
        ):
            if unit.settings.policy.latin == "transliterate":
                learn_english_words(row.text for row in unit.rows if isinstance(row, Utterance))
            rows = enumerate(unit.rows)
            results = [_prepare_row(row, unit.repeated.get(at), unit.settings, reader) for at, row in rows]
        write_jsonl(unit.path, [{"key": key}, *results])
    kept = [
        make_kept_row(unit.first_row + at, result, unit.settings.split_by)
        for at, result in enumerate(results)
        if "kept" in result
    ]
    return FinishedUnit(len(unit.rows), reused, kept)


def _open_reader(scratch: Path, settings: UnitSettings) -> AudioReader:
    return AudioReader(scratch, settings.channel, settings.trim_silence, settings.audio_column)


def read_results(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the results of finished units in row order.

    Yields:
        `{"kept": manifest row, "measures", "audio", …}`, or `{"rejected": row of rejected.jsonl, …}`.
    """
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            next(lines)
            yield from map(json.loads, lines)


def _make_key(unit: WorkUnit) -> str:
    """Hash everything that the results depend on, with the size and time of the audio files."""
    settings = {**asdict(unit.settings), "output_dir": None, "split_by": None, "folder_digits": None}
    rows = [
        (type(row).__name__, vars(row), stat_file(row.audio) if isinstance(row, Utterance) else None)
        for row in unit.rows
    ]
    policy = fingerprint_policy(unit.settings.policy)
    return make_key(WORK_UNIT_VERSION, policy, settings, rows, dict(unit.repeated))


def _read_finished(unit: WorkUnit, key: str) -> list[dict[str, Any]] | None:
    """Return the results that an earlier run wrote; `None` if they are missing, of another key, or incomplete."""
    try:
        with unit.path.open(encoding="utf-8") as lines:
            if json.loads(next(lines)) != {"key": key}:
                return None
            results = list(map(json.loads, lines))
    except (OSError, ValueError, StopIteration):
        return None
    audio = (unit.settings.output_dir / result["kept"]["audio_filepath"] for result in results if "kept" in result)
    return results if all(path.is_file() for path in audio) else None


def _prepare_row(
    row: Utterance | MalformedRow,
    repeated: tuple[str, str] | None,
    settings: UnitSettings,
    reader: AudioReader,
) -> dict[str, Any]:
    if isinstance(row, MalformedRow):
        return {"rejected": describe_rejection(row.reason, row.detail, asdict(row))}
    if repeated:
        return {"rejected": describe_rejection(*repeated, asdict(row))}
    place = {"audio": {key: getattr(row, key) for key in ("audio", "offset", "duration", "row", "channel")}}
    outcome = row.excluded or check_file(Path(row.audio)) or _prepare_utterance(row, settings, reader)
    if isinstance(outcome, tuple):
        cause = find_cause(outcome[0], row)
        found = {"cause": cause} if cause else {}
        return {"rejected": describe_rejection(*outcome, asdict(row)), **place, **found}
    listed = {key: getattr(row, key) for key in ("file", "line", "path", "text", "split")}
    return {**outcome, **place, **listed}


def check_file(audio: Path) -> tuple[str, str] | None:
    """Check that an audio file exists and is not empty; return (reason, detail), or `None` when it does."""
    try:
        found = audio.stat()
    except ValueError:  # a path with a NUL
        return "missing_audio", f"{audio}: no such file"
    except OSError as error:
        return "missing_audio", f"{audio}: {'no such file' if error.errno in _ABSENT else error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "missing_audio", f"{audio}: {'found a folder' if stat.S_ISDIR(found.st_mode) else 'no such file'}"
    return None if found.st_size else ("empty_audio", "the file has 0 bytes")


def _prepare_utterance(row: Utterance, settings: UnitSettings, reader: AudioReader) -> dict[str, Any] | tuple[str, str]:
    """Return manifest row and measures, or (reason, detail). A broken file is an error, even with an unfit text."""
    text, changes = trace_rules(row.text, settings.policy)
    try:
        audio = reader.read(row.audio, row.offset, row.duration, row.row, settings.limits.max_duration, row.channel)
    except AudioError as error:
        return error.reason, str(error)
    measures = measure_audio(audio.samples, audio.source)
    if fault := check_utterance(measures, text, settings.alphabet, settings.limits, settings.policy):
        return fault
    name = row.audio
    if not audio.ready:
        name = str(name_converted(row, settings.source, settings.folder_digits))
        write_converted(settings.output_dir / name, audio.samples)
    kept = {
        "audio_filepath": name,
        "duration": measures.samples / SAMPLE_RATE_HZ,
        "text": text,
        "speaker": row.speaker,
        "source": settings.source,
        **({"subset": row.subset} if row.subset else {}),
        **_name_language(settings.policy.language),
    }
    mixed = audio.channels is not None and (row.channel if row.channel is not None else settings.channel)
    channels = {"channels": {**audio.channels.as_row(), "mixed": isinstance(mixed, str)}} if audio.channels else {}
    note = {"audio_note": audio.note} if audio.note else {}
    english = list_written_words(changes)
    words = {"english_words": english} if english else {}
    return {"kept": kept, "measures": measures.as_row(), **channels, **note, **words}


def _name_language(language: str) -> dict[str, str]:
    """Return the manifest's key `lang`; Hindi rows have none."""
    return {} if language == DEFAULT_LANGUAGE else {"lang": load_language(language).code}


def write_converted(path: Path, samples: np.ndarray) -> None:
    """Write int16 samples (n,) as 16 kHz mono WAV; the file is complete or absent, its folder is made."""
    with atomic_path(path, sync=False) as temporary:
        write_wav(temporary, samples)


def count_folder_digits(rows: int) -> int:
    """Return how many hex digits name the folders: on many file systems, to make a folder costs as much as a file."""
    return 1 if rows < _MANY_ROWS else 2


def name_converted(row: Utterance, source: str = "", folder_digits: int = 2) -> Path:
    """Name converted audio after its corpus and path: readable, unique, inside the output folder.

    Args:
        row: The utterance.
        source: Name of the corpus; names a folder, so that two corpora never share a file.
        folder_digits: Hex digits of the name's hash that name the folder in it.
    """
    key = row.key
    digest = sha256((row.path if key == os.path.normpath(row.path) else key).encode()).hexdigest()
    folder = source.replace("/", "_").replace("\0", "_").lstrip(".")[:_MOST_SOURCE_CHARACTERS]
    return Path("audio") / folder / digest[:folder_digits] / f"{Path(row.path).stem[:40]}-{digest[:16]}.wav"

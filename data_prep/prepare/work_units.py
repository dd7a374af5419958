"""The unit of work: some rows, checked and converted by one worker, finished atomically, kept for the next run."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy

from data_prep.audio.measures import measure_audio
from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader, write_wav
from data_prep.corpora import MalformedRow, Utterance
from data_prep.manifest import write_jsonl
from data_prep.selection.quality import QualityLimits, check_utterance
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT, normalize_text
from data_prep.text.number_rules import NUMBERS_FINGERPRINT
from data_prep.text.policy import TextPolicy

# Part of every shard's key: raise it when the code here, in audio.py or in checks.py gives other results than before.
SHARD_VERSION = 6


@dataclass(frozen=True)
class ShardSettings:
    """What the outcome of a row depends on.

    Attributes:
        output_dir: The job's output folder; converted audio goes to `audio/` in it, shards to `.shards/`.
        source: Name of the corpus in the manifests.
        alphabet: The allowed characters.
        gates: The limits of what is kept.
        channel: Which channel is used, see `data_prep.audio.channels.check_channel`.
        trim_silence: Whether silence at both ends is cut off.
        policy: What is rewritten in a text and what is rejected.
    """

    output_dir: Path
    source: str
    alphabet: tuple[str, ...]
    gates: QualityLimits = field(default_factory=QualityLimits)
    channel: int | str | None = "auto"
    trim_silence: bool = False
    policy: TextPolicy = field(default_factory=TextPolicy)

    @property
    def shard_dir(self) -> Path:
        """Where finished shards lie, and temporary files in `tmp`."""
        return self.output_dir / ".shards"

    def make_scratch_dir(self) -> Path:
        """Make and give the folder for temporary files; the next run clears away what stays in it."""
        path = self.shard_dir / "tmp"
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Shard:
    """Consecutive rows of a corpus; `duplicates` maps a position among them to where its audio was listed first."""

    index: int
    rows: Sequence[Utterance | MalformedRow]
    duplicates: Mapping[int, str]
    settings: ShardSettings

    @property
    def path(self) -> Path:
        """The file of this shard's results."""
        return self.settings.shard_dir / f"{self.index:06d}.jsonl"


def process_shard(shard: Shard) -> tuple[int, bool]:
    """Check and convert a shard's rows and write its file, unless that is already done for the same rows and audio.

    Returns:
        Number of rows, and whether an earlier run's result was taken over.
    """
    key = _make_key(shard)
    if _is_done(shard, key):
        return len(shard.rows), True
    # A folder of its own, because a cluster may run a task a second time while the first run is still dying.
    with (
        TemporaryDirectory(dir=shard.settings.make_scratch_dir()) as scratch,
        AudioReader(Path(scratch), shard.settings.channel, shard.settings.trim_silence) as reader,
    ):
        rows = enumerate(shard.rows)
        results = [_prepare_row(row, shard.duplicates.get(at), shard.settings, reader) for at, row in rows]
    write_jsonl(shard.path, [{"key": key}, *results])
    return len(shard.rows), False


def read_shard(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a shard's results in row order: `{"rejected": …}`, or `{"kept": manifest row, "measures", …}`."""
    with path.open(encoding="utf-8") as lines:
        next(lines)
        yield from map(json.loads, lines)


def _make_key(shard: Shard) -> str:
    """Hash everything that a result depends on, the size and time of the audio files included."""
    settings = {**asdict(shard.settings), "output_dir": None}
    rows = [(type(row).__name__, asdict(row), _stat(row)) for row in shard.rows]
    numbers = NUMBERS_FINGERPRINT if shard.settings.policy.numbers == "verbalize" else None
    made_of = [SHARD_VERSION, NORMALIZER_FINGERPRINT, numbers, settings, rows, dict(shard.duplicates)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _stat(row: Utterance | MalformedRow) -> tuple[int, int] | None:
    try:
        stat = Path(row.audio).stat() if isinstance(row, Utterance) else None
    except OSError:
        return None
    return (stat.st_size, stat.st_mtime_ns) if stat else None


def _is_done(shard: Shard, key: str) -> bool:
    try:
        with shard.path.open(encoding="utf-8") as lines:
            if json.loads(next(lines)) != {"key": key}:
                return False
            kept = [result["kept"]["audio_filepath"] for result in map(json.loads, lines) if "kept" in result]
    except (OSError, ValueError, StopIteration):
        return False
    return all((shard.settings.output_dir / audio).is_file() for audio in kept)


def _prepare_row(
    row: Utterance | MalformedRow, duplicate: str | None, settings: ShardSettings, reader: AudioReader
) -> dict[str, Any]:
    if isinstance(row, MalformedRow):
        return {"rejected": describe_rejection(row.reason, row.detail, asdict(row))}
    if duplicate:
        return {"rejected": describe_rejection("duplicate_path", duplicate, asdict(row))}
    place = {"audio": {key: getattr(row, key) for key in ("audio", "offset", "duration", "row")}}
    outcome = check_file(Path(row.audio)) or _prepare_utterance(row, settings, reader)
    if isinstance(outcome, tuple):
        return {"rejected": describe_rejection(*outcome, asdict(row)), **place}
    return {
        **outcome,
        **place,
        "file": row.file,
        "line": row.line,
        "path": row.path,
        "text": row.text,
        "split": row.split,
    }


def describe_rejection(reason: str, detail: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Make a row of `rejected.jsonl` out of a row of the corpus, or a result that was kept at first."""
    return {"reason": reason, "detail": detail, **{key: row.get(key) for key in ("file", "line", "path", "text")}}


def check_file(audio: Path) -> tuple[str, str] | None:
    """Check that an audio file is there and not empty; return (reason, detail) or `None` when it is."""
    try:
        if not audio.is_file():
            return "missing_audio", f"{audio} is {'a folder' if audio.is_dir() else 'not there'}"
        return ("empty_audio", "the file is 0 bytes") if audio.stat().st_size == 0 else None
    except OSError as error:
        return "missing_audio", f"{audio}: {error.strerror}"


def _prepare_utterance(
    row: Utterance, settings: ShardSettings, reader: AudioReader
) -> dict[str, Any] | tuple[str, str]:
    """Return manifest row and measures, or (reason, detail). A broken file is an error whatever its text."""
    text = normalize_text(row.text, settings.policy)
    try:
        audio = reader.read(row.audio, row.offset, row.duration, row.row, settings.gates.max_duration)
    except AudioError as error:
        return error.reason, str(error)
    measures = measure_audio(audio.samples, audio.source)
    if fault := check_utterance(measures, text, settings.alphabet, settings.gates, settings.policy):
        return fault
    name = row.audio
    if not audio.ready:
        name = str(name_converted(row))
        write_converted(settings.output_dir / name, audio.samples)
    kept = {
        "audio_filepath": name,
        "duration": measures.samples / SAMPLE_RATE_HZ,
        "text": text,
        "speaker": row.speaker,
        "source": settings.source,
        **({"subset": row.subset} if row.subset else {}),
    }
    return {"kept": kept, "measures": measures.as_row()}


def write_converted(path: Path, samples: numpy.ndarray) -> None:
    """Write int16 samples (n,) as 16 kHz mono WAV; the file appears complete or not at all, its folder is made."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.tmp")
    try:
        write_wav(temporary, samples)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def name_converted(row: Utterance) -> Path:
    """Name converted audio after its source: readable, unique, inside the output folder, few files a folder."""
    digest = hashlib.sha256((row.path if row.key == os.path.normpath(row.path) else row.key).encode()).hexdigest()
    return Path("audio") / digest[:2] / f"{Path(row.path).stem[:40]}-{digest[:16]}.wav"

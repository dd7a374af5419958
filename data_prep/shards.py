"""The unit of work: some rows, checked and converted by one worker, finished atomically, kept for the next run."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.audio import SAMPLE_RATE_HZ, UnreadableAudioError, convert_audio, count_samples, is_ready
from data_prep.checks import check_alignment, check_duration, check_text
from data_prep.corpora import MalformedRow, Utterance
from data_prep.manifest import write_jsonl
from data_prep.text import NORMALIZER_FINGERPRINT, normalize_text

# Part of every shard's key: raise it when the code here, in audio.py or in checks.py gives other results than before.
SHARD_VERSION = 1


@dataclass(frozen=True)
class ShardSettings:
    """What the outcome of a row depends on.

    Attributes:
        output_dir: The job's output folder; converted audio goes to `audio/` in it, shards to `.shards/`.
        source: Name of the corpus in the manifests.
        alphabet: The allowed characters.
        min_duration: Shortest audio that is kept, in seconds.
        max_duration: Longest audio that is kept, in seconds.
    """

    output_dir: Path
    source: str
    alphabet: tuple[str, ...]
    min_duration: float
    max_duration: float

    @property
    def shard_dir(self) -> Path:
        """Where finished shards lie, and temporary files in `tmp`."""
        return self.output_dir / ".shards"


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
    results = [_prepare_row(row, shard.duplicates.get(at), shard.settings) for at, row in enumerate(shard.rows)]
    write_jsonl(shard.path, [{"key": key}, *results])
    return len(shard.rows), False


def read_shard(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a shard's results: `{"kept": manifest row, "path", "split"}` or `{"rejected": …}`, in row order."""
    with path.open(encoding="utf-8") as lines:
        next(lines)
        yield from map(json.loads, lines)


def _make_key(shard: Shard) -> str:
    """Hash everything that a result depends on, the size and time of the audio files included."""
    settings = {**asdict(shard.settings), "output_dir": None}
    rows = [(type(row).__name__, asdict(row), _stat(row)) for row in shard.rows]
    made_of = [SHARD_VERSION, NORMALIZER_FINGERPRINT, settings, rows, dict(shard.duplicates)]
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


def _prepare_row(row: Utterance | MalformedRow, duplicate: str | None, settings: ShardSettings) -> dict[str, Any]:
    if isinstance(row, MalformedRow):
        return {"rejected": _describe_rejection("malformed_row", row.detail, row)}
    if duplicate:
        return {"rejected": _describe_rejection("duplicate_path", duplicate, row)}
    outcome = _check_file(Path(row.audio)) or _prepare_utterance(row, settings)
    if isinstance(outcome, tuple):
        return {"rejected": _describe_rejection(*outcome, row)}
    return {"kept": outcome, "path": row.path, "split": row.split}


def _describe_rejection(reason: str, detail: str, row: Utterance | MalformedRow) -> dict[str, Any]:
    path = row.path if isinstance(row, Utterance) else None
    return {"reason": reason, "detail": detail, "file": row.file, "line": row.line, "path": path, "text": row.text}


def _check_file(audio: Path) -> tuple[str, str] | None:
    try:
        if not audio.is_file():
            return "missing_audio", f"{audio} is {'a folder' if audio.is_dir() else 'not there'}"
        return ("empty_audio", "the file is 0 bytes") if audio.stat().st_size == 0 else None
    except OSError as error:
        return "missing_audio", f"{audio}: {error.strerror}"


def _prepare_utterance(row: Utterance, settings: ShardSettings) -> dict[str, Any] | tuple[str, str]:
    """Return the manifest row, or (reason, detail). Audio comes first: a broken file is an error whatever its text."""
    text = normalize_text(row.text)
    name = _name_converted(row)
    temporary = settings.shard_dir / "tmp" / name.name
    ready = is_ready(row.audio)
    try:
        if not ready:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            convert_audio(row.audio, temporary)
        samples = count_samples(row.audio if ready else temporary)
        fault = check_duration(samples, settings.min_duration, settings.max_duration)
        fault = fault or check_text(text, settings.alphabet) or check_alignment(samples, text)
        if fault:
            return fault
        if not ready:
            (settings.output_dir / name).parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(settings.output_dir / name)
    except UnreadableAudioError as error:
        return "unreadable_audio", str(error)
    finally:
        temporary.unlink(missing_ok=True)
    return {
        "audio_filepath": row.audio if ready else str(name),
        "duration": samples / SAMPLE_RATE_HZ,
        "text": text,
        "speaker": row.speaker,
        "source": settings.source,
    }


def _name_converted(row: Utterance) -> Path:
    """Name converted audio after its source: readable, unique, inside the output folder, few files a folder."""
    digest = hashlib.sha256(row.path.encode()).hexdigest()
    return Path("audio") / digest[:2] / f"{Path(row.path).stem[:40]}-{digest[:16]}.wav"

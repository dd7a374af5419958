"""A whole job of transcription: rows as they are ready, kept against a kill, written in the inputs' order, summed up.

Who recognises is a function, so that one device, several or a cluster come to the same output.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.manifest import encode_json
from nemo_models.evaluation.scoring import Scores
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.subtitles import name_transcripts, write_formats
from nemo_models.transcription.transcript_files import Transcript, score_rows, transcript_row
from nemo_models.transcription.transcript_journal import TranscriptJournal

Recognise = Callable[[Sequence[AudioInput]], Iterator[Transcript]]
"""Gives one transcript for each input, in any order; `index` is the position among these inputs."""
JOB_VERSION = 3  # part of every job's key: raise it when the code gives other rows than before


@dataclass(frozen=True)
class OutputPlan:
    """What is written.

    Attributes:
        path: The JSON lines.
        text_key: Key of the text in them.
        formats: Further formats, see `nemo_models.transcription.subtitles.FORMATS`.
        formats_dir: Folder for their files.
        audio_dir: Folder that the inputs were found in; the formats' files keep its subfolders.
        write_numbers: Writes digits into a text; `None` leaves it as it was spoken.
        reference_key: Key of the reference in a manifest's rows; `None` scores nothing.
    """

    path: Path
    text_key: str = "pred_text"
    formats: Sequence[str] = ()
    formats_dir: Path = Path()
    audio_dir: Path | None = None
    write_numbers: Callable[[str], str] | None = None
    reference_key: str | None = "text"


@dataclass
class Summary:
    """What came of a job.

    Attributes:
        path: The output.
        inputs: Rows in it.
        resumed: Of these, rows that an earlier run had done.
        audio_s: Audio transcribed, seconds, that of earlier runs included.
        new_audio_s: The same without.
        seconds: Time that this run took.
        errors: Failed inputs by reason.
        scores: Error rates where there are references, of the text as it was spoken.
        number_format: In which the model computed, where that is known.
    """

    path: Path
    inputs: int = 0
    resumed: int = 0
    audio_s: float = 0.0
    new_audio_s: float = 0.0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    scores: Scores | None = None
    number_format: str | None = None

    @property
    def speed(self) -> float:
        """Audio-seconds a second of this run; NeMo's RTFx."""
        return self.new_audio_s / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        failed = self.errors.total()
        inputs = f"{self.inputs:,} = {self.inputs - failed:,} transcribed + {failed:,} failed"
        resumed = f" ({self.resumed:,} of them by an earlier run)" if self.resumed else ""
        took = f"{self.new_audio_s / 3600:.2f} h in {format_duration(self.seconds)}, {self.speed:.1f} × real time"
        lines = [("output", str(self.path)), ("inputs", inputs + resumed)]
        lines.append(("audio", f"{self.audio_s / 3600:.2f} h; this run {took}"))
        if self.number_format:
            lines.append(("computed in", self.number_format))
        if self.scores:
            lines.append(("errors by word", str(self.scores)))
        for reason, count in self.errors.most_common():
            lines.append(("failed", f"{count:,} × {reason} (see `error` in their lines)"))
        return "\n".join(f"{name:<16}{value}" for name, value in lines)


def run_job(
    recognise: Recognise, inputs: Sequence[AudioInput], plan: OutputPlan, key: str, progress: TranscriptionProgress
) -> Summary:
    """Transcribe what an earlier, killed run of the same job has not, and write the output.

    Args:
        recognise: Transcribes.
        inputs: All inputs of the job.
        plan: What is written, and where.
        key: What the rows depend on, see `make_job_key`.
        progress: Is told of what an earlier run has done, and of each row.

    Raises:
        ValueError: Another process is at work on the same output.
    """
    started = time.monotonic()
    summary = Summary(plan.path, inputs=len(inputs))
    names = name_transcripts(inputs, plan.audio_dir, plan.formats_dir, plan.formats) if plan.formats else []
    with TranscriptJournal(plan.path, key) as journal:
        summary.resumed = journal.resumed
        progress.add_done(journal.resumed_audio_s)
        waiting = [index for index in range(len(inputs)) if index not in journal.finished]
        for transcript in recognise([inputs[index] for index in waiting]) if waiting else ():
            transcript = replace(transcript, index=waiting[transcript.index])
            if plan.write_numbers and not transcript.error:
                digits = plan.write_numbers(transcript.text)
                transcript = replace(transcript, text=digits, spoken_text=transcript.text)
            if names:  # before the row, which says that all of an input is done
                write_formats(plan.formats_dir, names[transcript.index], transcript, plan.formats)
            journal.add(transcript.index, transcript.duration_s, transcript_row(transcript, plan.text_key))
            summary.new_audio_s += transcript.duration_s
            progress.add_row(bool(transcript.error))
        summary.errors = Counter(row["error"].split(":")[0] for row in journal.rows() if "error" in row)
        summary.audio_s = summary.new_audio_s + journal.resumed_audio_s
        if plan.reference_key:
            summary.scores = score_rows(journal.rows(), plan.text_key, plan.reference_key)
        journal.publish()
    summary.seconds = time.monotonic() - started
    return summary


def make_job_key(model: str, options: Mapping[str, Any], inputs: Sequence[AudioInput]) -> str:
    """Hash what a job's rows depend on.

    Args:
        model: What tells the model apart, such as its file's hash.
        options: What else changes a text. Values that name a file stand for its size and time, too.
        inputs: The inputs; their audio files' size and time belong to them.
    """
    digest = hashlib.sha256(encode_json([JOB_VERSION, model, _with_stats(options)]))
    for audio in inputs:
        row = {**asdict(audio), "path": str(audio.path), "stat": _stat(audio.path)}
        digest.update(encode_json(row) + b"\n")
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def format_duration(seconds: float) -> str:
    """Write hours, minutes and seconds: 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _with_stats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_stats(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_with_stats(held) for held in value]
    return [value, _stat(Path(value))] if isinstance(value, str) else value


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return (stat.st_size, stat.st_mtime_ns) if path.is_file() else None

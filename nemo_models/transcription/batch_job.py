"""A whole transcription job: rows are stored when they are ready, written in the inputs' order, and summarised.

The recogniser is a function, so that one device, several, or a cluster give the same output.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.audio.waveform import UNCLEAR_HEADER
from data_prep.job_keys import make_key, stat_file
from data_prep.languages.language import DEFAULT_LANGUAGE
from nemo_models.evaluation.scoring import Scores
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.output_formats import name_transcripts, write_formats
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.subtitles import SubtitleSettings
from nemo_models.transcription.transcript_files import score_rows
from nemo_models.transcription.transcript_journal import TranscriptJournal
from nemo_models.transcription.transcripts import Transcript, transcript_row

Recognise = Callable[[Sequence[AudioInput]], Iterator[Transcript]]
"""Function that yields one transcript for each input, in any order; `index` is the position among these inputs."""
JOB_VERSION = 5
"""Part of every job's key: raise it when the code gives other rows than before."""


@dataclass(frozen=True)
class OutputPlan:
    """The output of a job.

    Attributes:
        path: File of JSON lines.
        text_key: Key of the text in each line.
        formats: Further formats, see `output_formats.FORMATS`.
        formats_dir: Folder for their files.
        audio_dir: Folder that the inputs were found in; the formats' files keep its subfolders.
        write_numbers: Function that writes the numbers of a text in digits; `None` keeps them as spoken.
        reference_key: Key of the reference in a manifest's rows; `None` scores nothing.
        language: Language of the texts, for the score.
        subtitles: Form of the subtitles.
    """

    path: Path
    text_key: str = "pred_text"
    formats: Sequence[str] = ()
    formats_dir: Path = Path()
    audio_dir: Path | None = None
    write_numbers: Callable[[str], str] | None = None
    reference_key: str | None = "text"
    subtitles: SubtitleSettings = field(default_factory=SubtitleSettings)
    language: str = DEFAULT_LANGUAGE


@dataclass
class Summary:
    """The result of a job.

    Attributes:
        path: The output file.
        inputs: Number of rows in it.
        resumed: Number of these rows that an earlier run had finished.
        audio_s: Audio transcribed, seconds, including that of earlier runs.
        new_audio_s: Audio transcribed by this run, seconds.
        seconds: Time that this run took.
        errors: Number of failed inputs, by reason.
        warnings: Number of inputs that have a text and a warning, by reason.
        scores: Error rates of the spoken text, if there are references.
        number_format: Number format in which the model computed, if known.
    """

    path: Path
    inputs: int = 0
    resumed: int = 0
    audio_s: float = 0.0
    new_audio_s: float = 0.0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    scores: Scores | None = None
    number_format: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all audio was read: a header that is wrong, beside audio that is whole, costs no text."""
        return not self.errors and set(self.warnings) <= {UNCLEAR_HEADER}

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
        for reason, count in self.warnings.most_common():
            name = "read to the end" if reason == UNCLEAR_HEADER else "damaged"
            lines.append((name, f"{count:,} × {reason} (see `warning` in their lines)"))
        return "\n".join(f"{name:<16}{value}" for name, value in lines)


def run_job(
    recognise: Recognise, inputs: Sequence[AudioInput], plan: OutputPlan, key: str, progress: TranscriptionProgress
) -> Summary:
    """Transcribe what an earlier, interrupted run of the same job did not, and write the output.

    Args:
        recognise: The recogniser.
        inputs: All inputs of the job.
        plan: What is written, and where.
        key: What the rows depend on, see `make_job_key`.
        progress: Bar that counts each row, and the rows of an earlier run.

    Raises:
        OSError: A file cannot be written; the message names it. No hidden file is left where the disk is full.
        ValueError: Another process is writing the same output.
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
                write_formats(plan.formats_dir, names[transcript.index], transcript, plan.formats, plan.subtitles)
            journal.add(transcript.index, transcript.duration_s, transcript_row(transcript, plan.text_key))
            summary.new_audio_s += transcript.duration_s
            progress.add_row(bool(transcript.error))
        for row in journal.rows():
            summary.errors.update([row["error"].split(":")[0]] if "error" in row else [])
            summary.warnings.update([row["warning"].split(":")[0]] if "warning" in row else [])
        summary.audio_s = summary.new_audio_s + journal.resumed_audio_s
        if plan.reference_key:
            summary.scores = score_rows(journal.rows(), plan.text_key, plan.reference_key, plan.language)
        journal.publish()
    summary.seconds = time.monotonic() - started
    return summary


def make_job_key(model: str, options: Mapping[str, Any], inputs: Sequence[AudioInput]) -> str:
    """Hash what a job's rows depend on.

    Args:
        model: What identifies the model, such as its file's hash.
        options: What else changes a text. For a value that names a file, its size and time count too.
        inputs: The inputs; their audio files' sizes and times count too.
    """
    rows = (make_key({**asdict(audio), "path": str(audio.path)}, _stat(audio.path)) for audio in inputs)
    return make_key(JOB_VERSION, model, _with_stats(options), list(rows))


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
    stat = stat_file(path)
    return None if stat is None or path.is_dir() else stat

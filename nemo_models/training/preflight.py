"""What would spoil a training without a word, looked for before the first step is paid for, and reported all at once.

NeMo drops characters without a label, zeroes the loss of utterances too short for their text, and leaves out audio that
it cannot read: each silently. Manifests are streamed; an utterance costs a look at its file, made by many threads.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile
from omegaconf import DictConfig
from tqdm import tqdm

from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.conv_frames import count_conv_frames, count_ctc_steps
from data_prep.text.alphabet import find_outside_alphabet
from nemo_models.training.checkpoint_space import find_missing_space
from nemo_models.training.overlap import LeakSearch
from nemo_models.training.sources import Row, Source, find_empty_sets, list_noise_sources, list_sources
from nemo_models.w2v_bert_features import HOP, STACKED, WINDOW

logger = logging.getLogger(__name__)

HEADERS_READ = 20_000  # files a manifest whose headers are read; of larger ones so many, evenly spread
THREADS = 32  # waiting for a file system, not computing
CHUNK_ROWS = 500  # handed to a thread at once
DURATION_TOLERANCE_S = 0.05  # manifests round; a frame or two are no matter
COPY_SPEEDS = (0.9, 1.1)  # that NeMo's perturb_speed adds
REMEDY = "scripts/prepare_data.py and scripts/check_manifest.py make manifests without these"

Problem = tuple[str, str]  # kind, example


@dataclass
class Findings:
    """Problems by where and kind, with a count and the first example of each: nothing grows with the data."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, where: str, problem: Problem) -> None:
        """Count a problem of a kind, and keep the first example."""
        kind, example = problem
        self.counts[where, kind] = self.counts.get((where, kind), 0) + 1
        self.examples.setdefault((where, kind), example)

    def describe(self) -> list[str]:
        """Every problem, in the order in which its kind was first met."""
        rows = [f"{at}: {count} × {kind}, e.g. {self.examples[at, kind]}" for (at, kind), count in self.counts.items()]
        return rows + self.others


def check_training(cfg: DictConfig, labels: Sequence[str]) -> None:
    """Check data sets and disk of a training; see `check_data_sets`.

    Args:
        cfg: The whole configuration, with the checkpoint's settings filled in.
        labels: What the model can write.

    Raises:
        FileNotFoundError: A manifest is not there.
        ValueError: Something was found; the message counts every kind, names an example of each, and the remedy.
    """
    problems = check_data_sets(cfg.model, labels, cfg.checks.leaks)
    remedies = [REMEDY] if problems else []
    if missing := find_missing_space(cfg):
        problems.append(missing)
        remedies.append("free some space, lower exp_manager.checkpoint_callback_params.save_top_k or move exp_dir")
    problems += find_empty_sets(cfg)
    if problems:
        raise ValueError(f"the data cannot be trained on: {'; '.join(problems + remedies)}")


def check_data_sets(model_cfg: DictConfig, labels: Sequence[str], leaks: str = "error") -> list[str]:
    """Look through the training and validation data for what training would not tell.

    Characters without a label, empty texts, more labels than frames of this encoder, audio that is missing, unreadable,
    shorter than stated or of another rate, limits that would leave utterances out, empty sets, and the same recording
    in training and validation. Of tarred and Shar data the descriptions are checked and that the shards are there, of
    noises that are mixed in that each file can be read.

    Args:
        model_cfg: `train_ds`, `validation_ds` and `encoder`.
        labels: What the model can write.
        leaks: `error` or `warn`: what the same recording on both sides is.

    Returns:
        The problems, each a text; none where nothing was found.
    """
    if leaks not in ("error", "warn"):
        raise ValueError(f"checks.leaks={leaks}: expected error or warn")
    findings, notes, search = Findings(), Findings(), LeakSearch()
    count_frames = frame_counter(model_cfg.encoder)
    with ThreadPoolExecutor(THREADS) as pool:
        for name in ("validation_ds", "train_ds"):  # what validation holds is what training is searched for
            dataset = model_cfg[name]
            note = search.remember if name == "validation_ds" else search.compare
            for source in list_sources(dataset):
                gates = RowGates(set(labels), dataset, count_frames)
                _check_source(source, gates, (findings, notes), note, pool)
            for source in list_noise_sources(dataset) if dataset.get("use_lhotse") else ():
                _check_noises(source, findings, pool)
            if not list_sources(dataset):
                logger.warning("%s: no manifest or Shar folder in it that can be checked before training", name)
    for line in notes.describe() + search.describe_warnings():
        logger.warning(line)
    if found := search.describe_same_recordings():
        if leaks == "error":
            findings.others.append(f"{found} (checks.leaks=warn trains nevertheless)")
        else:
            logger.warning(found)
    return findings.describe()


def frame_counter(encoder: DictConfig) -> Callable[[int], int]:
    """Give the function from samples to frames of the encoder that a configuration names."""
    if encoder._target_.endswith("W2VBertEncoder"):
        return lambda samples: max(0, (samples - WINDOW) // HOP + 1) // STACKED
    layers = list(zip(encoder.architecture.conv_kernel, encoder.architecture.conv_stride, strict=True))
    return partial(count_conv_frames, layers=layers)


@dataclass(frozen=True)
class RowGates:
    """What one utterance is held against."""

    labels: set[str]
    dataset: DictConfig
    count_frames: Callable[[int], int]

    def check(self, row: Row) -> Iterator[Problem]:
        """Find what is wrong with an utterance's description."""
        name, text, seconds = row["audio_filepath"], row["text"], row["duration"]
        if not self.labels.issuperset(text):
            yield "text outside the alphabet", f"{name} ({', '.join(find_outside_alphabet(text, self.labels))})"
        frames = self.count_frames(round(seconds * SAMPLE_RATE_HZ))
        if not text.strip():
            yield "empty text", name
        elif frames < 2 * len(text) and frames < (needed := count_ctc_steps(text)):
            yield "too short for its text", f"{name} ({frames} frames, {needed} needed)"
        shortest, longest = self._limits
        if seconds < shortest:
            yield "shorter than min_duration, which would leave it out", f"{name} ({seconds} s)"
        if seconds > longest:
            yield "longer than max_duration, which would leave it out", f"{name} ({seconds} s)"

    def check_copies(self, row: Row) -> Iterator[Problem]:
        """Find which copies of an utterance at another speed the limits leave out, though not the utterance itself."""
        (shortest, longest), name, seconds = self._limits, row["audio_filepath"], row["duration"]
        for speed in self._speeds if shortest <= seconds <= longest else ():
            if not shortest <= seconds / speed <= longest:
                limit = f"min_duration={shortest}" if speed > 1 else f"max_duration={longest}"
                kind = f"copy at {speed} of the speed (perturb_speed=true) that {limit} leaves out"
                yield kind, f"{name} ({seconds / speed:.2f} s)"

    @cached_property  # asking the configuration takes as long as looking at a row
    def _limits(self) -> tuple[float, float]:
        shortest, longest = self.dataset.get("min_duration"), self.dataset.get("max_duration")
        return -math.inf if shortest is None else shortest, math.inf if longest is None else longest

    @cached_property
    def _speeds(self) -> tuple[float, ...]:
        return COPY_SPEEDS if self.dataset.get("perturb_speed") else ()


@dataclass(frozen=True)
class FileGates:
    """What the audio files of one manifest are held against.

    Attributes:
        folder: Where its relative paths start.
        every: Of so many files the header of one is read; of the others only that they are there.
        sample_rate: Hz; `None` where any will do.
        whole: Whether the whole file is taken where a row has no offset, as Lhotse does; NeMo's own reader takes
            `duration` of it.
    """

    folder: str
    every: int
    sample_rate: int | None
    whole: bool

    def check(self, rows: Sequence[Row], start: int) -> list[Problem | None]:
        """Find what is wrong with the file of each row; `start` is the number of the first."""
        return [
            check_audio(row, _locate(self.folder, row), number % self.every == 0, self.sample_rate, self.whole)
            for number, row in enumerate(rows, start)
        ]


def _check_source(
    source: Source,
    gates: RowGates,
    results: tuple[Findings, Findings],
    note: Callable[[Row, str], None],
    pool: ThreadPoolExecutor,
) -> None:
    findings, notes = results
    where = str(source.path)
    total = source.count_lines()
    rate = int(gates.dataset.get("sample_rate", SAMPLE_RATE_HZ))
    files_gates = _file_gates(source, total, rate, whole=bool(gates.dataset.get("use_lhotse")))
    rows = 0
    with tqdm(total=total, unit=" rows", desc=source.path.name, mininterval=0.5, disable=None) as progress:
        for chunk, files in _in_threads(source, files_gates, pool):
            for row, problem in zip(chunk, files, strict=True):
                for found in gates.check(row):
                    findings.add(where, found)
                for found in gates.check_copies(row):
                    notes.add(where, found)
                if problem:
                    findings.add(where, problem)
                note(row, _locate(files_gates.folder, row) if source.has_files else "")
            rows += len(chunk)
            progress.update(len(chunk))
    if not rows:
        findings.others.append(f"{where}: no utterance in it")
    elif source.has_files:
        logger.info("%s: %d files looked for, the headers of %d read", where, rows, -(-rows // files_gates.every))
    else:
        logger.info("%s: %d descriptions checked; audio inside tar files was not read", where, rows)


def _check_noises(source: Source, findings: Findings, pool: ThreadPoolExecutor) -> None:
    rows = 0
    gates = _file_gates(source, source.count_lines(), None, whole=False)  # Lhotse resamples noises
    for chunk, files in _in_threads(source, gates, pool):
        rows += len(chunk)
        for problem in filter(None, files):
            findings.add(str(source.path), problem)
    if not rows:
        findings.others.append(f"{source.path}: no noise in it")


def _file_gates(source: Source, lines: int, sample_rate: int | None, whole: bool) -> FileGates:
    return FileGates(str(source.path.resolve().parent), max(1, -(-lines // HEADERS_READ)), sample_rate, whole)


def _in_threads(
    source: Source, gates: FileGates, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Row], list[Problem | None]]]:
    """Give chunks of rows with what their files lack, in order, while a bounded number of chunks is being worked on."""
    pending: deque[tuple[list[Row], Future[list[Problem | None]]]] = deque()
    rows = source.read()
    start = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        if source.has_files:
            pending.append((chunk, pool.submit(gates.check, chunk, start)))
        else:
            yield chunk, [None] * len(chunk)
        start += len(chunk)
        if len(pending) > 2 * THREADS:
            done, files = pending.popleft()
            yield done, files.result()
    for done, files in pending:
        yield done, files.result()


def _locate(folder: str, row: Row) -> str:
    """As `data_prep.manifest.resolve_audio_path`, without asking the file system about the folder for each row."""
    name = row["audio_filepath"]
    return (
        str(Path(name).expanduser()) if name.startswith("~") else name if name.startswith("/") else f"{folder}/{name}"
    )


def check_audio(
    row: Mapping[str, Any], path: str, read_header: bool, sample_rate: int | None, whole: bool = False
) -> Problem | None:
    """Find what is wrong with an utterance's audio file, if anything.

    Args:
        row: Of the manifest; `duration` and `offset` in seconds.
        path: The file.
        read_header: Whether to open it, or only look that it is there.
        sample_rate: What training expects, Hz; `None` where any will do.
        whole: Whether a row without an offset gets the whole file, whatever its duration.
    """
    if not Path(path).is_file():
        return "missing audio", path
    if not read_header:
        return None
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        return "unreadable audio", f"{path} ({error})"
    if sample_rate is not None and info.samplerate != sample_rate:
        return f"audio that is not at {sample_rate} Hz", f"{path} ({info.samplerate} Hz)"
    if info.channels != 1:
        return "audio of more than one channel", f"{path} ({info.channels})"
    end = row["duration"] + (row.get("offset") or 0.0)
    example = f"{path} ({info.duration:.2f} s, the manifest says {end:.2f} s)"
    if info.duration < end - DURATION_TOLERANCE_S:
        return "audio shorter than the manifest says", example
    if not whole or info.duration <= row["duration"] + DURATION_TOLERANCE_S:
        return None
    if row.get("sampling_rate") or row.get("sample_rate"):  # NeMo then takes the duration for that of the file
        return (
            "part of a file with a sampling rate, which NeMo cannot read: leave the rate out, give the offset",
            example,
        )
    if row.get("offset") is None:
        return "audio longer than the manifest says, taken whole: correct the duration, or add an offset (0.0)", example
    return None

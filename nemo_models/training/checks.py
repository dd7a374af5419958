"""What would spoil a training without a word, looked for before the first step is paid for, and reported all at once.

NeMo drops characters without a label, zeroes the loss of utterances too short for their text, and leaves out audio that
it cannot read: each silently. Manifests are streamed; an utterance costs a look at its file, made by many threads.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile
from omegaconf import DictConfig
from tqdm import tqdm

from data_prep.alphabet import find_outside_alphabet
from data_prep.audio import SAMPLE_RATE_HZ
from data_prep.checks import count_ctc_steps
from nemo_models.training.checkpoint_space import find_missing_space
from nemo_models.training.leaks import LeakSearch
from nemo_models.training.sources import Row, Source, list_sources
from nemo_models.w2v_bert_features import HOP, STACKED, WINDOW

logger = logging.getLogger(__name__)

HEADERS_READ = 20_000  # files a manifest whose headers are read; of larger ones so many, evenly spread
THREADS = 32  # waiting for a file system, not computing
CHUNK_ROWS = 500  # handed to a thread at once
DURATION_TOLERANCE_S = 0.05  # manifests round; a frame or two are no matter
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
    if problems:
        raise ValueError(f"the data cannot be trained on: {'; '.join(problems)}; {'; '.join(remedies)}")


def check_data_sets(model_cfg: DictConfig, labels: Sequence[str], leaks: str = "error") -> list[str]:
    """Look through the training and validation data for what training would not tell.

    Characters without a label, empty texts, more labels than frames of this encoder, audio that is missing, unreadable,
    shorter than stated or of another rate, limits that would leave utterances out, empty sets, and the same recording
    in training and validation. Of tarred and Shar data the descriptions are checked and that the shards are there.

    Args:
        model_cfg: `train_ds`, `validation_ds` and `encoder`.
        labels: What the model can write.
        leaks: `error` or `warn`: what the same recording on both sides is.

    Returns:
        The problems, each a text; none where nothing was found.
    """
    if leaks not in ("error", "warn"):
        raise ValueError(f"checks.leaks={leaks}: expected error or warn")
    findings, search = Findings(), LeakSearch()
    count_frames = frame_counter(model_cfg.encoder)
    with ThreadPoolExecutor(THREADS) as pool:
        for name in ("validation_ds", "train_ds"):  # what validation holds is what training is searched for
            dataset = model_cfg[name]
            note = search.remember if name == "validation_ds" else search.compare
            for source in list_sources(dataset):
                gates = RowGates(set(labels), dataset, count_frames)
                _check_source(source, gates, findings, note, pool)
            if not list_sources(dataset):
                logger.warning("%s: no manifest or Shar folder in it that can be checked before training", name)
    for line in search.describe_warnings():
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

    def count(samples: int) -> int:
        for kernel, stride in layers:
            samples = max(0, (samples - kernel) // stride + 1)
        return samples

    return count


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
        shortest, longest = self.dataset.get("min_duration"), self.dataset.get("max_duration")
        if shortest is not None and seconds < shortest:
            yield "shorter than min_duration, which would leave it out", f"{name} ({seconds} s)"
        if longest is not None and seconds > longest:
            yield "longer than max_duration, which would leave it out", f"{name} ({seconds} s)"


def _check_source(
    source: Source, gates: RowGates, findings: Findings, note: Callable[[Row, str], None], pool: ThreadPoolExecutor
) -> None:
    where = str(source.path)
    total = source.count_lines()
    every = max(1, -(-total // HEADERS_READ))
    folder = str(source.path.resolve().parent)
    rate = int(gates.dataset.get("sample_rate", SAMPLE_RATE_HZ))
    rows = 0
    with tqdm(total=total, unit=" rows", desc=source.path.name, mininterval=0.5, disable=None) as progress:
        for chunk, files in _in_threads(source, folder, every, rate, pool):
            for row, problem in zip(chunk, files, strict=True):
                for found in gates.check(row):
                    findings.add(where, found)
                if problem:
                    findings.add(where, problem)
                note(row, _locate(folder, row) if source.has_files else "")
            rows += len(chunk)
            progress.update(len(chunk))
    if not rows:
        findings.others.append(f"{where}: no utterance in it")
    elif source.has_files:
        logger.info("%s: %d files looked for, the headers of %d read", where, rows, -(-rows // every))
    else:
        logger.info("%s: %d descriptions checked; audio inside tar files was not read", where, rows)


def _in_threads(
    source: Source, folder: str, every: int, rate: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Row], list[Problem | None]]]:
    """Give chunks of rows with what their files lack, in order, while a bounded number of chunks is being worked on."""
    pending: deque[tuple[list[Row], Future[list[Problem | None]]]] = deque()
    rows = source.read()
    start = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        if source.has_files:
            pending.append((chunk, pool.submit(_check_files, chunk, folder, start, every, rate)))
        else:
            yield chunk, [None] * len(chunk)
        start += len(chunk)
        if len(pending) > 2 * THREADS:
            done, files = pending.popleft()
            yield done, files.result()
    for done, files in pending:
        yield done, files.result()


def _check_files(rows: Iterable[Row], folder: str, start: int, every: int, rate: int) -> list[Problem | None]:
    return [check_audio(row, _locate(folder, row), number % every == 0, rate) for number, row in enumerate(rows, start)]


def _locate(folder: str, row: Row) -> str:
    """As `data_prep.manifest.resolve_audio_path`, without asking the file system about the folder for each row."""
    name = row["audio_filepath"]
    return (
        str(Path(name).expanduser()) if name.startswith("~") else name if name.startswith("/") else f"{folder}/{name}"
    )


def check_audio(row: Mapping[str, Any], path: str, read_header: bool, sample_rate: int) -> Problem | None:
    """Find what is wrong with an utterance's audio file, if anything.

    Args:
        row: Of the manifest; `duration` and `offset` in seconds.
        path: The file.
        read_header: Whether to open it, or only look that it is there.
        sample_rate: What training expects, Hz.
    """
    if not Path(path).is_file():
        return "missing audio", path
    if not read_header:
        return None
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        return "unreadable audio", f"{path} ({error})"
    if info.samplerate != sample_rate:
        return f"audio that is not at {sample_rate} Hz", f"{path} ({info.samplerate} Hz)"
    if info.channels != 1:
        return "audio of more than one channel", f"{path} ({info.channels})"
    end = row["duration"] + (row.get("offset") or 0.0)
    if info.duration < end - DURATION_TOLERANCE_S:
        return "audio shorter than the manifest says", f"{path} ({info.duration:.2f} s, the manifest says {end:.2f} s)"
    return None

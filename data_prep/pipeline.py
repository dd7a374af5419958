"""From a corpus folder to manifests: read the rows, work through them in shards, split by speaker, account for all."""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.alphabet import load_alphabet
from data_prep.corpora import Reader, Utterance, get_reader
from data_prep.manifest import write_json, write_jsonl
from data_prep.report import ReportBuilder
from data_prep.shards import Shard, ShardSettings, process_shard, read_shard
from data_prep.splits import DEFAULT_FRACTIONS, SPLITS, assign_splits, check_split_settings
from data_prep.text import NORMALIZER_FINGERPRINT

SPLIT_BY = ("speaker", "utterance")


def prepare_corpus(
    corpus: str,
    corpus_dir: str | Path,
    output_dir: str | Path,
    *,
    source: str | None = None,
    splits: Mapping[str, float] | None = None,
    split_by: str = "speaker",
    dev_speakers: Sequence[str] = (),
    test_speakers: Sequence[str] = (),
    seed: int = 0,
    min_duration: float = 0.5,
    max_duration: float = 30.0,
    alphabet: str | Path | None = None,
    num_workers: int | None = None,
    shard_size: int = 100,
) -> dict[str, Any]:
    """Turn a corpus into NeMo manifests, `rejected.jsonl` and `report.json`.

    What a killed run had finished is taken over by the next one, and the files are the same for any number of workers.

    Args:
        corpus: Name of a reader in `data_prep.corpora`.
        corpus_dir: The corpus folder.
        output_dir: Where the files go; made if needed.
        source: Name of the corpus in the manifests; `None` is the corpus folder's name.
        splits: Split → share of the speakers; `None` is 80 % train, 10 % dev, 10 % test.
        split_by: `speaker`, or `utterance` where speakers may be in several splits.
        dev_speakers: Speakers that make up dev, instead of its share.
        test_speakers: Speakers that make up test, instead of its share.
        seed: Seed of the split.
        min_duration: Shortest audio that is kept, in seconds.
        max_duration: Longest audio that is kept, in seconds.
        alphabet: Alphabet file; `None` is the Hindi one.
        num_workers: Processes; `None` is one a core.
        shard_size: Rows that are worked on, and finished, together.

    Returns:
        The report, as written to `report.json`.

    Raises:
        ValueError: An argument is wrong, or there are too few speakers for the splits.
        OSError: The corpus is missing, sox is missing, or the output cannot be written.
    """
    corpus_dir, output_dir = Path(corpus_dir).expanduser().resolve(), Path(output_dir).expanduser().resolve()
    reader, fractions = get_reader(corpus), dict(splits or DEFAULT_FRACTIONS)
    listed = {"dev": [str(name) for name in dev_speakers], "test": [str(name) for name in test_speakers]}
    check_split_settings(fractions, listed)
    workers = _count_workers() if num_workers is None else num_workers
    _check_arguments(split_by, min_duration, max_duration, workers, shard_size)
    labels = load_alphabet(Path(alphabet).expanduser() if alphabet else None)
    settings = ShardSettings(output_dir, source or corpus_dir.name, tuple(labels), min_duration, max_duration)
    total = sum(1 for _ in reader(corpus_dir))
    with _lock(settings):
        shard_paths = _process_shards(_cut_shards(reader, corpus_dir, settings, shard_size), workers, total)
        groups = _GroupSplits(split_by, listed)
        groups.assign(shard_paths, fractions, seed)
        report = {
            "corpus": corpus,
            "corpus_dir": str(corpus_dir),
            "source": settings.source,
            "normalizer_fingerprint": NORMALIZER_FINGERPRINT,
            "settings": {
                "splits": fractions,
                "split_by": split_by,
                "dev_speakers": listed["dev"],
                "test_speakers": listed["test"],
                "seed": seed,
                "min_duration": min_duration,
                "max_duration": max_duration,
            },
            **_write_manifests(shard_paths, groups, settings, total, fractions),
        }
        write_json(output_dir / "report.json", report)
    return report


class _Progress(tqdm):
    monitor_interval = 0  # no thread beside the main one: workers are forked


class _GroupSplits:
    """Knows the split of every kept result: the corpus's own if it has one, else that of its speaker or utterance."""

    def __init__(self, split_by: str, listed: Mapping[str, Sequence[str]]) -> None:
        self._by_speaker = split_by == "speaker"
        self._listed = listed
        self._splits: dict[str, str] = {}

    def assign(self, shard_paths: Sequence[Path], fractions: Mapping[str, float], seed: int) -> None:
        groups = {self._get_group(result) for result in _read_results(shard_paths) if _needs_split(result)}
        self._splits = assign_splits(groups, fractions, self._listed, seed)

    def get_split(self, result: Mapping[str, Any]) -> str:
        return result["split"] or self._splits[self._get_group(result)]

    def _get_group(self, result: Mapping[str, Any]) -> str:
        return result["kept"]["speaker"] if self._by_speaker else result["path"]


def _needs_split(result: Mapping[str, Any]) -> bool:
    return "kept" in result and not result["split"]


def _read_results(shard_paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in shard_paths:
        yield from read_shard(path)


def _write_manifests(
    shard_paths: Sequence[Path],
    groups: _GroupSplits,
    settings: ShardSettings,
    total: int,
    fractions: Mapping[str, float],
) -> dict[str, Any]:
    """Write one manifest a split and `rejected.jsonl`; remove the manifest of a split that this run does not have."""
    builder = ReportBuilder(settings.alphabet, SPLITS)
    for result in _read_results(shard_paths):
        if "kept" in result:
            converted = not Path(result["kept"]["audio_filepath"]).is_absolute()
            builder.add_kept(result["kept"], groups.get_split(result), converted)
        else:
            builder.add_rejected(result["rejected"])
    report = builder.build(total)
    for split in SPLITS:
        path = settings.output_dir / f"{split}_manifest.json"
        if not report["splits"][split]["utterances"] and not fractions.get(split):
            del report["splits"][split]
            path.unlink(missing_ok=True)
            continue
        results = (result for result in _read_results(shard_paths) if "kept" in result)
        write_jsonl(path, (result["kept"] for result in results if groups.get_split(result) == split))
    rejected = (result["rejected"] for result in _read_results(shard_paths) if "rejected" in result)
    write_jsonl(settings.output_dir / "rejected.jsonl", rejected)
    return report


def _check_arguments(split_by: str, min_duration: float, max_duration: float, workers: int, shard_size: int) -> None:
    if split_by not in SPLIT_BY:
        raise ValueError(f"split_by={split_by}: expected {' or '.join(SPLIT_BY)}")
    for name, value in (("min_duration", min_duration), ("max_duration", max_duration)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{name}={value}: expected a number of seconds")
    if not 0 <= min_duration < max_duration:
        raise ValueError(f"min_duration={min_duration}, max_duration={max_duration}: expected 0 ≤ minimum < maximum")
    for name, value in (("num_workers", workers), ("shard_size", shard_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value}: expected a whole number from 1")


def _count_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _lock(settings: ShardSettings) -> Iterator[None]:
    """Keep a second run out of the same output folder, and clear away what a killed one left half-written."""
    settings.shard_dir.mkdir(parents=True, exist_ok=True)
    with (settings.shard_dir / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # dies with this process, is not inherited by its workers
        except OSError as error:
            raise OSError(
                f"output_dir={settings.output_dir}: another run is at work there; wait for its end"
            ) from error
        shutil.rmtree(settings.shard_dir / "tmp", ignore_errors=True)
        for folder in (settings.shard_dir, settings.output_dir):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
        yield


def _cut_shards(reader: Reader, corpus_dir: Path, settings: ShardSettings, shard_size: int) -> Iterator[Shard]:
    first_seen: dict[str, int] = {}
    rows: list[Any] = []
    duplicates: dict[int, str] = {}
    index = 0
    for row in reader(corpus_dir):
        if isinstance(row, Utterance):
            name = os.path.normpath(row.path)
            if name in first_seen:
                duplicates[len(rows)] = f"first listed in line {first_seen[name]}"
            first_seen.setdefault(name, row.line)
        rows.append(row)
        if len(rows) == shard_size:
            yield Shard(index, rows, duplicates, settings)
            rows, duplicates, index = [], {}, index + 1
    if rows:
        yield Shard(index, rows, duplicates, settings)


def _process_shards(shards: Iterable[Shard], workers: int, total: int) -> list[Path]:
    """Work through all shards with a progress bar on standard error; return their files in the corpus's order."""
    paths: list[Path] = []

    def listed() -> Iterator[Shard]:
        for shard in shards:
            paths.append(shard.path)
            yield shard

    reused = 0
    with _Progress(total=total, unit=" rows", desc="prepare", mininterval=0.5) as progress:
        for rows, taken_over in _run(listed(), workers):
            reused += rows * taken_over
            progress.set_postfix_str(f"{reused} from an earlier run" if reused else "", refresh=False)
            progress.update(rows)
    return paths


def _run(shards: Iterable[Shard], workers: int) -> Iterator[tuple[int, bool]]:
    if workers == 1:
        yield from map(process_shard, shards)
        return
    pool = ProcessPoolExecutor(workers, get_context("fork"), _start_worker, (os.getpid(),))
    pending: set[Future[tuple[int, bool]]] = set()
    try:
        for shard in shards:
            pending.add(pool.submit(process_shard, shard))
            if len(pending) >= 4 * workers:  # memory does not grow with the corpus
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise OSError(
            "a worker process was killed, perhaps for want of memory; finished shards are kept: "
            "run again, with fewer num_workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent: int) -> None:
    os.setsid()  # Ctrl-C is the parent's to handle; it must not cut short a sox at work
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """End a worker whose parent was killed: it would otherwise wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)

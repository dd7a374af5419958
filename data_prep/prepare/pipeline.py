"""From a corpus folder to manifests: read the rows, work through them in shards, split by speaker, account for all."""

import fcntl
import hashlib
import shutil
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
from tqdm import tqdm

from data_prep.audio.channels import check_channel
from data_prep.corpora import Reader, Utterance, get_reader
from data_prep.engines import Engine
from data_prep.manifest import write_json, write_jsonl, write_text
from data_prep.prepare.html_report import collect_examples, format_html
from data_prep.prepare.report import ReportBuilder
from data_prep.prepare.work_units import Shard, ShardSettings, describe_rejection, process_shard, read_shard
from data_prep.selection.duplicates import Verdicts, find_duplicate_audio, find_duplicate_text, find_text_in_evaluation
from data_prep.selection.leaks import find_split_leaks
from data_prep.selection.quality import QualityLimits
from data_prep.selection.splits import DEFAULT_FRACTIONS, SPLITS, assign_splits, check_split_settings
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from data_prep.text.number_rules import NUMBERS_FINGERPRINT
from data_prep.text.policy import ABBREVIATION_POLICIES, ANNOTATION_POLICIES, TextPolicy

CHOICES = {
    "split_by": ("speaker", "text", "utterance"),
    "duplicate_audio": ("reject", "keep"),
    "duplicate_text": ("reject", "keep"),
    "numbers": ("reject", "verbalize"),
    "annotations": ANNOTATION_POLICIES,
    "abbreviations": ABBREVIATION_POLICIES,
}


def prepare_corpus(
    corpus: str,
    corpus_dir: str | Path,
    output_dir: str | Path,
    *,
    source: str | None = None,
    splits: Mapping[str, float] | None = None,
    split_by: str = "speaker",
    disjoint_text: bool = False,
    dev_speakers: Sequence[str] = (),
    test_speakers: Sequence[str] = (),
    seed: int = 0,
    alphabet: str | Path | None = None,
    numbers: str = "reject",
    annotations: str = "reject",
    abbreviations: str = "expand",
    channel: int | str | None = "auto",
    trim_silence: bool = False,
    duplicate_audio: str = "reject",
    duplicate_text: str = "keep",
    engine: str = "local",
    address: str | None = None,
    num_workers: int | None = None,
    shard_size: int = 100,
    **gates: float | None,
) -> dict[str, Any]:
    """Turn a corpus into NeMo manifests, `rejected.jsonl`, `report.json` and `report.html`.

    What a killed run had finished is taken over by the next one, and the files are the same for any number of workers.

    Args:
        corpus: Name of a reader in `data_prep.corpora`.
        corpus_dir: The corpus folder.
        output_dir: Where the files go; made if needed.
        source: Name of the corpus in the manifests; `None` is the corpus folder's name.
        splits: Split → share of the speakers; `None` is 80 % train, 10 % dev, 10 % test.
        split_by: `speaker`; or `text`, where no text is in two splits; or `utterance`. With these two, speakers may be.
        disjoint_text: Leave out of train what dev or test also say, and out of dev what test also says.
        dev_speakers: Speakers that make up dev, instead of its share.
        test_speakers: Speakers that make up test, instead of its share.
        seed: Seed of the split.
        alphabet: Alphabet file; `None` is the Hindi one.
        numbers: `reject` texts with numbers, or `verbalize` them, see `data_prep.text.policy.TextPolicy`.
        annotations: `reject` texts with notes such as [हँसी], `strip` the notes, or `keep` their words.
        abbreviations: `expand` those with one reading, `reject` them, or `keep` them without their dots.
        channel: Which channel is used, see `data_prep.audio.channels.check_channel`.
        trim_silence: Whether silence at both ends is cut off.
        duplicate_audio: `reject` or `keep` audio whose samples came before.
        duplicate_text: `reject` or `keep` a text that its speaker said before.
        engine: `local` or `ray`, see `data_prep.engines.Engine`.
        address: Address of the Ray cluster.
        num_workers: Processes; `None` is one a core.
        shard_size: Rows that are worked on, and finished, together.
        gates: Limits of what is kept, see `data_prep.selection.quality.QualityLimits`.

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
    choices = {"split_by": split_by, "duplicate_audio": duplicate_audio, "duplicate_text": duplicate_text}
    choices |= {"numbers": numbers, "annotations": annotations, "abbreviations": abbreviations}
    _check_choices(choices, shard_size)
    policy = TextPolicy(numbers, annotations=annotations, abbreviations=abbreviations)
    runner, limits = Engine(engine, num_workers, address), QualityLimits(**gates)  # type: ignore[arg-type]
    labels = load_alphabet(Path(alphabet).expanduser() if alphabet else None)
    name = source or corpus_dir.name
    settings = ShardSettings(output_dir, name, tuple(labels), limits, check_channel(channel), trim_silence, policy)
    total, repeated = _scan_rows(reader, corpus_dir)
    with _lock(settings):
        shards = _cut_shards(reader, corpus_dir, settings, shard_size, repeated)
        shard_paths = _process_shards(shards, runner, total)
        selection = _Selection(shard_paths, split_by, listed)
        selection.reject_duplicates(duplicate_audio == "reject", duplicate_text == "reject")
        selection.assign_splits(fractions, seed, disjoint_text)
        report = {
            "corpus": corpus,
            "corpus_dir": str(corpus_dir),
            "source": settings.source,
            "normalizer_fingerprint": NORMALIZER_FINGERPRINT,
            "numbers_fingerprint": NUMBERS_FINGERPRINT if numbers == "verbalize" else None,
            "settings": {
                "splits": fractions,
                **choices,
                "disjoint_text": disjoint_text,
                "dev_speakers": listed["dev"],
                "test_speakers": listed["test"],
                "seed": seed,
                "channel": channel,
                "trim_silence": trim_silence,
                **asdict(limits),
            },
            **_write_manifests(selection, settings, total, fractions),
        }
        rejected = ((result["rejected"], result.get("audio")) for result in selection.read() if "rejected" in result)
        write_text(output_dir / "report.html", format_html(report, collect_examples(rejected)))
        write_json(output_dir / "report.json", report)
    return report


class _Progress(tqdm):
    monitor_interval = 0  # no thread beside the main one: workers are forked


class _Selection:
    """The results of all shards, judged as a whole: what repeats is out, and everything else has a split."""

    def __init__(self, shard_paths: Sequence[Path], split_by: str, listed: Mapping[str, Sequence[str]]) -> None:
        self._shard_paths = shard_paths
        self._split_by = split_by
        self._listed = listed
        self._verdicts: Verdicts = {}
        self._splits: dict[str, str] = {}

    def reject_duplicates(self, audio: bool, text: bool) -> None:
        if audio:
            self._verdicts |= find_duplicate_audio(self._read_shards, self._verdicts)
        if text:
            self._verdicts |= find_duplicate_text(self._read_shards, self._verdicts)

    def assign_splits(self, fractions: Mapping[str, float], seed: int, disjoint_text: bool) -> None:
        groups = {self._get_group(result) for result in self.read() if "kept" in result and not result["split"]}
        self._splits = assign_splits(groups, fractions, self._listed, seed)
        if disjoint_text:
            self._verdicts |= find_text_in_evaluation(self._read_shards, self._verdicts, self.get_split)

    def get_split(self, result: Mapping[str, Any]) -> str:
        """The corpus's own split if it has one, else that of the speaker, text or utterance."""
        return result["split"] or self._splits[self._get_group(result)]

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all results in corpus order."""
        for at, result in enumerate(self._read_shards()):
            if at in self._verdicts:
                yield {"rejected": describe_rejection(*self._verdicts[at], result), "audio": result["audio"]}
            else:
                yield result

    def _read_shards(self) -> Iterator[dict[str, Any]]:
        for path in self._shard_paths:
            yield from read_shard(path)

    def _get_group(self, result: Mapping[str, Any]) -> str:
        return result["path"] if self._split_by == "utterance" else result["kept"][self._split_by]


def _write_manifests(
    selection: _Selection, settings: ShardSettings, total: int, fractions: Mapping[str, float]
) -> dict[str, Any]:
    """Write one manifest a split and `rejected.jsonl`; remove the manifest of a split that this run does not have."""
    builder = ReportBuilder(settings.alphabet, SPLITS)
    for result in selection.read():
        if "kept" in result:
            converted = not Path(result["kept"]["audio_filepath"]).is_absolute()
            builder.add_kept(result["kept"], selection.get_split(result), converted, result["measures"])
        else:
            builder.add_rejected(result["rejected"])
    report = builder.build(total)
    for split in SPLITS:
        path = settings.output_dir / f"{split}_manifest.json"
        if not report["splits"][split]["utterances"] and not fractions.get(split):
            del report["splits"][split]
            path.unlink(missing_ok=True)
            continue
        results = (result for result in selection.read() if "kept" in result)
        write_jsonl(path, (result["kept"] for result in results if selection.get_split(result) == split))
    rejected = (result["rejected"] for result in selection.read() if "rejected" in result)
    write_jsonl(settings.output_dir / "rejected.jsonl", rejected)
    manifests = {split: settings.output_dir / f"{split}_manifest.json" for split in report["splits"]}
    return {**report, "leaks": find_split_leaks(manifests)}


def _check_choices(choices: Mapping[str, str], shard_size: int) -> None:
    for name, value in choices.items():
        allowed = CHOICES[name]
        if value not in allowed:
            raise ValueError(f"{name}={value}: expected {' or '.join(allowed)}")
    if isinstance(shard_size, bool) or not isinstance(shard_size, int) or shard_size < 1:
        raise ValueError(f"shard_size={shard_size}: expected a whole number from 1")


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


def _scan_rows(reader: Reader, corpus_dir: Path) -> tuple[int, frozenset[int]]:
    """Count the rows, and find what audio is listed more than once, by hash: eight bytes a row are held."""
    total, hashes = 0, array("Q")
    for row in reader(corpus_dir):
        total += 1
        if isinstance(row, Utterance):
            hashes.append(_hash_key(row))
    values = numpy.sort(numpy.frombuffer(hashes, "uint64"))
    return total, frozenset(values[1:][values[1:] == values[:-1]].tolist())


def _hash_key(row: Utterance) -> int:
    return int.from_bytes(hashlib.blake2b(row.key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _cut_shards(
    reader: Reader, corpus_dir: Path, settings: ShardSettings, shard_size: int, repeated: Collection[int]
) -> Iterator[Shard]:
    first_seen: dict[str, int] = {}
    rows: list[Any] = []
    duplicates: dict[int, str] = {}
    index = 0
    for row in reader(corpus_dir):
        if repeated and isinstance(row, Utterance) and _hash_key(row) in repeated:
            if row.key in first_seen:
                duplicates[len(rows)] = f"first listed in line {first_seen[row.key]}"
            first_seen.setdefault(row.key, row.line)
        rows.append(row)
        if len(rows) == shard_size:
            yield Shard(index, rows, duplicates, settings)
            rows, duplicates, index = [], {}, index + 1
    if rows:
        yield Shard(index, rows, duplicates, settings)


def _process_shards(shards: Iterable[Shard], engine: Engine, total: int) -> list[Path]:
    """Work through all shards with a progress bar on standard error; return their files in the corpus's order."""
    paths: list[Path] = []

    def listed() -> Iterator[Shard]:
        for shard in shards:
            paths.append(shard.path)
            yield shard

    reused = 0
    with _Progress(total=total, unit=" rows", desc="prepare", mininterval=0.5) as progress:
        for rows, taken_over in engine.run(process_shard, listed()):
            reused += rows * taken_over
            progress.set_postfix_str(f"{reused} from an earlier run" if reused else "", refresh=False)
            progress.update(rows)
    return paths

"""Checks any NeMo manifest row by row, as training will read it, and repairs what needs no guess.

The checks are those of data preparation, and three faults that can be repaired: a duration that differs from the
audio's, a text that is not normalised, audio that is not 16 kHz mono 16-bit. `mode="validate"` changes nothing.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from data_prep.arguments import is_number, require_choice
from data_prep.atomic import open_atomic
from data_prep.audio.measures import measure_audio
from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.corpora import Utterance
from data_prep.corpora.nemo import CHANNEL_KEYS, get_channel
from data_prep.engines import Engine, run_in_order
from data_prep.lines import cut_chunks
from data_prep.manifest import check_manifest_start, encode_json, parse_manifest_line, resolve_audio_path, write_jsonl
from data_prep.prepare.causes import CauseCounts, find_cause
from data_prep.prepare.settings import DUPLICATE_POLICIES
from data_prep.prepare.verdicts import Verdicts, describe_rejection
from data_prep.prepare.work_units import check_file, name_converted, write_converted
from data_prep.selection.kept_index import KeptIndex, make_kept_row
from data_prep.selection.quality import REASONS, QualityLimits, check_utterance
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy

MODES = ("validate", "fix")
REPAIRS = {
    "wrong_duration": "the duration is missing or differs from the audio's",
    "not_normalized": "the text is not normalised",
    "wrong_format": "the audio is not 16 kHz mono 16-bit WAV or FLAC",
}
DURATION_TOLERANCE_S = 0.011  # manifests round to two digits
_CHUNK_ROWS = 100


@dataclass(frozen=True)
class _Settings:
    manifest: Path
    audio_dir: Path | None
    alphabet: tuple[str, ...]
    gates: QualityLimits
    policy: TextPolicy


def check_manifest(
    manifest: str | Path,
    mode: str = "validate",
    output: str | Path | None = None,
    *,
    alphabet: str | Path | None = None,
    annotations: str = "reject",
    abbreviations: str = "expand",
    duplicate_audio: str = "reject",
    duplicate_text: str = "keep",
    num_workers: int | None = None,
    **gates: float | None,
) -> dict[str, Any]:
    """Check a manifest, and in mode `fix` write a new one in which every row passes the checks.

    Args:
        manifest: The manifest, with audio in files (not tarred). Rows may be segments with an `offset`, and may
            choose a channel with `channel_selector`.
        mode: `validate` or `fix`.
        output: The new manifest; converted audio goes to `audio/` beside it, rejected rows to `<name>.rejected.jsonl`.
        alphabet: Alphabet file; `None` for the Hindi one.
        annotations: `reject`, `strip` or `keep`, see `data_prep.text.policy.TextPolicy`.
        abbreviations: `expand`, `reject` or `keep`, see there.
        duplicate_audio: `reject` or `keep` audio with the samples of an earlier row.
        duplicate_text: `reject` or `keep` a text that the same speaker has in an earlier row.
        num_workers: Number of processes; `None` for one a core.
        gates: Quality limits of what is kept, see `data_prep.selection.quality.QualityLimits`.

    Returns:
        `in`, `sound`, `repaired_by_fault`, `rejected_by_reason`, `kept` (sound or repaired), `rejected`, `causes`
        (see `data_prep.prepare.causes`), and `faults`: one `{"line", "fault", "detail", "audio_filepath"}` each.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: An argument is out of range, or the manifest is a tarred one or not a manifest at all.
    """
    manifest = Path(manifest).expanduser().resolve()
    require_choice("mode", mode, MODES)
    require_choice("duplicate_audio", duplicate_audio, DUPLICATE_POLICIES)
    require_choice("duplicate_text", duplicate_text, DUPLICATE_POLICIES)
    if (mode == "fix") != (output is not None):
        raise ValueError(f"output={output}: expected {'a new file' if mode == 'fix' else 'null'} with mode={mode}")
    target = Path(output).expanduser().resolve() if output else None
    if target == manifest:
        raise ValueError(f"output={output}: expected another file than the manifest itself")
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest}: no such manifest")
    check_manifest_start(manifest)
    labels = tuple(load_alphabet(Path(alphabet).expanduser() if alphabet else None))
    policy = TextPolicy(annotations=annotations, abbreviations=abbreviations)
    limits = QualityLimits(**gates)  # type: ignore[arg-type]
    settings = _Settings(manifest, target.parent if target else None, labels, limits, policy)
    with tempfile.TemporaryDirectory() as folder:
        results, index = Path(folder) / "results.jsonl", KeptIndex(splits=())
        write_jsonl(results, _index_results(_check_rows(settings, Engine(num_workers=num_workers)), index))
        verdicts = Verdicts(index)
        verdicts.reject_duplicates(duplicate_audio == "reject", duplicate_text == "reject")
        account = _write_outputs(target, verdicts, results)
    return {"manifest": str(manifest), "mode": mode, "output": str(target or ""), **account}


def _index_results(results: Iterable[dict[str, Any]], index: KeptIndex) -> Iterator[dict[str, Any]]:
    """Add the kept results to the index as they pass by."""
    for at, result in enumerate(results):
        if "kept" in result:
            index.add([make_kept_row(at, result)])
        yield result


def _write_outputs(target: Path | None, verdicts: Verdicts, results: Path) -> dict[str, Any]:
    """Write the new manifest and the rejected rows, if asked for, in one pass over the results; return the counts."""
    account = _Account()
    with ExitStack() as files, results.open(encoding="utf-8") as lines:
        names = {"kept": target, "rejected": target.with_suffix(".rejected.jsonl")} if target else {}
        outputs = {key: files.enter_context(open_atomic(path)) for key, path in names.items()}
        for result, _ in verdicts.judge(map(json.loads, lines)):
            account.add(result)
            key = "kept" if "kept" in result else "rejected"
            if key in outputs:
                outputs[key].write(encode_json(result[key]) + b"\n")
    return account.describe()


def _check_rows(settings: _Settings, engine: Engine) -> Iterator[dict[str, Any]]:
    for results in run_in_order(engine, _check_chunk, ((settings, chunk) for chunk in _cut_chunks(settings.manifest))):
        yield from results


def _cut_chunks(manifest: Path) -> Iterator[list[tuple[int, bytes]]]:
    with manifest.open("rb") as lines:
        yield from cut_chunks(((number, line) for number, line in enumerate(lines, 1) if line.strip()), _CHUNK_ROWS)


def _check_chunk(task: tuple[_Settings, list[tuple[int, bytes]]]) -> list[dict[str, Any]]:
    settings, lines = task
    with tempfile.TemporaryDirectory() as scratch, AudioReader(Path(scratch)) as reader:
        return [_check_line(line, number, settings, reader) for number, line in lines]


def _check_line(line: bytes, number: int, settings: _Settings, reader: AudioReader) -> dict[str, Any]:
    place: dict[str, Any] = {"file": str(settings.manifest), "line": number}
    try:
        row = parse_manifest_line(line, f"{settings.manifest}:{number}", ("audio_filepath", "text"))
    except ValueError as error:
        text = line.decode("utf-8", "replace").strip()
        detail = str(error).removeprefix(f"{settings.manifest}:{number}: ")
        return {"rejected": describe_rejection("malformed_row", detail, {**place, "path": None, "text": text})}
    if "shard_id" in row:
        raise ValueError(f"{settings.manifest}:{number}: found a tarred manifest; check the manifest it was made from")
    place |= {"path": row["audio_filepath"], "text": row["text"]}
    outcome = _check_row(row, settings, reader)
    if isinstance(outcome, tuple):
        audio = resolve_audio_path(row["audio_filepath"], settings.manifest)
        cause = find_cause(
            outcome[0], Utterance(str(settings.manifest), number, place["path"], str(audio), row["text"])
        )
        return {"rejected": describe_rejection(*outcome, place), **({"cause": cause} if cause else {})}
    return {**outcome, **place}


def _check_row(row: dict[str, Any], settings: _Settings, reader: AudioReader) -> dict[str, Any] | tuple[str, str]:
    """Return the repaired row with its repairs and measures, or (reason, detail)."""
    path = resolve_audio_path(row["audio_filepath"], settings.manifest)
    if fault := check_file(path):
        return fault
    offset, stated = row.get("offset"), row.get("duration")
    for name, value in (("offset", offset), ("duration", stated)):
        if value is not None and not (is_number(value) and value >= 0):
            return "malformed_row", f"{name} is {json.dumps(value)}, expected a number of seconds"
    try:
        channel = get_channel(row)
    except ValueError as error:
        return "malformed_row", str(error)
    is_segment = bool(offset)
    try:
        length = stated if is_segment else None
        start, longest = offset if is_segment else None, settings.gates.max_duration
        audio = reader.read(str(path), start, length, None, longest, channel)
    except AudioError as error:
        return error.reason, str(error)
    text, measures = normalize_text(row["text"], settings.policy), measure_audio(audio.samples, audio.source)
    if fault := check_utterance(measures, text, settings.alphabet, settings.gates, settings.policy):
        return fault
    duration = measures.samples / SAMPLE_RATE_HZ
    fixed = {
        **row,
        "audio_filepath": str(path),
        "duration": duration,
        "text": text,
        "speaker": str(row.get("speaker", "")),
    }
    if "speaker" not in row:
        del fixed["speaker"]
    repairs = []
    if stated is None or abs(stated - duration) > DURATION_TOLERANCE_S:
        repairs.append(
            ("wrong_duration", f"{'none' if stated is None else f'{stated:g} s'}, the audio has {duration:.3f} s")
        )
    elif is_segment:
        fixed["duration"] = stated
    if text != row["text"]:
        repairs.append(("not_normalized", f"'{row['text']}' becomes '{text}'"))
    if found := _describe_format(path):
        repairs.append(("wrong_format", found))
        if settings.audio_dir:
            utterance = Utterance(
                "", 0, str(path), str(path), text, offset=offset or None, duration=length, channel=channel
            )
            converted = name_converted(utterance)
            write_converted(settings.audio_dir / converted, audio.samples)
            fixed |= {"audio_filepath": str(converted), "duration": duration}
            for key in ("offset", *CHANNEL_KEYS):
                fixed.pop(key, None)
    return {"kept": fixed, "measures": measures.as_row(), "repairs": repairs}


def _describe_format(path: Path) -> str | None:
    """Say why audio cannot be used unchanged, for segments as for whole files; `None` where it can."""
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return f"{path.suffix or 'a format'} that libsndfile does not read"
    if (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16"):
        return None if info.format in ("WAV", "WAVEX", "FLAC") else info.format
    return f"{info.samplerate} Hz, {info.channels} channels, {info.format} {info.subtype}"


class _Account:
    """Counts the outcome of every row."""

    def __init__(self) -> None:
        self._rows = self._sound = self._kept = 0
        self._repairs: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._causes = CauseCounts()
        self._faults: list[dict[str, Any]] = []

    def add(self, result: Mapping[str, Any]) -> None:
        """Count one result."""
        self._rows += 1
        if "rejected" in result:
            place, found = result["rejected"], [(result["rejected"]["reason"], result["rejected"]["detail"])]
            self._reasons[found[0][0]] += 1
            if "cause" in result:
                self._causes.add(result["cause"])
        else:
            place, found = result, result["repairs"]
            self._repairs.update(fault for fault, _ in found)
            self._sound += not found
            self._kept += 1
        for fault, detail in found:
            self._faults.append(
                {"line": place["line"], "fault": fault, "detail": detail, "audio_filepath": place["path"]}
            )

    def describe(self) -> dict[str, Any]:
        """Return the counts that `check_manifest` returns."""
        return {
            "in": self._rows,
            "sound": self._sound,
            "kept": self._kept,
            "rejected": self._rows - self._kept,
            "repaired_by_fault": {fault: self._repairs[fault] for fault in REPAIRS if self._repairs[fault]},
            "rejected_by_reason": {reason: self._reasons[reason] for reason in REASONS if self._reasons[reason]},
            "causes": self._causes.describe(),
            "faults": self._faults,
        }


def format_check(report: Mapping[str, Any], examples: int = 3) -> str:
    """Format the outcome of `check_manifest` as text: every fault with its count, its meaning and some lines."""
    fixed = report["mode"] == "fix"
    counts = f"{report['in']} rows, {report['sound']} sound, {report['kept'] - report['sound']} to repair"
    if fixed:
        counts = f"{report['in']} rows in, {report['sound']} sound, {report['kept'] - report['sound']} repaired"
    lines = [f"{report['manifest']}: {counts}, {report['rejected']} {'left out' if fixed else 'beyond repair'}"]
    for fault, count in {**report["repaired_by_fault"], **report["rejected_by_reason"]}.items():
        lines += ["", f"{fault}: {count}, {REPAIRS.get(fault) or REASONS[fault]}"]
        found = [item for item in report["faults"] if item["fault"] == fault]
        lines += [f"  line {item['line']}: {item['detail']} ({item['audio_filepath']})" for item in found[:examples]]
        if count > examples:
            lines.append(f"  … {count - examples} more")
    lines += ["", *(f"cause: {cause['message']}" for cause in report["causes"])] if report["causes"] else []
    return "\n".join(lines)

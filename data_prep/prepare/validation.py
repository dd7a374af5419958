"""Checks any NeMo manifest row by row, as training will meet it, and repairs what can be repaired without guessing.

The same gates as in preparation, and three faults that a repair exists for: a duration that is not the audio's, a text
that did not go through the normaliser, audio that is not 16 kHz mono 16-bit. `mode="validate"` only looks.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from data_prep.audio.measures import measure_audio
from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.corpora import Utterance
from data_prep.engines import Engine, run_in_order
from data_prep.manifest import parse_manifest_line, resolve_audio_path, write_jsonl
from data_prep.prepare.work_units import check_file, describe_rejection, name_converted, write_converted
from data_prep.selection.duplicates import Verdicts, find_duplicate_audio, find_duplicate_text
from data_prep.selection.quality import REASONS, QualityLimits, check_utterance
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy

MODES = ("validate", "fix")
REPAIRS = {
    "wrong_duration": "the duration is missing or not the audio's",
    "not_normalized": "the text is not as the normaliser leaves it",
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
    """Check a manifest, and in mode `fix` write a new one in which every row passes.

    Args:
        manifest: The manifest, with audio in files (not tarred); rows may be segments with an `offset`.
        mode: `validate` or `fix`.
        output: The new manifest; converted audio goes to `audio/` beside it, rejected rows to `<name>.rejected.jsonl`.
        alphabet: Alphabet file; `None` is the Hindi one.
        annotations: `reject`, `strip` or `keep`, see `data_prep.text.policy.TextPolicy`.
        abbreviations: `expand`, `reject` or `keep`.
        duplicate_audio: `reject` or `keep` audio whose samples came before.
        duplicate_text: `reject` or `keep` a text that its speaker said before.
        num_workers: Processes; `None` is one a core.
        gates: Limits of what is kept, see `data_prep.selection.quality.QualityLimits`.

    Returns:
        `in`, `sound`, `repaired_by_fault`, `rejected_by_reason`, `kept` (sound or repaired), `rejected`, and `faults`:
        one `{"line", "fault", "detail", "audio_filepath"}` each.

    Raises:
        FileNotFoundError: There is no such manifest.
        ValueError: An argument is wrong, or the manifest is a tarred one.
    """
    manifest = Path(manifest).expanduser().resolve()
    if mode not in MODES:
        raise ValueError(f"mode={mode}: expected {' or '.join(MODES)}")
    if (mode == "fix") != (output is not None):
        raise ValueError(f"mode={mode}, output={output}: fix needs an output, validate writes none")
    target = Path(output).expanduser().resolve() if output else None
    if target == manifest:
        raise ValueError(f"output={output}: is the manifest itself; name a new file")
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest}: no such manifest")
    labels = tuple(load_alphabet(Path(alphabet).expanduser() if alphabet else None))
    policy = TextPolicy(annotations=annotations, abbreviations=abbreviations)
    limits = QualityLimits(**gates)  # type: ignore[arg-type]
    settings = _Settings(manifest, target.parent if target else None, labels, limits, policy)
    with tempfile.TemporaryDirectory() as folder:
        results = _Results(Path(folder) / "results.jsonl")
        results.write(_check_rows(settings, Engine(num_workers=num_workers)))
        if duplicate_audio == "reject":
            results.verdicts |= find_duplicate_audio(results.read, results.verdicts)
        if duplicate_text == "reject":
            results.verdicts |= find_duplicate_text(results.read, results.verdicts)
        if target:
            write_jsonl(target, (result["kept"] for result in results.judge() if "kept" in result))
            rejected = (result["rejected"] for result in results.judge() if "rejected" in result)
            write_jsonl(target.with_suffix(".rejected.jsonl"), rejected)
        return {"manifest": str(manifest), "mode": mode, "output": str(target or ""), **_account(results.judge())}


class _Results:
    """Results of all rows, on disk because a manifest may be long, and what is out on account of other rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.verdicts: Verdicts = {}

    def write(self, results: Iterable[Mapping[str, Any]]) -> None:
        write_jsonl(self._path, results)

    def read(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def judge(self) -> Iterator[dict[str, Any]]:
        for at, result in enumerate(self.read()):
            out = self.verdicts.get(at)
            yield {"rejected": describe_rejection(*out, result)} if out else result


def _check_rows(settings: _Settings, engine: Engine) -> Iterator[dict[str, Any]]:
    for results in run_in_order(engine, _check_chunk, ((settings, chunk) for chunk in _cut_chunks(settings.manifest))):
        yield from results


def _cut_chunks(manifest: Path) -> Iterator[list[tuple[int, bytes]]]:
    chunk: list[tuple[int, bytes]] = []
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                chunk.append((number, line))
            if len(chunk) == _CHUNK_ROWS:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _check_chunk(task: tuple[_Settings, list[tuple[int, bytes]]]) -> list[dict[str, Any]]:
    settings, lines = task
    with tempfile.TemporaryDirectory() as scratch, AudioReader(Path(scratch)) as reader:
        return [_check_line(line, number, settings, reader) for number, line in lines]


def _check_line(line: bytes, number: int, settings: _Settings, reader: AudioReader) -> dict[str, Any]:
    place = {"file": str(settings.manifest), "line": number}
    try:
        row = parse_manifest_line(line, f"{settings.manifest}:{number}", ("audio_filepath", "text"))
    except ValueError as error:
        text = line.decode("utf-8", "replace").strip()
        detail = str(error).removeprefix(f"{settings.manifest}:{number}: ")
        return {"rejected": describe_rejection("malformed_row", detail, {**place, "path": None, "text": text})}
    if "shard_id" in row:
        raise ValueError(f"{settings.manifest}:{number}: a tarred manifest; check the one that it was made from")
    place |= {"path": row["audio_filepath"], "text": row["text"]}
    outcome = _check_row(row, settings, reader)
    if isinstance(outcome, tuple):
        return {"rejected": describe_rejection(*outcome, place)}
    return {**outcome, **place}


def _check_row(row: dict[str, Any], settings: _Settings, reader: AudioReader) -> dict[str, Any] | tuple[str, str]:
    """Return the repaired row with its repairs and measures, or (reason, detail)."""
    path = resolve_audio_path(row["audio_filepath"], settings.manifest)
    if fault := check_file(path):
        return fault
    offset, stated = row.get("offset"), row.get("duration")
    for name, value in (("offset", offset), ("duration", stated)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0):
            return "malformed_row", f"{name} is {json.dumps(value)}, expected a number of seconds"
    is_segment = bool(offset)
    try:
        length = stated if is_segment else None
        audio = reader.read(str(path), offset if is_segment else None, length, None, settings.gates.max_duration)
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
            utterance = Utterance("", 0, str(path), str(path), text, offset=offset or None, duration=length)
            converted = name_converted(utterance)
            write_converted(settings.audio_dir / converted, audio.samples)
            fixed |= {"audio_filepath": str(converted), "duration": duration}
            fixed.pop("offset", None)
    return {"kept": fixed, "measures": measures.as_row(), "repairs": repairs}


def _describe_format(path: Path) -> str | None:
    """Say what keeps audio from being used as it is, for segments as for whole files."""
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return f"{path.suffix or 'a format'} that libsndfile does not read"
    if (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16"):
        return None if info.format in ("WAV", "WAVEX", "FLAC") else info.format
    return f"{info.samplerate} Hz, {info.channels} channels, {info.format} {info.subtype}"


def _account(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    rows, sound, kept = 0, 0, 0
    repairs: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    for result in results:
        rows += 1
        if "rejected" in result:
            place, found = result["rejected"], [(result["rejected"]["reason"], result["rejected"]["detail"])]
            reasons[found[0][0]] += 1
        else:
            place, found = result, result["repairs"]
            repairs.update(fault for fault, _ in found)
            sound += not found
            kept += 1
        for fault, detail in found:
            faults.append({"line": place["line"], "fault": fault, "detail": detail, "audio_filepath": place["path"]})
    return {
        "in": rows,
        "sound": sound,
        "kept": kept,
        "rejected": rows - kept,
        "repaired_by_fault": {fault: repairs[fault] for fault in REPAIRS if repairs[fault]},
        "rejected_by_reason": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "faults": faults,
    }


def format_check(report: Mapping[str, Any], examples: int = 3) -> str:
    """Lay the outcome of `check_manifest` out as text: every fault with its count, its meaning and some lines."""
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
    return "\n".join(lines)

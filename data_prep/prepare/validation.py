"""Checks any NeMo manifest row by row, as training will read it, and repairs faults that have only one repair.

The checks are those of data preparation, and three faults that can be repaired: a duration that differs from the
audio's, a text that is not normalised, audio that is not 16 kHz mono 16-bit. `mode="validate"` changes nothing.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice
from data_prep.atomic import open_atomic
from data_prep.engines import Engine, run_in_order
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.lines import cut_chunks
from data_prep.manifest import check_manifest_start, encode_json, write_jsonl
from data_prep.prepare.causes import CauseCounts
from data_prep.prepare.row_check import REPAIRS, CheckSettings, check_lines
from data_prep.prepare.settings import DUPLICATE_POLICIES
from data_prep.prepare.verdicts import Verdicts
from data_prep.selection.kept_index import KeptIndex, make_kept_row
from data_prep.selection.quality import REASONS, QualityLimits
from data_prep.text.alphabet import load_alphabet
from data_prep.text.policy import TextPolicy

MODES = ("validate", "fix")
_CHUNK_ROWS = 100


def check_manifest(
    manifest: str | Path,
    mode: str = "validate",
    output: str | Path | None = None,
    *,
    language: str = DEFAULT_LANGUAGE,
    alphabet: str | Path | None = None,
    annotations: str = "reject",
    abbreviations: str = "expand",
    duplicate_audio: str = "reject",
    duplicate_text: str = "keep",
    num_workers: int | None = None,
    **limits: float | None,
) -> dict[str, Any]:
    """Check a manifest, and in mode `fix` write a new one in which every row passes the checks.

    Args:
        manifest: The manifest, with audio in files (not tarred). Rows may be segments with an `offset`, and may
            choose a channel with `channel_selector`.
        mode: `validate` or `fix`.
        output: The new manifest; converted audio goes to `audio/` beside it, rejected rows to `<name>.rejected.jsonl`.
        language: Code of the texts' language, or the path of a language file.
        alphabet: Alphabet file; `None` for the language's.
        annotations: `reject`, `strip` or `keep`, see `data_prep.text.policy.TextPolicy`.
        abbreviations: `expand`, `reject` or `keep`, see there.
        duplicate_audio: `reject` or `keep` audio with the samples of an earlier row.
        duplicate_text: `reject` or `keep` a text that the same speaker has in an earlier row.
        num_workers: Number of processes; `None` for one a core.
        limits: Quality limits of what is kept, see `data_prep.selection.quality.QualityLimits`.

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
    labels = tuple(load_alphabet(Path(alphabet).expanduser() if alphabet else None, language))
    policy = TextPolicy(annotations=annotations, abbreviations=abbreviations, language=language)
    audio_dir, bounds = target.parent if target else None, QualityLimits(**limits)  # type: ignore[arg-type]
    settings = CheckSettings(manifest, audio_dir, labels, bounds, policy)
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


def _check_rows(settings: CheckSettings, engine: Engine) -> Iterator[dict[str, Any]]:
    for results in run_in_order(engine, check_lines, ((settings, chunk) for chunk in _cut_chunks(settings.manifest))):
        yield from results


def _cut_chunks(manifest: Path) -> Iterator[list[tuple[int, bytes]]]:
    with manifest.open("rb") as lines:
        yield from cut_chunks(((number, line) for number, line in enumerate(lines, 1) if line.strip()), _CHUNK_ROWS)


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

"""Normalisation of whole text files: one line out for each line in; rejected lines are listed with their reasons."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.atomic import open_atomic
from data_prep.engines import Engine, run_in_order
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.languages.scripts import ScriptCount, describe_foreign_scripts
from data_prep.lines import check_text_file, number_chunks
from data_prep.manifest import write_jsonl
from data_prep.progress import ProgressBar
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import find_rules, fingerprint_language, fingerprint_numbers, trace_rules
from data_prep.text.policy import TextPolicy
from data_prep.text.transliteration import learn_english_words, list_written_words
from data_prep.text.verdict import DEFAULT_POLICY, judge

CHUNK_LINES = 500
NOT_UTF8 = "not_utf8"


@dataclass(frozen=True)
class _LineRules:
    """The rules for every line."""

    policy: TextPolicy
    alphabet: frozenset[str]
    explain: bool


@dataclass
class FileReport:
    """Counts of the lines: lines = kept + blank + rejected."""

    lines: int = 0
    kept: int = 0
    blank: int = 0  # nothing but white space to begin with
    rejected: Counter[str] = field(default_factory=Counter)  # lines by reason
    rules: Counter[str] = field(default_factory=Counter)  # lines that a rule changed
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)  # on texts in another script than the language's
    english: Counter[tuple[str, str]] = field(default_factory=Counter)  # kept lines by (English word, as written)


@dataclass
class _Chunk:
    """The results of consecutive lines."""

    size_bytes: int
    report: FileReport
    texts: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    explanations: list[str] = field(default_factory=list)


def normalize_file(
    input_path: str | Path,
    output_path: str | Path,
    rejected_path: str | Path,
    *,
    policy: TextPolicy = DEFAULT_POLICY,
    alphabet: str | Path | None = None,
    num_workers: int | None = None,
    explain: Callable[[str], object] | None = None,
) -> FileReport:
    """Normalise a UTF-8 text file line by line.

    Args:
        input_path: The text, one sentence a line.
        output_path: As many lines; a rejected line is an empty one. Appears complete or not at all.
        rejected_path: JSON lines: line (from 1), reason, offending (characters by code point and name), text,
            normalized. Appears complete or not at all.
        policy: The language, what is rewritten and what is rejected.
        alphabet: Alphabet file; `None` is the language's.
        num_workers: Processes; `None` is one a core. The output does not depend on it.
        explain: Called with a text for every line that is not kept as it was: what each rule changed.

    Returns:
        The counts.

    Raises:
        FileNotFoundError: The input or the alphabet does not exist.
        ValueError: Two paths are the same, or the input is not a text file.
        OSError: The output is not writable.
    """
    started = time.monotonic()
    source, output, rejected = (Path(path).expanduser() for path in (input_path, output_path, rejected_path))
    _check_paths(source, output, rejected)
    labels = frozenset(load_alphabet(Path(alphabet).expanduser() if alphabet else None, policy.language))
    engine, total = Engine(num_workers=num_workers), FileReport()
    language = load_language(policy.language)
    scripts = ScriptCount(language)
    work = partial(_normalize_chunk, _LineRules(policy, labels, explain is not None))
    with open_atomic(output) as out:

        def write_texts() -> Iterator[dict[str, Any]]:
            with ProgressBar(total=source.stat().st_size, unit="B", unit_scale=True, desc=source.name) as progress:
                for chunk in run_in_order(engine, work, _read_chunks(source)):
                    out.write("".join(f"{text}\n" for text in chunk.texts).encode())
                    _add(total, chunk.report)
                    for explanation in chunk.explanations:
                        explain and explain(explanation)
                    progress.update(chunk.size_bytes)
                    for row in chunk.rejected:
                        scripts.add(row["text"], is_rejected=True)
                        yield row

        write_jsonl(rejected, write_texts())
    scripts.all = total.lines - total.blank
    total.notes = describe_foreign_scripts(language, policy.language, scripts)
    total.seconds = time.monotonic() - started
    return total


def format_report(report: FileReport, language: str = DEFAULT_LANGUAGE) -> str:
    """Format the counts: the lines that each rule changed, in the rules' order, and the rejected lines by reason."""
    names = dict.fromkeys(find_rules(language).names)
    rows = [("rule", "lines changed"), *((name, str(report.rules[name])) for name in names)]
    rows += [("", ""), ("rejected because of", "lines"), *((name, str(n)) for name, n in report.rejected.most_common())]
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value:>13}".rstrip() for name, value in rows)
    notes = "".join(f"\n{note}" for note in [*report.notes, *_list_english(report)])
    can_say = load_language(language).numbers
    rate = report.lines / report.seconds if report.seconds else 0.0
    return (
        f"{table}\n{notes}\n{report.lines} lines = {report.kept} kept + {report.blank} blank + "
        f"{report.rejected.total()} rejected; {report.seconds:.1f} s, {rate:.0f} lines/s\n"
        f"normaliser {fingerprint_language(language)}, "
        f"numbers {fingerprint_numbers(TextPolicy('verbalize', language=language)) if can_say else 'none'}"
    )


def _list_english(report: FileReport) -> list[str]:
    """List the English words that were written in Devanagari, the most frequent first."""
    if not report.english:
        return []
    rows = sorted(report.english.items(), key=lambda item: (-item[1], item[0]))
    words = "\n".join(f"  {word}  {written}  {count}" for (word, written), count in rows)
    return [f"English words that were written in Devanagari, perhaps wrongly, with their lines:\n{words}"]


def _check_paths(source: Path, output: Path, rejected: Path) -> None:
    if not source.is_file():
        raise FileNotFoundError(f"input={source}: {'a folder, not a file' if source.is_dir() else 'no such file'}")
    if len({path.resolve() for path in (source, output, rejected)}) < 3:
        raise ValueError(
            f"input={source}, output={output}, rejected={rejected}: expected three different files; rename one"
        )
    check_text_file(source)


def _read_chunks(source: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (number of the first line, lines); only a line feed ends a line."""
    with source.open("rb") as lines:
        yield from number_chunks(lines, CHUNK_LINES)


def _normalize_chunk(rules: _LineRules, task: tuple[int, list[bytes]]) -> _Chunk:
    first, lines = task
    chunk = _Chunk(sum(map(len, lines)), FileReport(lines=len(lines)))
    if rules.policy.latin == "transliterate":
        learn_english_words(line.decode("utf-8", "replace") for line in lines)
    for number, line in enumerate(lines, first):
        _normalize_line(rules, number, line.rstrip(b"\r\n"), chunk)
    return chunk


def _normalize_line(rules: _LineRules, number: int, line: bytes, chunk: _Chunk) -> None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02X} at position {error.start + 1}"
        _reject(chunk, number, NOT_UTF8, (byte,), line.decode("utf-8", "replace"), "")
        return
    normalized, changes = trace_rules(text, rules.policy)
    # A line that was blank to begin with is fit, and stays empty.
    fault = judge(normalized, rules.alphabet, rules.policy) if text.strip() else None
    chunk.report.rules.update({change.rule for change in changes})
    if rules.explain and (changes or fault):
        steps = [f"  {change.rule}: {change.before!r} → {change.after!r}" for change in changes]
        steps += [f"  rejected, {fault.reason}: {', '.join(fault.offending)}"] if fault else []
        chunk.explanations.append("\n".join([f"line {number}", *steps]))
    if fault:
        _reject(chunk, number, fault.reason, fault.offending, text, normalized)
        return
    chunk.report.english.update(list_written_words(changes).items())
    chunk.texts.append(normalized)
    chunk.report.kept += bool(normalized)
    chunk.report.blank += not normalized


def _reject(chunk: _Chunk, number: int, reason: str, offending: tuple[str, ...], text: str, normalized: str) -> None:
    chunk.texts.append("")
    chunk.report.rejected[reason] += 1
    row = {"line": number, "reason": reason, "offending": list(offending), "text": text, "normalized": normalized}
    chunk.rejected.append(row)


def _add(total: FileReport, part: FileReport) -> None:
    total.lines += part.lines
    total.kept += part.kept
    total.blank += part.blank
    total.rejected.update(part.rejected)
    total.rules.update(part.rules)
    total.english.update(part.english)

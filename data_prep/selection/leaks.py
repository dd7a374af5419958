"""Finds evaluation sentences in training material; a model or language model trained on them scores too well.

Only the evaluation sentences are kept in memory (see `data_prep.selection.leak_index`); training material is streamed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.rows import Utterance
from data_prep.corpora.tsv import read_tsv
from data_prep.file_kinds import FileKind, identify_file
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.lines import check_text_file, open_lines
from data_prep.selection.leak_index import KINDS, LeakIndex, Passage, fold_text

__all__ = ["KINDS", "LeakIndex", "Passage", "find_leaks", "find_split_leaks", "fold_text", "read_passages"]


def find_split_leaks(
    manifests: Mapping[str, Path], examples: int = 5, language: str = DEFAULT_LANGUAGE
) -> list[dict[str, Any]]:
    """Compare the splits of one corpus: dev and test with train, and test with dev.

    Args:
        manifests: Split -> manifest of normalised text, in the order train, dev, test.
        examples: Number of leaks that are given in full for each pair.
        language: Language of the texts.

    Returns:
        For each pair: `evaluation` and `training` (names of splits), the counts of `LeakIndex.summarize`, `examples`.
    """
    names = list(manifests)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for at, training in enumerate(names[:-1]):
        indexes = {
            name: LeakIndex(_read_split(manifests[name]), normalized=True, language=language)
            for name in names[at + 1 :]
        }
        for passage in _read_split(manifests[training]):
            for index in indexes.values():
                index.add(passage)
        for evaluation, index in indexes.items():
            pair = {"evaluation": evaluation, "training": training}
            found[evaluation, training] = {**pair, **index.summarize(), "examples": index.list_leaks()[:examples]}
    return [found[evaluation, training] for at, evaluation in enumerate(names) for training in names[:at]]


def _read_split(manifest: Path) -> Iterator[Passage]:
    for passage in read_passages(manifest):
        place = passage.where.rpartition(":")[2]
        yield Passage(passage.text, f"{manifest.name}:{place}", passage.speaker)


def find_leaks(
    training: Sequence[str | Path],
    evaluation: Sequence[str | Path],
    ngram: int = 5,
    min_overlap: float = 0.5,
    language: str = DEFAULT_LANGUAGE,
) -> dict[str, Any]:
    """Search training material for evaluation sentences.

    Args:
        training: NeMo manifests, corpus folders with a `transcripts.tsv`, or plain text; gzip is read as well.
        evaluation: The same kinds of files.
        ngram: Words in a row that count as overlap, see `LeakIndex`.
        min_overlap: Share of a sentence's words from which overlap is a leak, above 0 and up to 1.
        language: Language of the texts: a code, or the path of a language file.

    Returns:
        `training`, `evaluation` (the files), `ngram`, `min_overlap`, the counts of `LeakIndex.summarize`,
        `shared_speakers`, and `leaks` (see `LeakIndex.list_leaks`).

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A manifest is broken, a setting is out of range, the language is unknown, or one side holds no text.
    """
    if not training or not evaluation:
        raise ValueError("training=[], evaluation=[]: expected one file or more on each side")
    speakers: tuple[set[str], set[str]] = (set(), set())
    index = LeakIndex(_read_all(evaluation, speakers[0]), ngram, min_overlap, language=language)
    for passage in _read_all(training, speakers[1]):
        index.add(passage)
    found = index.summarize()
    for side, paths, count in (
        ("evaluation", evaluation, found["evaluation_sentences"]),
        ("training", training, found["training_lines"]),
    ):
        if not count:
            raise ValueError(f"{side}={', '.join(map(str, paths))}: found no text, expected one sentence or more")
    return {
        "training": [str(path) for path in training],
        "evaluation": [str(path) for path in evaluation],
        "ngram": ngram,
        "min_overlap": min_overlap,
        **found,
        "shared_speakers": sorted((speakers[0] & speakers[1]) - {"unknown"}),
        "leaks": index.list_leaks(),
    }


def read_passages(path: str | Path) -> Iterator[Passage]:
    """Stream the texts of a manifest, a corpus folder or a text file; the path decides which.

    Args:
        path: A folder with a `transcripts.tsv`, a manifest (`.json`, `.jsonl`), or else a text file with a sentence a
            line. Manifests and text files may be compressed with gzip.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A line of a manifest is not a JSON object with a text, or the file is not UTF-8.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        rows = (row for row in read_tsv(path) if isinstance(row, Utterance))
        yield from (Passage(row.text, f"{row.file}:{row.line}", row.speaker) for row in rows)
        return
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a manifest, a text file or a corpus folder")
    if identify_file(path) != FileKind.GZIP:
        check_text_file(path)
    is_manifest = {".json", ".jsonl"} & set(path.suffixes)
    with open_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            try:
                text = line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{where}: found bytes that are not UTF-8 ({error}); save the file as UTF-8"
                ) from error
            if is_manifest and text.strip():
                yield _parse_row(text, where)
            elif text.strip():
                yield Passage(text.strip(), where, flows_on=True)


def _read_all(paths: Sequence[str | Path], speakers: set[str]) -> Iterator[Passage]:
    for path in paths:
        first = True
        for passage in read_passages(path):
            if passage.speaker:
                speakers.add(passage.speaker)
            if first and passage.flows_on:  # one file does not flow into the next
                passage = Passage(passage.text, passage.where)
            first = False
            yield passage


def _parse_row(line: str, where: str) -> Passage:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: found no line of JSON ({error}), expected a NeMo manifest") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f"{where}: found no text, expected a NeMo manifest, one object with text a line")
    speaker = row.get("speaker")
    return Passage(row["text"], where, None if speaker is None else str(speaker))


def format_leaks(report: Mapping[str, Any], examples: int = 10) -> str:
    """Format the outcome of `find_leaks` as text, with the first leaks of each kind."""
    read = f"{report['training_lines']} training lines, {report['training_words']} words"
    lines = [f"{report['leaked']} of {report['evaluation_sentences']} evaluation sentences leak ({read})"]
    for kind, meaning in KINDS.items():
        if report[kind]:
            lines += ["", f"{kind}: {report[kind]}, {meaning}"]
            leaks = [leak for leak in report["leaks"] if leak["kind"] == kind]
            for leak in leaks[:examples]:
                share = f" ({leak['overlap']:.0%} of {leak['words']} words)" if kind == "overlap" else ""
                lines.append(f"  {leak['text']}{share}")
                lines.append(f"    {leak['evaluation']} in {leak['training'][0]}")
            if len(leaks) > examples:
                lines.append(f"  … {len(leaks) - examples} more")
    if report["shared_speakers"]:
        names = ", ".join(report["shared_speakers"][:10])
        lines += ["", f"{len(report['shared_speakers'])} speakers are on both sides: {names}"]
    return "\n".join(lines)

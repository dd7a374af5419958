"""Finds evaluation sentences in training material: a model or language model that has seen them scores too well.

Both sides go through the project's normaliser and then through a fold that ignores what Hindi spelling leaves open
(nukta, chandrabindu or anusvara), so that another edition of a sentence is still that sentence. Only the evaluation
side is held in memory; training text is streamed, and a sentence broken over several of its lines is found as well.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from data_prep.corpora.rows import Utterance
from data_prep.corpora.tsv import read_tsv
from data_prep.text.normalizer import normalize_text

KINDS = {
    "exact": "a line or utterance of training has exactly this text",
    "contained": "training has all of its words in a row, among others",
    "overlap": "training has at least min_overlap of its words, in runs of ngram words or more",
}
_FOLD = str.maketrans({"\u093c": None, "\u0901": "\u0902"})


@dataclass(frozen=True)
class Passage:
    """One line or utterance of text: what it says, where it stands, and who said it if that is known."""

    text: str
    where: str
    speaker: str | None = None
    flows_on: bool = False


@dataclass
class _Sentence:
    passage: Passage
    words: list[str]
    exact: list[str] = field(default_factory=list)
    exact_count: int = 0
    covered: set[int] = field(default_factory=set)
    longest_run: int = 0
    longest_where: str = ""


class LeakIndex:
    """Evaluation sentences, against which training text is held line by line."""

    def __init__(
        self, evaluation: Iterable[Passage], ngram: int = 5, min_overlap: float = 0.5, normalized: bool = False
    ) -> None:
        """Index the evaluation side.

        Args:
            evaluation: Its utterances.
            ngram: Words in a row that count as overlap, from 2. Sentences of fewer words are compared whole only.
            min_overlap: Share of a sentence's words, above 0 and up to 1, from which overlap is a leak.
            normalized: Whether all texts went through the normaliser already.

        Raises:
            ValueError: `ngram` or `min_overlap` is out of range.
        """
        if isinstance(ngram, bool) or not isinstance(ngram, int) or ngram < 2:
            raise ValueError(f"ngram={ngram}: expected a whole number of words from 2")
        if isinstance(min_overlap, bool) or not isinstance(min_overlap, (int, float)) or not 0 < min_overlap <= 1:
            raise ValueError(f"min_overlap={min_overlap}: expected a share above 0 and up to 1")
        self._ngram, self._min_overlap, self._normalized = ngram, min_overlap, normalized
        self._sentences: list[_Sentence] = []
        self._whole: dict[str, list[int]] = {}
        self._grams: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._tail: list[str] = []
        self._runs: dict[tuple[int, int], int] = {}
        self.lines = self.words = 0
        for passage in evaluation:
            words = fold_text(passage.text, self._normalized).split()
            number = len(self._sentences)
            self._sentences.append(_Sentence(passage, words))
            if words:
                self._whole.setdefault(" ".join(words), []).append(number)
            for at in range(len(words) - ngram + 1):
                self._grams.setdefault(tuple(words[at : at + ngram]), []).append((number, at))

    def add(self, passage: Passage) -> int:
        """Hold one line or utterance of training against the evaluation sentences.

        Returns:
            Words, counted back from the passage's end and over earlier passages where it flows on, within which a
            whole evaluation sentence stands that this passage ends; 0: none does.
        """
        words = fold_text(passage.text, self._normalized).split()
        self.lines += 1
        self.words += len(words)
        reach = 0
        for number in self._whole.get(" ".join(words), ()):
            reach = len(words)
            sentence = self._sentences[number]
            sentence.exact_count += 1
            if len(sentence.exact) < 3:
                sentence.exact.append(passage.where)
        if not passage.flows_on:
            self._tail, self._runs = [], {}
        stream = self._tail + words
        for end in range(self._ngram, len(stream) + 1):
            run = self._follow(self._grams.get(tuple(stream[end - self._ngram : end]), ()), passage.where)
            reach = max(reach, run and run + len(stream) - end)
        self._tail = stream[len(stream) - self._ngram + 1 :] if len(stream) >= self._ngram else stream
        return reach

    def _follow(self, found: Iterable[tuple[int, int]], where: str) -> int:
        """Note the sentences that the n-gram at the stream's present place belongs to, and how long it has been so.

        Returns the words of the longest sentence that is whole here; 0: none is.
        """
        whole = 0
        runs: dict[tuple[int, int], int] = {}
        for number, at in found:
            runs[number, at] = run = self._runs.get((number, at - 1), self._ngram - 1) + 1
            sentence = self._sentences[number]
            sentence.covered.update(range(at, at + self._ngram))
            if run > sentence.longest_run:
                sentence.longest_run, sentence.longest_where = run, where
            if run >= len(sentence.words):
                whole = max(whole, run)
        self._runs = runs
        return whole

    def list_leaks(self) -> list[dict[str, Any]]:
        """List the evaluation sentences that training gives away, in their order.

        Returns:
            For each: `kind` (see `KINDS`), `text`, `evaluation` (where it stands), `training` (up to three places),
            `times` (of the exact text), `words`, `overlap` (share of its words), `longest_run` (of words).
        """
        return [leak for sentence in self._sentences if (leak := self._describe(sentence))]

    def summarize(self) -> dict[str, Any]:
        """Count: evaluation sentences, leaks by kind, and how much training text was read."""
        leaks = self.list_leaks()
        kinds = {kind: sum(leak["kind"] == kind for leak in leaks) for kind in KINDS}
        sentences = len(self._sentences)
        share = round(len(leaks) / sentences, 4) if sentences else 0.0
        read = {"training_lines": self.lines, "training_words": self.words}
        return {"evaluation_sentences": sentences, **read, **kinds, "leaked": len(leaks), "leaked_share": share}

    def _describe(self, sentence: _Sentence) -> dict[str, Any] | None:
        length = len(sentence.words)
        overlap = len(sentence.covered) / length if length else 0.0
        if sentence.exact:
            kind, places, overlap, run = "exact", sentence.exact, 1.0, length
        elif overlap >= self._min_overlap and sentence.covered:
            run = sentence.longest_run
            kind, places = "contained" if run >= length else "overlap", [sentence.longest_where]
        else:
            return None
        found = {"kind": kind, "text": sentence.passage.text, "evaluation": sentence.passage.where, "training": places}
        return {
            **found,
            "times": sentence.exact_count,
            "words": length,
            "overlap": round(overlap, 3),
            "longest_run": run,
        }


def fold_text(text: str, normalized: bool = False) -> str:
    """Normalise a text, unless it is, and fold what Hindi spelling leaves open."""
    return (text if normalized else normalize_text(text)).translate(_FOLD)


def find_split_leaks(manifests: Mapping[str, Path], examples: int = 5) -> list[dict[str, Any]]:
    """Hold the splits of one corpus against each other: dev and test against train, and test against dev.

    Args:
        manifests: Split → manifest of normalised text, in the order train, dev, test.
        examples: Leaks that are given in full for each pair.

    Returns:
        For each pair: `evaluation` and `training` (names of splits), the counts of `LeakIndex.summarize`, `examples`.
    """
    found = []
    names = list(manifests)
    for at, evaluation in enumerate(names):
        for training in names[:at]:
            index = LeakIndex(_read_split(manifests[evaluation]), normalized=True)
            for passage in _read_split(manifests[training]):
                index.add(passage)
            pair = {"evaluation": evaluation, "training": training}
            found.append({**pair, **index.summarize(), "examples": index.list_leaks()[:examples]})
    return found


def _read_split(manifest: Path) -> Iterator[Passage]:
    for passage in read_passages(manifest):
        place = passage.where.rpartition(":")[2]
        yield Passage(passage.text, f"{manifest.name}:{place}", passage.speaker)


def find_leaks(
    training: Sequence[str | Path], evaluation: Sequence[str | Path], ngram: int = 5, min_overlap: float = 0.5
) -> dict[str, Any]:
    """Hold training material against evaluation material.

    Args:
        training: NeMo manifests, corpus folders with a `transcripts.tsv`, or plain text; files may end in `.gz`.
        evaluation: The same kinds of files.
        ngram: See `LeakIndex`.
        min_overlap: See `LeakIndex`.

    Returns:
        `training`, `evaluation` (the files), `ngram`, `min_overlap`, the counts of `LeakIndex.summarize`,
        `shared_speakers`, and `leaks` as `LeakIndex.list_leaks` gives them.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A manifest is broken, or a setting is out of range.
    """
    if not training or not evaluation:
        raise ValueError("expected at least one training file and one evaluation file")
    speakers: tuple[set[str], set[str]] = (set(), set())
    index = LeakIndex(_read_all(evaluation, speakers[0]), ngram, min_overlap)
    for passage in _read_all(training, speakers[1]):
        index.add(passage)
    return {
        "training": [str(path) for path in training],
        "evaluation": [str(path) for path in evaluation],
        "ngram": ngram,
        "min_overlap": min_overlap,
        **index.summarize(),
        "shared_speakers": sorted((speakers[0] & speakers[1]) - {"unknown"}),
        "leaks": index.list_leaks(),
    }


def read_passages(path: str | Path) -> Iterator[Passage]:
    """Stream a manifest, a corpus folder or a text file, whichever it is.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A manifest has a line that is no JSON object with a text, or a text file is not UTF-8.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        rows = (row for row in read_tsv(path) if isinstance(row, Utterance))
        yield from (Passage(row.text, f"{row.file}:{row.line}", row.speaker) for row in rows)
        return
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a manifest, a text file or a corpus folder")
    is_manifest = {".json", ".jsonl"} & set(path.suffixes)
    with _open(path) as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            try:
                text = line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValueError(f"{where}: not UTF-8 ({error}); save the file as UTF-8") from error
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
        raise ValueError(f"{where}: not a line of JSON ({error}); expected a NeMo manifest") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f"{where}: no text; expected a NeMo manifest, one object with text a line")
    speaker = row.get("speaker")
    return Passage(row["text"], where, None if speaker is None else str(speaker))


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def format_leaks(report: Mapping[str, Any], examples: int = 10) -> str:
    """Lay the outcome of `find_leaks` out as text, with the first leaks of each kind."""
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

"""The text of a language model: normalised, judged, checked for leaks, divided and counted.

Texts may be larger than the memory. They are read once, normalised by several processes, and kept on disk as one file
of normalised lines; only the held-out text is kept in memory. If a line is unusable, its usable sentences are kept.
"""

import gzip
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from data_prep.arguments import is_number
from data_prep.engines import Engine, run_in_order
from data_prep.file_kinds import FileKind, identify_file
from data_prep.lines import check_text_file, number_chunks
from data_prep.progress import ProgressBar
from data_prep.selection.leak_index import LeakIndex, Passage
from data_prep.selection.leaks import read_passages
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.sentences import split_sentences
from data_prep.text.verdict import DEFAULT_POLICY, TextFault, judge
from nemo_models.language_models.text_counts import NOT_UTF8, TextCounts, describe_counts

LEAK_POLICIES = ("refuse", "drop", "allow")
_CHUNK_LINES = 2000  # that one process normalises at a time
_MIN_POOL_BYTES = 2_000_000  # texts below it are done before a pool of processes has started
_SHARE_STEPS = 2**32  # values of the checksum that tells whether a line is held out
_MOST_NAMED = 10  # lines with leaks that an error names
_BY_CHARACTER = ("latin", "numbers", "outside_alphabet", "malformed_text")

Line = tuple[int, str]


@dataclass(frozen=True)
class LineRules:
    """The rules for every line.

    Attributes:
        labels: Characters that a usable line consists of.
        policy: What is rewritten in a line and what rejects it.
        num_workers: Processes; `None` is one a core.
    """

    labels: frozenset[str]
    policy: TextPolicy = DEFAULT_POLICY
    num_workers: int | None = None


class HeldOut:
    """The text that a language model is measured on and not estimated from."""

    def __init__(self, source: Path | float | None, rules: LineRules) -> None:
        """Read a held-out text, or note the share to take of another.

        Args:
            source: A text, or the share of lines to take, above 0 and below 1; `None`: nothing is held out.
            rules: Rules of the lines, the same as for the texts.

        Raises:
            FileNotFoundError: The text does not exist.
            ValueError: The share is out of range, or the text has no usable line.
        """
        self.share = 0.0
        self.lines: list[bytes] = []
        self.unseen_words: set[bytes] = (
            set()
        )  # once closed: all words; readers of other text remove those that they see
        self.counts = TextCounts()
        if isinstance(source, Path):
            for _, chunk, counts in normalize_lines([source], rules):
                self.counts.add(counts)
                self.lines.extend(line.encode() for _, line in chunk)
            if not self.lines:
                raise ValueError(
                    f"held_out={source}: expected a text with usable lines, found {describe_counts(self.counts)}; "
                    "name another text"
                )
        elif source is not None:
            if not is_number(source) or not 0 < source < 1:
                raise ValueError(
                    f"held_out={source}: expected a text, or a share of lines above 0 and below 1; 0.05 is usual"
                )
            self.share = float(source)
        self._known = frozenset(self.lines)

    def close(self) -> None:
        """Take no further lines, and list the words of those taken.

        Raises:
            ValueError: A share was asked for, and no line belongs to it.
        """
        if self.share and not self.lines:
            raise ValueError(
                f"held_out={self.share}: expected a share that some line belongs to; use a larger share, or name a text"
            )
        self.share = 0.0
        self._known = frozenset(self.lines)
        self._words = Counter(word for line in self.lines for word in line.split(b" "))
        self.unseen_words = set(self._words)

    def count_unseen_words(self) -> int:
        """Count the words that stayed in `unseen_words`, each as often as it is in the held-out text."""
        return sum(self._words[word] for word in self.unseen_words)

    def takes(self, line: bytes) -> bool:
        """Whether a normalised line is held out. With a share, the same line gets the same answer in every place."""
        if self.share and zlib.crc32(line) < self.share * _SHARE_STEPS:
            self.lines.append(line)
            return True
        return line in self._known


class LeakWatch:
    """Finds evaluation sentences in a stream of lines and keeps their places."""

    def __init__(self, manifests: Sequence[Path], policy: TextPolicy) -> None:
        """Read what the model will be evaluated on.

        Raises:
            FileNotFoundError: A manifest is missing.
            ValueError: A manifest is broken.
        """
        passages = (passage for manifest in manifests for passage in read_passages(manifest))
        if policy.annotations == "reject":  # what a rejected text says beside its notes counts too
            policy = replace(policy, annotations="strip")
        normalized = (Passage(normalize_text(passage.text, policy), passage.where) for passage in passages)
        self._index = LeakIndex(normalized, normalized=True, language=policy.language)
        self._recent: deque[tuple[int, str, int]] = deque(maxlen=1000)  # lines that a sentence could be spread over
        self.found: dict[int, str] = {}  # number of the line → file:line

    def look(self, number: int, line: str, where: str, begins_text: bool) -> None:
        """Check the next line that will be used."""
        words = line.count(" ") + 1
        self._recent.append((number, where, words))
        reach = self._index.add(Passage(line, where, flows_on=not begins_text))
        for earlier, place, length in reversed(self._recent):
            if reach <= 0:
                break
            self.found[earlier] = place
            reach -= length


@dataclass(frozen=True)
class PreparedText:
    """Normalised lines on disk, and which of them to skip."""

    path: Path
    passed_over: frozenset[int]

    def read(self) -> Iterator[bytes]:
        """Yield the lines, without their line feeds."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number not in self.passed_over:
                    yield line[:-1]


def prepare_text(
    texts: Sequence[Path],
    rules: LineRules,
    output: Path,
    held_out: HeldOut,
    watch: LeakWatch | None = None,
    leaks: str = "refuse",
) -> tuple[PreparedText, TextCounts]:
    """Read texts once and write the lines that a language model may be estimated from.

    Args:
        texts: UTF-8 text files, one sentence a line, plain or gzip.
        rules: What is done to every line.
        output: Where the normalised lines go, repeated ones too.
        held_out: Lines that are kept apart; where it takes a share, they are handed to it.
        watch: Looks for evaluation sentences.
        leaks: `refuse` texts with evaluation sentences, `drop` their lines, or `allow` them.

    Returns:
        The lines, and their counts so far; `used` counts repeated ones too.

    Raises:
        ValueError: A text is not readable, or holds evaluation sentences.
    """
    counts, number, last_path = TextCounts(), 0, None
    with output.open("wb") as out:
        for path, chunk, chunk_counts in normalize_lines(texts, rules):
            counts.add(chunk_counts)
            for line_number, line in chunk:
                encoded = line.encode()
                if held_out.takes(encoded):
                    counts.held_out += 1
                    continue
                if watch:
                    watch.look(number, line, f"{path}:{line_number}", begins_text=path != last_path)
                last_path = path
                out.write(encoded + b"\n")
                number += 1
    counts.used = number
    found = watch.found if watch else {}
    if found and leaks == "refuse":
        raise ValueError(_describe_leaks(list(found.values())))
    passed_over = frozenset(found) if leaks == "drop" else frozenset()
    counts.leaked = len(passed_over)
    counts.used -= counts.leaked
    if watch:
        watch.found = {}  # the next text's lines are numbered from 0 again
    return PreparedText(output, passed_over), counts


def normalize_lines(texts: Sequence[Path], rules: LineRules) -> Iterator[tuple[Path, list[Line], TextCounts]]:
    """Normalise texts in several processes; yield in their order, some lines at a time.

    Yields:
        The text, its usable lines with their numbers (from 1), normalised, and what became of the others.

    Raises:
        ValueError: A text is not a complete gzip file.
    """
    small = sum(path.stat().st_size for path in texts) < _MIN_POOL_BYTES
    engine = Engine(num_workers=1 if small else rules.num_workers)
    yield from run_in_order(engine, partial(_normalize_chunk, rules), _read_chunks(texts))


def _normalize_chunk(rules: LineRules, task: tuple[Path, int, list[bytes]]) -> tuple[Path, list[Line], TextCounts]:
    path, first, raw_lines = task
    lines, counts = [], TextCounts()
    for number, raw in enumerate(raw_lines, first):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            counts.lines += 1
            counts.left_out += 1
            counts.reasons[NOT_UTF8] += 1
            continue
        lines += [(number, line) for line in _take_fit(text, rules, counts)]
    return path, lines, counts


def _take_fit(text: str, rules: LineRules, counts: TextCounts) -> list[str]:
    """Return a usable line, or the usable sentences of an unusable one; count the rest."""
    line = normalize_text(text, rules.policy)
    fault = judge(line, rules.labels, rules.policy)
    sentences = split_sentences(text, rules.policy.language) if fault and line else []
    if len(sentences) < 2:
        return [line] if _count_line(line, fault, counts) else []
    parts = filter(None, (normalize_text(sentence, rules.policy) for sentence in sentences))
    return [part for part in parts if _count_line(part, judge(part, rules.labels, rules.policy), counts)]


def _count_line(line: str, fault: TextFault | None, counts: TextCounts) -> bool:
    """Count a line or sentence; return whether it is fit."""
    words = line.count(" ") + bool(line)
    counts.lines += 1
    counts.words += words
    if fault is None:
        return True
    if not line:
        counts.empty += 1
        return False
    counts.left_out += 1
    counts.words_left_out += words
    counts.reasons[fault.reason] += 1
    if fault.reason in _BY_CHARACTER:
        counts.characters.update(fault.offending)
    return False


def _read_chunks(texts: Sequence[Path]) -> Iterator[tuple[Path, int, list[bytes]]]:
    for path in texts:
        size = path.stat().st_size
        with path.open("rb") as raw, ProgressBar(desc=path.name, total=size, unit="B", unit_scale=True) as bar:
            packed = path.suffix == ".gz" or identify_file(path) == FileKind.GZIP  # by content: names may lack the .gz
            stream: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw
            if not packed:
                check_text_file(path)
            try:
                for first, lines in number_chunks(stream, _CHUNK_LINES):
                    yield path, first, lines
                    bar.update(raw.tell() - bar.n)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(
                    f"{path}: found an incomplete gzip file ({error}), expected a complete one; copy it again"
                ) from error
            bar.update(size - bar.n)


def _describe_leaks(places: Sequence[str]) -> str:
    named = ", ".join(places[:_MOST_NAMED]) + (f" and {len(places) - _MOST_NAMED} more" * (len(places) > _MOST_NAMED))
    return (
        f"check_against: found evaluation sentences in {len(places)} lines of the text: {named}; "
        "leaks=drop leaves these lines out, leaks=allow keeps them (scripts/find_leaks.py names the sentences)"
    )

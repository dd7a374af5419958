"""A Kaldi data directory: the layout in which Kaldi, ESPnet and icefall keep any corpus.

Licence: that of the corpus. Layout (kaldi-asr.org/doc/data_prep.html):

    text        `<utterance> <text>` a line; every utterance of the corpus has one line here
    wav.scp     `<recording> <audio file>` a line; relative paths start at the data directory
    segments    `<utterance> <recording> <start> <end> [<channel>]` a line, in seconds, channels from 0 (or A, B);
                without this file, each recording is an utterance
    utt2spk     `<utterance> <speaker>` a line; without this file, speakers are unknown
    reco2file_and_channel   `<recording> <name> <channel>` a line, A or B; read where recordings share an audio file

`corpus_dir` is a data directory, or a folder of several: train, dev (or valid) and test are then splits. A command pipe
in wav.scp (`sox … |`), which Kaldi runs in a shell, is refused and never run, and so is a position in an archive
(`raw.ark:1234`). An utterance of wav.scp or segments without a line in text is reported as well. lhotse's
`load_kaldi_data_dir` is not called, because it runs pipes in a shell. The smaller files are held in memory, some 300
bytes an utterance.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep.corpora.layout import SPLIT_NAMES, check_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance, parse_channel

_ARCHIVE_PLACE = re.compile(r"\.ark:\d+$")


class _Recording(NamedTuple):
    line: int
    path: str
    fault: str | None


class _Segment(NamedTuple):
    line: int
    recording: str
    start: float | None
    end: float
    channel: int | None
    text: str
    fault: str | None


def read_kaldi(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read one data directory, or those of the splits.

    Raises:
        FileNotFoundError: The folder does not exist, or has no `text` and `wav.scp`.
    """
    root = check_folder(corpus_dir)
    if _is_data_dir(root):
        return _DataDir(root, root, None).read()
    folders = {name: root / name for name in SPLIT_NAMES if _is_data_dir(root / name)}
    if not folders:
        raise refuse_layout(root, "kaldi", "text and wav.scp, or train/text, train/wav.scp, and so in dev and test")
    return (row for name, folder in folders.items() for row in _DataDir(folder, root, SPLIT_NAMES[name]).read())


def _is_data_dir(folder: Path) -> bool:
    return (folder / "text").is_file() and (folder / "wav.scp").is_file()


class _DataDir:
    """One data directory: its small files in memory, `text` read line by line."""

    def __init__(self, folder: Path, root: Path, split: str | None) -> None:
        self.folder, self.root, self.split = folder, root, split
        self.recordings: dict[str, _Recording] = {}
        self.segments: dict[str, _Segment] | None = None
        self.speakers: dict[str, str] = {}
        self.channels: dict[str, int | None] = {}

    def read(self) -> Iterator[Utterance | MalformedRow]:
        """Yield the rows of `text`, then what has no line there; invalid lines of the other files come first."""
        yield from self._load()
        transcribed: set[str] = set()
        for row in read_keyed_lines(self.folder / "text"):
            if isinstance(row, MalformedRow):
                yield row
                continue
            number, utterance, text = row
            if utterance in transcribed:
                fault = f"utterance {utterance} has a line above"
                yield MalformedRow(str(self.folder / "text"), number, f"{utterance} {text}", fault)
                continue
            transcribed.add(utterance)
            yield self._join(number, utterance, text)
        yield from self._find_untranscribed(transcribed)

    def _load(self) -> Iterator[MalformedRow]:
        for row in self._read_keyed("wav.scp"):
            if isinstance(row, MalformedRow):
                yield row
            else:
                self.recordings.setdefault(row[1], _Recording(row[0], row[2], _find_fault(row[2])))
        if (self.folder / "segments").is_file():
            self.segments = {}
            for row in self._read_keyed("segments"):
                if isinstance(row, MalformedRow):
                    yield row
                else:
                    self.segments.setdefault(row[1], _parse_segment(*row))
        for row in self._read_keyed("utt2spk"):
            if isinstance(row, MalformedRow):
                yield row
            else:
                self.speakers[row[1]] = row[2] or UNKNOWN_SPEAKER
        shared = {path for path, count in Counter(each.path for each in self.recordings.values()).items() if count > 1}
        for row in self._read_keyed("reco2file_and_channel") if shared else ():
            if isinstance(row, MalformedRow):
                yield row
            elif row[1] in self.recordings and self.recordings[row[1]].path in shared:
                try:
                    self.channels[row[1]] = parse_channel((row[2].split() or [""])[-1])
                except ValueError as error:
                    yield MalformedRow(
                        str(self.folder / "reco2file_and_channel"), row[0], " ".join(row[1:]), str(error)
                    )

    def _read_keyed(self, name: str) -> Iterator[tuple[int, str, str] | MalformedRow]:
        path = self.folder / name
        return read_keyed_lines(path) if path.is_file() else iter(())

    def _join(self, number: int, utterance: str, text: str) -> Utterance | MalformedRow:
        file = str(self.folder / "text")

        def malformed(fault: str) -> MalformedRow:
            return MalformedRow(file, number, f"{utterance} {text}", fault)

        whole = _Segment(0, utterance, None, 0.0, None, "", None)
        segment = self.segments.get(utterance) if self.segments is not None else whole
        if segment is None:
            return malformed(f"no line for utterance {utterance} in {self.folder / 'segments'}")
        if segment.fault:
            return malformed(f"{self.folder / 'segments'}:{segment.line}: {segment.fault}; found '{segment.text}'")
        recording = self.recordings.get(segment.recording)
        if recording is None:
            return malformed(f"no line for recording {segment.recording} in {self.folder / 'wav.scp'}")
        if recording.fault:
            return malformed(f"{self.folder / 'wav.scp'}:{recording.line}: {recording.fault}")
        audio = self.folder / recording.path
        path = recording.path if Path(recording.path).is_absolute() else (audio.relative_to(self.root)).as_posix()
        speaker = self.speakers.get(utterance, UNKNOWN_SPEAKER)
        duration = None if segment.start is None else segment.end - segment.start
        channel = self.channels.get(segment.recording) if segment.channel is None else segment.channel
        place = (segment.start, duration)
        return Utterance(file, number, path, str(audio), text, speaker, self.split, *place, channel=channel)

    def _find_untranscribed(self, transcribed: set[str]) -> Iterator[MalformedRow]:
        listed = self.segments if self.segments is not None else self.recordings
        name = "segments" if self.segments is not None else "wav.scp"
        for utterance, entry in listed.items():
            if utterance not in transcribed:
                fault = f"no line for {utterance} in {self.folder / 'text'}"
                yield MalformedRow(str(self.folder / name), entry.line, utterance, fault)


def _find_fault(path: str) -> str | None:
    if path.endswith("|"):
        return f"is a command pipe ({path}), which is not run; run it yourself and write the new file's path there"
    if path.startswith("|") or path == "-":
        return f"is not an audio file ({path})"
    if _ARCHIVE_PLACE.search(path):
        return f"is a position in a Kaldi archive ({path}), which is not read; write an audio file's path there"
    return "is empty or holds a NUL, expected an audio file" if not path or "\0" in path else None


def _parse_segment(line: int, utterance: str, rest: str) -> _Segment:
    fields = rest.split()
    try:
        if len(fields) not in (3, 4):
            raise ValueError
        start, end = float(fields[1]), float(fields[2])
        if not (math.isfinite(start) and 0 <= start < end < math.inf):
            raise ValueError
        channel = parse_channel(fields[3]) if len(fields) == 4 else None
    except ValueError:
        fault = "expected <utterance> <recording> <start> <end> [<channel>], 0 ≤ start < end, in seconds"
        return _Segment(line, "", None, 0.0, None, f"{utterance} {rest}", fault)
    return _Segment(line, fields[0], start, end, channel, "", None)

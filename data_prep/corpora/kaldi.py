"""A Kaldi data directory: how Kaldi, ESPnet and icefall keep any corpus.

Licence: that of the corpus. Layout (kaldi-asr.org/doc/data_prep.html):

    text        `<utterance> <text>` a line; every utterance of the corpus is one line of it
    wav.scp     `<recording> <audio file>` a line; relative files start at the data directory
    segments    `<utterance> <recording> <start> <end>` a line, in seconds; without it, a recording is an utterance
    utt2spk     `<utterance> <speaker>` a line; without it, speakers are unknown

`corpus_dir` is a data directory, or a folder of several: train, dev (or valid) and test are then splits. A command pipe
in wav.scp (`sox … |`), which Kaldi runs in a shell, is refused and never run, and so is a place in an archive
(`raw.ark:1234`). An utterance of wav.scp or segments that lacks a line in text is told as well. lhotse's
`load_kaldi_data_dir` is not called: it runs pipes in a shell. The three smaller files are held in memory, some 300
bytes an utterance.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep.corpora.layout import SPLIT_NAMES, check_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

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
    text: str
    fault: str | None


def read_kaldi(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read one data directory, or those of the splits.

    Raises:
        FileNotFoundError: There is no such folder, or no `text` and `wav.scp` where they are expected.
    """
    root = check_folder(corpus_dir)
    if _is_data_dir(root):
        return _read_data_dir(root, root, None)
    folders = {name: root / name for name in SPLIT_NAMES if _is_data_dir(root / name)}
    if not folders:
        raise refuse_layout(root, "kaldi", "text and wav.scp, or train/text, train/wav.scp, and so in dev and test")
    return (row for name, folder in folders.items() for row in _read_data_dir(folder, root, SPLIT_NAMES[name]))


def _is_data_dir(folder: Path) -> bool:
    return (folder / "text").is_file() and (folder / "wav.scp").is_file()


def _read_data_dir(folder: Path, root: Path, split: str | None) -> Iterator[Utterance | MalformedRow]:
    recordings: dict[str, _Recording] = {}
    for row in read_keyed_lines(folder / "wav.scp"):
        if isinstance(row, MalformedRow):
            yield row
            continue
        recordings.setdefault(row[1], _Recording(row[0], row[2], _find_fault(row[2])))
    segments: dict[str, _Segment] | None = None
    if (folder / "segments").is_file():
        segments = {}
        for row in read_keyed_lines(folder / "segments"):
            if isinstance(row, MalformedRow):
                yield row
                continue
            segments.setdefault(row[1], _parse_segment(*row))
    speakers: dict[str, str] = {}
    if (folder / "utt2spk").is_file():
        for row in read_keyed_lines(folder / "utt2spk"):
            if isinstance(row, MalformedRow):
                yield row
                continue
            speakers[row[1]] = row[2] or UNKNOWN_SPEAKER
    transcribed: set[str] = set()
    for row in read_keyed_lines(folder / "text"):
        if isinstance(row, MalformedRow):
            yield row
            continue
        number, utterance, text = row
        if utterance in transcribed:
            fault = f"utterance {utterance} has a line above"
            yield MalformedRow(str(folder / "text"), number, f"{utterance} {text}", fault)
            continue
        transcribed.add(utterance)
        yield _join(folder, root, split, number, utterance, text, recordings, segments, speakers)
    yield from _find_untranscribed(folder, transcribed, recordings, segments)


def _find_fault(path: str) -> str | None:
    if path.endswith("|"):
        return f"is a command pipe ({path}), which is not run; run it yourself and write the new file's path there"
    if path.startswith("|") or path == "-":
        return f"is no audio file ({path})"
    if _ARCHIVE_PLACE.search(path):
        return f"is a place in a Kaldi archive ({path}), which is not read; write an audio file's path there"
    return "is empty or holds a NUL, expected an audio file" if not path or "\0" in path else None


def _parse_segment(line: int, utterance: str, rest: str) -> _Segment:
    fields = rest.split()
    try:
        if len(fields) not in (3, 4):  # some corpora add a channel, which is always 0 or 1 file here
            raise ValueError
        start, end = float(fields[1]), float(fields[2])
        if not (math.isfinite(start) and 0 <= start < end < math.inf):
            raise ValueError
    except ValueError:
        fault = "expected <utterance> <recording> <start> <end>, 0 ≤ start < end, in seconds"
        return _Segment(line, "", None, 0.0, f"{utterance} {rest}", fault)
    return _Segment(line, fields[0], start, end, "", None)


def _join(
    folder: Path,
    root: Path,
    split: str | None,
    number: int,
    utterance: str,
    text: str,
    recordings: dict[str, _Recording],
    segments: dict[str, _Segment] | None,
    speakers: dict[str, str],
) -> Utterance | MalformedRow:
    def malformed(fault: str) -> MalformedRow:
        return MalformedRow(str(folder / "text"), number, f"{utterance} {text}", fault)

    segment = segments.get(utterance) if segments is not None else _Segment(0, utterance, None, 0.0, "", None)
    if segment is None:
        return malformed(f"no line for utterance {utterance} in {folder / 'segments'}")
    if segment.fault:
        return malformed(f"{folder / 'segments'}:{segment.line}: {segment.fault}; found '{segment.text}'")
    recording = recordings.get(segment.recording)
    if recording is None:
        return malformed(f"no line for recording {segment.recording} in {folder / 'wav.scp'}")
    if recording.fault:
        return malformed(f"{folder / 'wav.scp'}:{recording.line}: {recording.fault}")
    audio = folder / recording.path
    path = recording.path if Path(recording.path).is_absolute() else (audio.relative_to(root)).as_posix()
    speaker = speakers.get(utterance, UNKNOWN_SPEAKER)
    duration = None if segment.start is None else segment.end - segment.start
    file = str(folder / "text")
    return Utterance(file, number, path, str(audio), text, speaker, split, segment.start, duration)


def _find_untranscribed(
    folder: Path, transcribed: set[str], recordings: dict[str, _Recording], segments: dict[str, _Segment] | None
) -> Iterator[MalformedRow]:
    listed = segments if segments is not None else recordings
    name = "segments" if segments is not None else "wav.scp"
    for utterance, entry in listed.items():
        if utterance not in transcribed:
            fault = f"no line for {utterance} in {folder / 'text'}"
            yield MalformedRow(str(folder / name), entry.line, utterance, fault)

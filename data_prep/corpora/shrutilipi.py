"""Shrutilipi, twelve languages (1,620 hours of Hindi): All India Radio, aligned by machine with its scripts.

Source: AI4Bharat (ai4bharat.iitm.ac.in/shrutilipi), `hindi.zip` and `shrutilipi_fairseq.zip`. Licence: CC-BY-4.0 on the
Hub, MIT on the project's first page. 16 kHz WAV. Layouts (from that page):

    hindi/<bulletin>/sent_<n>.wav               a folder a bulletin, e.g. Regional-Bhopal-Hindi-0705-201810168277
    hindi/<bulletin>/sent_<n>.txt               its transcript
    hindi/train.tsv                             or fairseq's: a line with a root, then `<audio><tab><samples>` a line
    hindi/train.wrd                             with the transcripts, line by line

`corpus_dir` is `hindi`, the folder above it, or one with tables of fairseq in it (train, valid, test; they go before
the single files). The root that a table names is a folder on its maker's disk: where it does not exist, `corpus_dir`
is used instead. Speakers have no names here; the bulletin's station (`Regional-Bhopal`) is the finest grouping of
voices. Only the tables have official splits. The Hub's Parquet copy is read by `corpus=huggingface`.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from data_prep.corpora.layout import SPLIT_NAMES, Line, check_folder, find_folder, read_lines, read_whole, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

_BULLETIN = re.compile(r"^(?P<station>.+?)-[a-z]+-\d", re.IGNORECASE)
_SENTENCE = re.compile(r"(\d+)$")


def read_shrutilipi(corpus_dir: Path, language: str = "hindi") -> Iterator[Utterance | MalformedRow]:
    """Read fairseq's tables where there are any, else the transcript beside each recording.

    Args:
        corpus_dir: The folder.
        language: English name of the language, in lower case: the name of its folder.

    Raises:
        FileNotFoundError: The folder does not exist or has neither tables nor bulletins, or a table lacks its `.wrd`.
    """
    root = find_folder(check_folder(corpus_dir), [language])
    tables = [root / f"{name}.tsv" for name in SPLIT_NAMES if (root / f"{name}.tsv").is_file()]
    for table in tables:
        if not table.with_suffix(".wrd").is_file():
            raise FileNotFoundError(f"{table.with_suffix('.wrd')}: no such file; {table.name} needs it beside it")
    if tables:
        return (row for table in tables for row in _read_table(table))
    bulletins = sorted(path for path in root.iterdir() if path.is_dir() and next(path.glob("*.txt"), None))
    if not bulletins:
        expected = "<bulletin>/sent_1.wav and sent_1.txt, or fairseq's train.tsv and train.wrd"
        raise refuse_layout(root, "shrutilipi", expected)
    return (row for bulletin in bulletins for row in _read_bulletin(bulletin))


def _read_table(table: Path) -> Iterator[Utterance | MalformedRow]:
    with table.open("rb") as lines:
        named = Path(lines.readline().decode("utf-8", "replace").strip())
    root = named if named.is_absolute() and named.is_dir() else table.parent
    rows = (line for line in read_lines(table) if _get_number(line) > 1)
    for row, text in zip_longest(rows, read_lines(table.with_suffix(".wrd"))):
        yield _pair(table, root, row, text)


def _get_number(line: Line | MalformedRow) -> int:
    return line.number if isinstance(line, Line) else line.line


def _pair(
    table: Path, root: Path, row: Line | MalformedRow | None, text: Line | MalformedRow | None
) -> Utterance | MalformedRow:
    """Join a line of the table with the same line of the transcripts; the table has one more, at its top."""
    for line in (row, text):
        if isinstance(line, MalformedRow):
            return line
    assert not isinstance(row, MalformedRow) and not isinstance(text, MalformedRow)
    if row is None or text is None or row.number != text.number + 1:
        found, place = (row, table) if row else (text, table.with_suffix(".wrd"))
        assert found is not None
        fault = f"{table.name} and {table.with_suffix('.wrd').name} do not match from here on: lines are missing"
        return MalformedRow(str(place), found.number, found.text, fault)
    path, *length = row.text.split("\t")
    if not path.strip() or "\0" in path or len(length) != 1:
        return MalformedRow(str(table), row.number, row.text, "expected an audio file, a tab, its number of samples")
    station = _find_station(Path(path).parent.name)
    split = SPLIT_NAMES[table.stem]
    return Utterance(str(table), row.number, path.strip(), str(root / path.strip()), text.text, station, split)


def _read_bulletin(bulletin: Path) -> Iterator[Utterance | MalformedRow]:
    def order(path: Path) -> tuple[int, str]:
        number = _SENTENCE.search(path.stem)
        return int(number.group()) if number else 0, path.name

    names = {path.with_suffix("") for path in bulletin.iterdir() if path.suffix in (".wav", ".txt")}
    for name in sorted(names, key=order):
        transcript, audio = Path(f"{name}.txt"), Path(f"{name}.wav")
        if not transcript.is_file():
            yield MalformedRow(str(audio), 1, "", f"no transcript {transcript.name} beside it")
            continue
        text, path = read_whole(transcript), f"{bulletin.name}/{audio.name}"
        if isinstance(text, MalformedRow):
            yield text
        else:
            yield Utterance(str(transcript), 1, path, str(audio), text, _find_station(bulletin.name))


def _find_station(bulletin: str) -> str:
    match = _BULLETIN.match(bulletin)
    return match["station"] if match else bulletin or UNKNOWN_SPEAKER

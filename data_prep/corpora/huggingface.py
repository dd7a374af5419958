"""A data set folder of the Hugging Face Hub: Parquet files that hold the audio itself.

Licence: see the data set's card. Layout (of `Dataset.push_to_hub`, and of the Hub's own conversion to Parquet;
ai4bharat/Kathbath, ai4bharat/IndicVoices, ai4bharat/Shrutilipi, google/fleurs and many others use it):

    data/train-00000-of-00012.parquet           or hindi/train-00000-of-00012.parquet, or hindi/train/0000.parquet
    data/validation-00000-of-00001.parquet
    data/test-00000-of-00001.parquet

`corpus_dir` is such a folder; all Parquet files below it are read, so name the folder of one language. Columns: the
audio is the first struct with a field `bytes` (any format); where `bytes` is null, the file that its `path` names is
read. The text is the first of `text`, `sentence`, `transcription`, `transcript`, `raw_transcription`, `verbatim`,
`normalized`; the speaker the first of `speaker`, `speaker_id`, `speakerID`, `client_id`, `spk_id`, `station`; `channel`
is a channel from 0. `columns={text: …, speaker: …}` names other columns. The name of the file, or else of its folder,
says the split, and where it says more (`test_known`), it is the `subset`. Audio is read a row group at a time, in the
worker. A folder of `Dataset.save_to_disk` (Arrow files) is not read: save it with `Dataset.to_parquet`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.audio.parquet import find_audio_column
from data_prep.corpora.columns import SPEAKER_COLUMNS, find_column, note_columns
from data_prep.corpora.layout import SPLIT_NAMES, check_folder, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Note, Utterance, parse_channel
from data_prep.lines import find_foreign_format

TEXT_COLUMNS = ("text", "sentence", "transcription", "transcript", "raw_transcription", "verbatim", "normalized")
Exclude = Callable[[Mapping[str, Any]], str | None]
"""Function that says why the corpus itself excludes a row, from some of its cells; `None` for a row to use."""
_BATCH_ROWS = 1024
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class _Columns:
    """Names of a file's columns; `audio` is a struct, `others` are those that decide on the exclusion of a row."""

    audio: str
    text: str
    speaker: str | None
    channel: str | None
    others: tuple[str, ...]
    notes: tuple[Note, ...]


def read_huggingface(
    corpus_dir: Path, columns: Mapping[str, str] | None = None
) -> Iterator[Utterance | MalformedRow | Note]:
    """Read every Parquet file below a folder, in the order of their names.

    Args:
        corpus_dir: The folder.
        columns: Role -> name of its column, see `data_prep.corpora.columns`; `path` is the audio.

    Raises:
        FileNotFoundError: The folder does not exist, or holds no Parquet file.
        ValueError: A file has no column of audio or text, or no file is a Parquet file.
    """
    return read_parquet_folder(check_folder(corpus_dir), "huggingface", columns)


def read_parquet_folder(
    root: Path,
    corpus: str,
    columns: Mapping[str, str] | None = None,
    others: Sequence[str] = (),
    exclude: Exclude = lambda cells: None,
) -> Iterator[Utterance | MalformedRow | Note]:
    """Read every Parquet file below an absolute folder for a corpus that the Hub stores so.

    Args:
        root: The folder.
        corpus: Name of the corpus, for messages.
        columns: Role -> name of its column.
        others: Columns that `exclude` looks at, where a file has them.
        exclude: Function that says why a row is not for use.

    Raises:
        FileNotFoundError: The folder holds no Parquet file.
        ValueError: A file has no column of audio or text, or no file is a Parquet file.
    """
    paths = sorted(path for path in root.rglob("*.parquet") if path.is_file())
    if not paths:
        raise refuse_layout(root, corpus, "Parquet files such as data/train-00000-of-00001.parquet")
    found = {path: _find_columns(path, columns, others) for path in paths}
    if not any(isinstance(each, _Columns) for each in found.values()):
        raise ValueError(f"{paths[0]}: {found[paths[0]]}")
    notes = next((each.notes for each in found.values() if isinstance(each, _Columns)), ())

    def read_rows() -> Iterator[Utterance | MalformedRow | Note]:
        yield from notes  # of the first file; the others are alike
        for path in paths:
            yield from _read_file(path, root, found[path], exclude)

    return read_rows()


def _find_columns(path: Path, columns: Mapping[str, str] | None, others: Sequence[str]) -> _Columns | str:
    """Find the columns of a file, or return why the whole file is unreadable."""
    import pyarrow.parquet  # takes half a second; readers of other corpora do not need it

    try:
        schema = pyarrow.parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        kind, remedy = find_foreign_format(path) or (f"no Parquet file ({error})", "copy the file again")
        return f"found {kind}, expected a Parquet file; {remedy}"
    names = schema.names
    text = find_column("text", names, TEXT_COLUMNS, columns, path)
    structs = [field.name for field in schema if find_audio_column([field])]
    if text is None or not structs:
        missing = f"text ({', '.join(TEXT_COLUMNS)})" if text is None else "audio (a struct with a field bytes)"
        remedy = "; name it with columns={text: …}" if text is None else ""
        raise ValueError(f"{path}: found the columns {', '.join(names)}, expected one of {missing}{remedy}")
    audio = find_column("path", names, structs, columns, path)
    if audio is None or audio not in structs:
        raise ValueError(f"columns.path={audio}: expected a column of audio; {path} has {', '.join(structs)}")
    speaker = find_column("speaker", names, SPEAKER_COLUMNS, columns, path)
    channel = find_column("channel", names, ("channel",), columns, path)
    used = {"text": text, "path": audio, "speaker": speaker}
    chosen = {"text", "path"} & set(columns or {})
    usual = {role: alike for role, alike in (("text", TEXT_COLUMNS), ("path", structs)) if role not in chosen}
    notes = tuple(note_columns(path, names, used, usual))
    return _Columns(audio, text, speaker, channel, tuple(name for name in others if name in names), notes)


def _read_file(path: Path, root: Path, columns: _Columns | str, exclude: Exclude) -> Iterator[Utterance | MalformedRow]:
    if isinstance(columns, str):
        yield MalformedRow(str(path), 1, "", columns)
        return
    import pyarrow.parquet

    place, split, row = path.relative_to(root).as_posix(), _find_split(path, root), 0
    subset = path.name.partition("-")[0] if "-" in path.name else None
    subset = None if subset in SPLIT_NAMES else subset
    with pyarrow.parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for cells, outside in _read_group(file, group, columns):
                source = (str(path), row + 1, f"{place}#{row}", os.fspath(path))
                if outside is not None:
                    source = (str(path), row + 1, outside, os.fspath(_find_audio_file(outside, path, root)))
                reason = exclude({name: cells[name] for name in columns.others})
                if reason is not None:
                    text = str(cells[columns.text] or "")
                    yield MalformedRow(str(path), row + 1, text, reason, "excluded_by_corpus")
                else:
                    yield _parse_row(cells, columns, source, split, None if outside is not None else row, subset)
                row += 1


def _read_group(file: Any, group: int, columns: _Columns) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield the cells of each row of a row group, and the path of audio that is not in the Parquet file itself.

    The bytes of audio are large: they are read here only where the file's statistics or types say that some are null.
    """
    names = [name for name in (columns.text, columns.speaker, columns.channel, *columns.others) if name]
    with_nulls = _has_null_bytes(file.metadata.row_group(group), columns.audio)
    read = [*names, columns.audio] if with_nulls else names
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=read, use_threads=False):
        cells = [
            dict(zip(names, row, strict=True))
            for row in zip(*(batch.column(n).to_pylist() for n in names), strict=True)
        ]
        audio = batch.column(columns.audio) if with_nulls else [None] * len(cells)
        for row, cell in zip(cells, audio, strict=True):
            fields = cell.as_py() if cell is not None else None
            outside = fields.get("path") if fields and not fields.get("bytes") else None
            yield row, outside or None


def _has_null_bytes(group: Any, audio: str) -> bool:
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == f"{audio}.bytes":
            statistics = column.statistics
            if column.physical_type != "BYTE_ARRAY":  # a column of nothing but nulls has the type of no value
                return True
            return statistics is not None and statistics.has_null_count and statistics.null_count > 0
    return False


def _find_audio_file(name: str, path: Path, root: Path) -> Path:
    """Return the file that a row names: beside its Parquet file, or else below the corpus folder."""
    beside = path.parent / name
    return beside if beside.is_file() else root / name


def _parse_row(
    cells: Mapping[str, Any],
    columns: _Columns,
    source: tuple[str, int, str, str],
    split: str | None,
    row: int | None,
    subset: str | None,
) -> Utterance | MalformedRow:
    file, line, *_ = source
    text, speaker = cells[columns.text], cells[columns.speaker] if columns.speaker else None
    if not isinstance(text, str):
        return MalformedRow(file, line, "", f"found {text!r} in column {columns.text}, expected a text")
    try:
        channel = parse_channel(cells[columns.channel]) if columns.channel else None
    except ValueError as error:
        return MalformedRow(file, line, text, str(error))
    name = UNKNOWN_SPEAKER if speaker in (None, "") else str(speaker)
    return Utterance(*source, text, name, split, row=row, subset=subset, channel=channel)


def _find_split(path: Path, root: Path) -> str | None:
    """Return the split that the file's name contains as a word, or else the nearest folder's name."""
    for part in reversed(path.relative_to(root).with_suffix("").parts):
        for word in _WORD.findall(part.lower()):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return SPLIT_NAMES.get(root.name.lower())

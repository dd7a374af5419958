"""A data set folder of the Hugging Face Hub: Parquet files that hold the audio itself.

Licence: see the data set's card. Layout (`Dataset.push_to_hub`, and the Hub's own conversion to Parquet; so are
ai4bharat/Kathbath, ai4bharat/IndicVoices, ai4bharat/Shrutilipi, google/fleurs and many others kept):

    data/train-00000-of-00012.parquet           or hindi/train-00000-of-00012.parquet, or hindi/train/0000.parquet
    data/validation-00000-of-00001.parquet
    data/test-00000-of-00001.parquet

`corpus_dir` is such a folder; all Parquet files below it are read, so point it at one language. Columns: the audio is
the first struct with a field `bytes` (any format); the text is the first of `text`, `sentence`, `transcription`,
`transcript`, `raw_transcription`, `verbatim`, `normalized`; the speaker the first of `speaker_id`, `client_id`,
`speaker`. The split is told by the file's or its folder's name, and where that says more (`test_known`), it is the
`subset`. Audio is read a row group at a time, in the worker. A folder of `Dataset.save_to_disk` (Arrow files) is not
read: save it with `Dataset.to_parquet`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from data_prep.audio.parquet import find_audio_column
from data_prep.corpora.layout import SPLIT_NAMES, check_folder, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

TEXT_COLUMNS = ("text", "sentence", "transcription", "transcript", "raw_transcription", "verbatim", "normalized")
SPEAKER_COLUMNS = ("speaker_id", "client_id", "speaker")
_BATCH_ROWS = 1024
_WORD = re.compile(r"[a-z]+")


def read_huggingface(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read every Parquet file below a folder, in the order of their names.

    Raises:
        FileNotFoundError: There is no such folder, or no Parquet file in it.
        ValueError: A file's columns are not those of a speech corpus.
    """
    root = check_folder(corpus_dir)
    paths = sorted(path for path in root.rglob("*.parquet") if path.is_file())
    if not paths:
        raise refuse_layout(root, "huggingface", "Parquet files such as data/train-00000-of-00001.parquet")
    columns = {path: _find_columns(path) for path in paths}
    return (row for path in paths for row in _read_file(path, root, columns[path]))


def _find_columns(path: Path) -> tuple[str, str | None] | str:
    """Name the columns of text and speaker, or say why the file cannot be read at all."""
    import pyarrow.parquet  # half a second to import: not for those who read another corpus

    try:
        schema = pyarrow.parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        return f"not a Parquet file: {error}"
    text = next((name for name in TEXT_COLUMNS if name in schema.names), None)
    if text is None or find_audio_column(schema) is None:
        missing = f"text ({', '.join(TEXT_COLUMNS)})" if text is None else "audio (a struct with a field bytes)"
        raise ValueError(f"{path}: no column of {missing}; found {', '.join(schema.names)}")
    return text, next((name for name in SPEAKER_COLUMNS if name in schema.names), None)


def _read_file(path: Path, root: Path, columns: tuple[str, str | None] | str) -> Iterator[Utterance | MalformedRow]:
    if isinstance(columns, str):
        yield MalformedRow(str(path), 1, "", columns)
        return
    import pyarrow.parquet

    text_column, speaker_column = columns
    place, split, row = path.relative_to(root).as_posix(), _find_split(path, root), 0
    subset = path.name.partition("-")[0] if "-" in path.name else None
    subset = None if subset in SPLIT_NAMES else subset
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(filter(None, columns)), use_threads=False):
            texts = batch.column(text_column).to_pylist()
            speakers = batch.column(speaker_column).to_pylist() if speaker_column else [None] * len(texts)
            for text, speaker in zip(texts, speakers, strict=True):
                if isinstance(text, str):
                    name = UNKNOWN_SPEAKER if speaker in (None, "") else str(speaker)
                    source = (str(path), row + 1, f"{place}#{row}", os.fspath(path))
                    yield Utterance(*source, text, name, split, row=row, subset=subset)
                else:
                    fault = f"column {text_column} is {text!r}, expected a text"
                    yield MalformedRow(str(path), row + 1, "", fault)
                row += 1


def _find_split(path: Path, root: Path) -> str | None:
    """The first word of the file's name, or else of the folders above it, that names a split."""
    for part in reversed(path.relative_to(root).with_suffix("").parts):
        for word in _WORD.findall(part.lower()):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return SPLIT_NAMES.get(root.name.lower())

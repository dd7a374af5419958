"""A folder with a `transcripts.tsv` or `transcripts.csv` of one's own.

`corpus=tsv`: tab-separated, no quoting. `corpus=csv`: comma-separated, cells quoted with `"` where needed, a row on one
line. Both UTF-8 with a header line. Columns, in any order: `path` (audio, relative to the folder) and `text` are
required; `speaker`, or else `station`, says whose voices must not be torn apart by a split; `split` (train, dev, test)
is honoured; others, such as `duration_s` and `sample_rate`, are ignored because the audio itself is measured. Empty
lines are skipped. Licence: the user's own.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import SPLITS
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance
from data_prep.corpora.tables import TableRow, read_table

TRANSCRIPTS = "transcripts"
REQUIRED_COLUMNS = ("path", "text")
SPEAKER_COLUMNS = ("speaker", "station")


def read_tsv(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read every row of `<corpus_dir>/transcripts.tsv`.

    Args:
        corpus_dir: The corpus folder.

    Returns:
        An iterator over the rows in file order.

    Raises:
        FileNotFoundError: The folder or its `transcripts.tsv` is missing.
        ValueError: The header lacks a required column, repeats one, or is not UTF-8.
    """
    return _read(corpus_dir, "tsv", "\t")


def read_csv(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read every row of `<corpus_dir>/transcripts.csv`; otherwise as `read_tsv`."""
    return _read(corpus_dir, "csv", ",")


def _read(corpus_dir: Path, corpus: str, separator: str) -> Iterator[Utterance | MalformedRow]:
    if not corpus_dir.is_dir():
        raise FileNotFoundError(f"corpus_dir={corpus_dir}: no such folder")
    path = corpus_dir / f"{TRANSCRIPTS}.{corpus}"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; corpus={corpus} expects it in corpus_dir")
    name = "tabs" if separator == "\t" else "commas"
    expected = f"path and text, separated by {name}, and where known speaker or station, split"
    table, root = read_table(path, REQUIRED_COLUMNS, expected, separator), corpus_dir.resolve()
    return (row if isinstance(row, MalformedRow) else _parse_row(row, str(path), root) for row in table)


def _parse_row(row: TableRow, file: str, corpus_dir: Path) -> Utterance | MalformedRow:
    audio = row.cells["path"].strip()
    if not audio or "\0" in audio:
        fault = f"path is {'empty' if not audio else 'broken by a NUL character'}, expected an audio file"
        return MalformedRow(file, row.line, row.text, fault)
    split = row.cells.get("split")
    if split is not None and split not in SPLITS:
        return MalformedRow(file, row.line, row.text, f"split is '{split}', expected {', '.join(SPLITS)}")
    speaker = next((row.cells[name].strip() for name in SPEAKER_COLUMNS if name in row.cells), "") or UNKNOWN_SPEAKER
    return Utterance(file, row.line, audio, str(corpus_dir / audio), row.cells["text"], speaker, split)

"""A folder of the user's with a `transcripts.tsv` or `transcripts.csv`.

`corpus=tsv`: tab-separated, no quoting. `corpus=csv`: comma-separated, cells quoted with `"` where needed, a row on one
line. Both UTF-8 with a header line. Columns, in any order: `path` (audio, relative to the folder) and `text` are
required; `speaker` (or `speaker_id`, `client_id`, `spk_id`, `station`) keeps one voice in one split; `split` is train,
dev or test; `channel` is a channel from 0, or A or B, of a recording with several. `columns={path: …, text: …}` names
other columns. Further ones, such as `duration_s`, are ignored, because the audio itself is measured. Empty lines are
skipped. Licence: the user's own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from data_prep.corpora.columns import SPEAKER_COLUMNS, find_column, note_columns
from data_prep.corpora.layout import SPLITS
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Note, Utterance, parse_channel
from data_prep.corpora.tables import TableRow, open_table

TRANSCRIPTS = "transcripts"
REQUIRED_COLUMNS = ("path", "text")
_USUAL_COLUMNS = {
    "path": ("path", "audio", "file", "file_name", "audio_filepath"),
    "text": ("text", "sentence", "transcript", "transcription"),
}


def read_tsv(corpus_dir: Path, columns: Mapping[str, str] | None = None) -> Iterator[Utterance | MalformedRow | Note]:
    """Read every row of `<corpus_dir>/transcripts.tsv`.

    Args:
        corpus_dir: The corpus folder.
        columns: Role -> name of its column, see `data_prep.corpora.columns`.

    Returns:
        An iterator over notes, then the rows in file order.

    Raises:
        FileNotFoundError: The folder or its `transcripts.tsv` is missing.
        ValueError: The header lacks a required column or repeats one, or the file is not a text file in UTF-8.
    """
    return _read(corpus_dir, "tsv", "\t", columns)


def read_csv(corpus_dir: Path, columns: Mapping[str, str] | None = None) -> Iterator[Utterance | MalformedRow | Note]:
    """Read every row of `<corpus_dir>/transcripts.csv`; otherwise like `read_tsv`."""
    return _read(corpus_dir, "csv", ",", columns)


def _read(
    corpus_dir: Path, corpus: str, separator: str, columns: Mapping[str, str] | None
) -> Iterator[Utterance | MalformedRow | Note]:
    if not corpus_dir.is_dir():
        raise FileNotFoundError(f"corpus_dir={corpus_dir}: no such folder")
    path = corpus_dir / f"{TRANSCRIPTS}.{corpus}"
    if not path.is_file():
        other = next((name for name in ("tsv", "csv") if (corpus_dir / f"{TRANSCRIPTS}.{name}").is_file()), None)
        hint = f"; for {TRANSCRIPTS}.{other} set corpus={other}" if other else ""
        raise FileNotFoundError(f"{path}: no such file; corpus={corpus} expects it in corpus_dir{hint}")
    name = "tabs" if separator == "\t" else "commas"
    chosen = columns or {}
    required = [chosen.get(role, role) for role in REQUIRED_COLUMNS]
    expected = (
        f"path and text, separated by {name}, and where known speaker, split, channel; "
        "columns={path: …, text: …} names other columns"
    )
    names, table = open_table(path, required, expected, separator)
    used = {role: find_column(role, names, (role,), columns, path) for role in ("path", "text", "split", "channel")}
    used["speaker"] = find_column("speaker", names, SPEAKER_COLUMNS, columns, path)
    root = corpus_dir.resolve()

    def read_rows() -> Iterator[Utterance | MalformedRow | Note]:
        yield from note_columns(path, names, used, _USUAL_COLUMNS)
        for row in table:
            yield row if isinstance(row, MalformedRow) else _parse_row(row, used, str(path), root)

    return read_rows()


def _parse_row(row: TableRow, used: Mapping[str, str | None], file: str, corpus_dir: Path) -> Utterance | MalformedRow:
    cells = {role: row.cells[name] for role, name in used.items() if name is not None}
    audio = cells["path"].strip()
    if not audio or "\0" in audio:
        fault = f"found a path that is {'empty' if not audio else 'broken by a NUL character'}, expected an audio file"
        return MalformedRow(file, row.line, row.text, fault)
    split = cells.get("split")
    if split is not None and split not in SPLITS:
        return MalformedRow(file, row.line, row.text, f"found split '{split}', expected {', '.join(SPLITS)}")
    try:
        channel = parse_channel(cells.get("channel", "").strip())
    except ValueError as error:
        return MalformedRow(file, row.line, row.text, str(error))
    speaker = cells.get("speaker", "").strip() or UNKNOWN_SPEAKER
    return Utterance(file, row.line, audio, str(corpus_dir / audio), cells["text"], speaker, split, channel=channel)

"""Tables with a header line: tab-separated without quoting, or comma-separated with quoting; bad rows by line."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.corpora.layout import read_lines
from data_prep.corpora.rows import MalformedRow
from data_prep.lines import check_text_file


@dataclass(frozen=True)
class TableRow:
    """One row: its line number, from 1, its cells by column, and the line itself."""

    line: int
    cells: dict[str, str]
    text: str


def read_table(
    path: Path, required: Sequence[str], expected: str, separator: str = "\t", columns: Sequence[str] | None = None
) -> Iterator[TableRow | MalformedRow]:
    """Read a table like `open_table`; return its rows only."""
    return open_table(path, required, expected, separator, columns)[1]


def open_table(
    path: Path, required: Sequence[str], expected: str, separator: str = "\t", columns: Sequence[str] | None = None
) -> tuple[list[str], Iterator[TableRow | MalformedRow]]:
    """Read a table; its header is checked at once, its rows are read one by one.

    Args:
        path: The file, UTF-8, one row a line.
        required: Columns that the table must have.
        expected: The expected header, in words, for the error message.
        separator: A tab, with which quotation marks are text; or a comma, with which they quote.
        columns: Names of the columns of a table without a header line.

    Returns:
        The columns, and an iterator over the rows that are not blank, in file order.

    Raises:
        ValueError: The header lacks a required column or repeats one, or the file is not a text file in UTF-8.
    """
    check_text_file(path)
    header = list(columns) if columns else _read_header(path, required, expected, separator)
    return header, _read_rows(path, header, separator, has_header=columns is None)


def _read_header(path: Path, required: Sequence[str], expected: str, separator: str) -> list[str]:
    with path.open("rb") as lines:
        try:
            line = lines.readline().decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}:1: found a header that is not UTF-8 ({error}); save the file as UTF-8") from error
    try:
        header = [name.strip() for name in _split(line, separator)]
    except csv.Error as error:
        raise ValueError(f"{path}:1: the header is broken ({error}); expected {expected}") from error
    missing = [name for name in required if name not in header]
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if missing or repeated:
        fault = f"no column {' and no column '.join(missing)}" if missing else f"repeated column {', '.join(repeated)}"
        found = ", ".join(filter(None, header)) or "nothing"
        raise ValueError(f"{path}:1: {fault} in the header; found {found}; expected {expected}")
    return header


def _read_rows(path: Path, header: list[str], separator: str, has_header: bool) -> Iterator[TableRow | MalformedRow]:
    for line in read_lines(path):
        if isinstance(line, MalformedRow):
            yield line
            continue
        if line.number == 1 and has_header:
            continue
        try:
            cells = _split(line.text, separator)
        except csv.Error as error:
            yield MalformedRow(str(path), line.number, line.text, f"broken quotation ({error}); a row is one line")
            continue
        if len(cells) != len(header):
            fault = f"found {len(cells)} columns, expected {len(header)}: {', '.join(header)}"
            yield MalformedRow(str(path), line.number, line.text, fault)
            continue
        yield TableRow(line.number, dict(zip(header, cells, strict=True)), line.text)


def _split(line: str, separator: str) -> list[str]:
    return line.split("\t") if separator == "\t" else next(csv.reader([line], delimiter=separator, strict=True), [""])

"""Common Voice: sentences read by volunteers into a browser.

Source: Mozilla Common Voice (commonvoice.mozilla.org, now datacollective.mozillafoundation.org), archive
`cv-corpus-<version>-<language>.tar.gz`. Licence: CC0-1.0, with the promise not to try to identify speakers. Layout
(that of lhotse's recipe `commonvoice` and of the archive itself):

    cv-corpus-<version>/hi/clips/common_voice_hi_<number>.mp3
    cv-corpus-<version>/hi/{train,dev,test}.tsv      columns client_id, path, sentence, and others by version

`corpus_dir` is the folder `hi`, named after the language, or one of the two above. The official splits are disjoint by
speaker and are kept;
validated.tsv, other.tsv and invalidated.tsv, which overlap with them or were not confirmed, are not read. Quotation
marks are text. lhotse's recipe is not called: it opens every clip first and drops those that it does not open.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import SPLITS, check_folder, find_folder, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance
from data_prep.corpora.tables import TableRow, read_table

REQUIRED_COLUMNS = ("client_id", "path", "sentence")


def read_common_voice(corpus_dir: Path, language: str = "hi") -> Iterator[Utterance | MalformedRow]:
    """Read train.tsv, dev.tsv and test.tsv, if they exist.

    Args:
        corpus_dir: The folder.
        language: Common Voice's code of the language.

    Raises:
        FileNotFoundError: The folder does not exist, or has none of the three files.
        ValueError: A header lacks a column.
    """
    given = check_folder(corpus_dir)
    versions = [path.name for path in given.glob("cv-corpus-*") if path.is_dir()]
    root = find_folder(find_folder(given, versions if len(versions) == 1 else []), [language])
    paths = {split: root / f"{split}.tsv" for split in SPLITS if (root / f"{split}.tsv").is_file()}
    if not paths:
        raise refuse_layout(root, "common_voice", f"{language}/train.tsv, dev.tsv, test.tsv and clips/")
    expected = "a Common Voice table with client_id, path, sentence"
    tables = {split: read_table(path, REQUIRED_COLUMNS, expected) for split, path in paths.items()}
    return (
        row if isinstance(row, MalformedRow) else _parse_row(row, paths[split], root, split)
        for split, table in tables.items()
        for row in table
    )


def _parse_row(row: TableRow, file: Path, root: Path, split: str) -> Utterance | MalformedRow:
    name = row.cells["path"].strip()
    if not name or "\0" in name:
        return MalformedRow(
            str(file), row.line, row.text, "found a path that is empty or holds a NUL, expected a clip's name"
        )
    path = f"clips/{name}"
    speaker = row.cells["client_id"].strip() or UNKNOWN_SPEAKER
    return Utterance(str(file), row.line, path, str(root / path), row.cells["sentence"], speaker, split)

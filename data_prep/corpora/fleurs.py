"""FLEURS, by language (hi_in): sentences of Wikipedia, each read by up to three speakers.

Source: Google, `google/fleurs` on the Hugging Face Hub (`data/hi_in/`). Licence: CC-BY-4.0. Layouts:

    hi_in/{train,dev,test}.tsv                  the Hub's files, with audio/{train,dev,test}.tar.gz unpacked in place to
    hi_in/audio/{train,dev,test}/<name>.wav
    metadata/hi_in/{train,dev,test}.tsv         what lhotse's recipe `fleurs` writes when it downloads, with
    hi_in/{train,dev,test}/<name>.wav

The tables have no header: id (of the sentence), file name, raw transcription, transcription, the same as characters,
number of samples, gender. The raw transcription is read, and this project's normaliser treats it like the text of
every other corpus. The corpus does not name its speakers; the official splits, disjoint by speaker, are kept. The Hub's
Parquet conversion is read by `corpus=huggingface`. lhotse's recipe is not called: it drops what it does not open.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import SPLITS, check_folder, refuse_layout
from data_prep.corpora.rows import MalformedRow, Utterance
from data_prep.corpora.tables import TableRow, read_table

COLUMNS = ("id", "file_name", "raw_transcription", "transcription", "characters", "num_samples", "gender")


def read_fleurs(corpus_dir: Path, language: str = "hi_in") -> Iterator[Utterance | MalformedRow]:
    """Read the tables of the three splits, if they exist.

    Args:
        corpus_dir: The folder.
        language: FLEURS' code of the language.

    Raises:
        FileNotFoundError: The folder does not exist, or has no table.
    """
    root = check_folder(corpus_dir)
    for folder, tables in (
        (root / language, root / "metadata" / language),
        (root, root.parent / "metadata" / root.name),
        (root / "data" / language, root / "data" / language),
        (root / language, root / language),
        (root, root),
    ):
        paths = {split: tables / f"{split}.tsv" for split in SPLITS if (tables / f"{split}.tsv").is_file()}
        if paths:
            return (row for split, path in paths.items() for row in _read_split(path, folder, split))
    raise refuse_layout(root, "fleurs", f"{language}/train.tsv, dev.tsv, test.tsv and {language}/audio/train/*.wav, …")


def _read_split(path: Path, folder: Path, split: str) -> Iterator[Utterance | MalformedRow]:
    audio = next((place for place in (f"audio/{split}", split) if (folder / place).is_dir()), f"audio/{split}")
    for row in read_table(path, (), "", columns=COLUMNS):
        yield row if isinstance(row, MalformedRow) else _parse_row(row, path, folder, audio, split)


def _parse_row(row: TableRow, file: Path, folder: Path, audio: str, split: str) -> Utterance | MalformedRow:
    name = row.cells["file_name"].strip()
    if not name or "\0" in name:
        return MalformedRow(str(file), row.line, row.text, "the second column is empty, expected a file name")
    path = f"{audio}/{name}"
    return Utterance(str(file), row.line, path, str(folder / path), row.cells["raw_transcription"], split=split)

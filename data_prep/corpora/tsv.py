"""A folder with a `transcripts.tsv`: tab-separated, UTF-8, a header line, no quoting.

Columns, in any order: `path` (audio, relative to the folder) and `text` are required; `speaker`, or else `station`,
says whose voices must not be torn apart by a split; `split` (train, dev, test) is honoured; others, such as
`duration_s` and `sample_rate`, are ignored because the audio itself is measured. Empty lines are skipped.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

TRANSCRIPTS = "transcripts.tsv"
REQUIRED_COLUMNS = ("path", "text")
SPEAKER_COLUMNS = ("speaker", "station")
SPLITS = ("train", "dev", "test")


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
    if not corpus_dir.is_dir():
        raise FileNotFoundError(f"corpus_dir={corpus_dir}: no such folder")
    path = corpus_dir / TRANSCRIPTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; corpus=tsv expects it in corpus_dir")
    return _read_rows(path, corpus_dir.resolve(), _read_header(path))


def _read_header(path: Path) -> list[str]:
    with path.open("rb") as lines:
        try:
            header = [name.strip() for name in lines.readline().decode("utf-8-sig").rstrip("\r\n").split("\t")]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}:1: the header is not UTF-8 ({error}); save the file as UTF-8") from error
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if missing or repeated:
        fault = f"no column {' and no column '.join(missing)}" if missing else f"repeated column {', '.join(repeated)}"
        raise ValueError(
            f"{path}:1: {fault} in the header; found {', '.join(filter(None, header)) or 'nothing'}; "
            "expected path and text, separated by tabs, and where known speaker or station, split"
        )
    return header


def _read_rows(path: Path, corpus_dir: Path, header: list[str]) -> Iterator[Utterance | MalformedRow]:
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.rstrip(b"\r\n")
            if number > 1 and line.strip():
                yield _parse_row(line, str(path), number, corpus_dir, header)


def _parse_row(line: bytes, file: str, number: int, corpus_dir: Path, header: list[str]) -> Utterance | MalformedRow:
    def malformed(detail: str) -> MalformedRow:
        return MalformedRow(file, number, line.decode("utf-8", "replace"), detail)

    try:
        fields = line.decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        return malformed(f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start + 1}; save the file as UTF-8")
    if len(fields) != len(header):
        return malformed(f"found {len(fields)} columns, expected {len(header)}: {', '.join(header)}")
    row = dict(zip(header, fields, strict=True))
    audio = row["path"].strip()
    if not audio or "\0" in audio:
        return malformed(f"path is {'empty' if not audio else 'broken by a NUL character'}, expected an audio file")
    split = row.get("split")
    if split is not None and split not in SPLITS:
        return malformed(f"split is '{split}', expected {', '.join(SPLITS)}")
    speaker = next((row[name].strip() for name in SPEAKER_COLUMNS if name in row), "") or UNKNOWN_SPEAKER
    return Utterance(file, number, audio, str(corpus_dir / audio), row["text"], speaker, split)

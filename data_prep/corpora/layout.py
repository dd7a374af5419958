"""Functions that the corpus readers share: find the folders of a layout, describe a wrong one, read its lines."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.corpora.rows import MalformedRow
from data_prep.lines import check_text_file

SPLITS = ("train", "dev", "test")
SPLIT_NAMES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "eval": "test",
}
_LISTED_NAMES = 8


@dataclass(frozen=True)
class Line:
    """One line of a text file: its number, from 1, and its text without the line end."""

    number: int
    text: str


def check_folder(corpus_dir: Path) -> Path:
    """Return the corpus folder's absolute path.

    Raises:
        FileNotFoundError: It does not exist, or is a file.
    """
    if not corpus_dir.is_dir():
        fault = "found a file, expected a folder" if corpus_dir.exists() else "no such folder"
        raise FileNotFoundError(f"corpus_dir={corpus_dir}: {fault}")
    return corpus_dir.resolve()


def refuse_layout(corpus_dir: Path, corpus: str, expected: str) -> FileNotFoundError:
    """Make the error for a folder with another layout than the corpus: what was expected, and what was found."""
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in corpus_dir.iterdir())
    more = f", … ({len(names)} in all)" if len(names) > _LISTED_NAMES else ""
    found = ", ".join(names[:_LISTED_NAMES]) + more or "nothing"
    return FileNotFoundError(f"{corpus_dir}: not laid out like corpus={corpus}; expected {expected}; found {found}")


def find_folder(corpus_dir: Path, names: Iterable[str]) -> Path:
    """Return the first subfolder of these names that exists, else the folder itself: the user may name either."""
    return next((corpus_dir / name for name in names if (corpus_dir / name).is_dir()), corpus_dir)


def read_lines(path: Path) -> Iterator[Line | MalformedRow]:
    """Yield the lines of a UTF-8 file that are not blank; a byte order mark is dropped, other bytes are malformed.

    Args:
        path: The file.

    Returns:
        An iterator that holds one line at a time.

    Raises:
        ValueError: The whole file is something else than text in UTF-8, such as UTF-16 or gzip.
    """
    check_text_file(path)
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.rstrip(b"\r\n")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                yield Line(number, line.decode("utf-8"))
            except UnicodeDecodeError as error:
                fault = f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start + 1}; save the file as UTF-8"
                yield MalformedRow(str(path), number, line.decode("utf-8", "replace"), fault)


def read_whole(path: Path) -> str | MalformedRow:
    """Return the text of a file that holds one transcript, its lines joined by spaces."""
    try:
        lines = list(read_lines(path))
    except ValueError as error:  # not a text file: one bad transcript, not a bad corpus
        return MalformedRow(str(path), 1, "", str(error))
    broken = next((line for line in lines if isinstance(line, MalformedRow)), None)
    return broken or " ".join(line.text for line in lines if isinstance(line, Line))


def read_keyed_lines(path: Path) -> Iterator[tuple[int, str, str] | MalformedRow]:
    """Yield line number, key and the rest of every line `key rest`, as Kaldi writes them; the rest may be empty."""
    for line in read_lines(path):
        if isinstance(line, MalformedRow):
            yield line
            continue
        key, *rest = line.text.strip().split(maxsplit=1)
        yield line.number, key, rest[0] if rest else ""

"""LibriSpeech: English audio books, 960 hours of training speech.

Source: openslr.org/12, archives `train-clean-100.tar.gz`, `dev-clean.tar.gz` and so on (openslr.org/31, Mini
LibriSpeech, is laid out alike); the official texts for language models are openslr.org/11. Licence: CC-BY-4.0. 16 kHz
FLAC. Layout (of the archives, as lhotse's recipe `librispeech` reads it):

    LibriSpeech/<part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt    `<utterance> <TEXT>` a line, in capitals
    LibriSpeech/<part>/<speaker>/<chapter>/<utterance>.flac

`corpus_dir` is `LibriSpeech`, the folder above it, or one part. The name of a part begins with its split (train, dev,
test), which is kept; a manifest row's `subset` is the part. Texts are in capitals with the apostrophe: `language=en`.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import SPLITS, check_folder, find_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import MalformedRow, Utterance

_TRANSCRIPTS = "*/*/*.trans.txt"


def read_librispeech(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of every part below the folder.

    Raises:
        FileNotFoundError: The folder does not exist, or has no part with transcripts.
    """
    root = find_folder(check_folder(corpus_dir), ["LibriSpeech"])
    candidates = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    parts = [part for part in candidates if _find_split(part) and next(part.glob(_TRANSCRIPTS), None)]
    if not parts:
        raise refuse_layout(
            root,
            "librispeech",
            "train-clean-100/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt and <utterance>.flac",
        )
    return (row for part in parts for row in _read_part(part))


def _find_split(part: Path) -> str | None:
    return next((split for split in SPLITS if part.name.split("-")[0] == split), None)


def _read_part(part: Path) -> Iterator[Utterance | MalformedRow]:
    split = _find_split(part)
    for file in sorted(part.glob(_TRANSCRIPTS)):
        for line in read_keyed_lines(file):
            if isinstance(line, MalformedRow):
                yield line
                continue
            number, name, text = line
            if "/" in name or "\0" in name:
                fault = f"found '{name}', expected the name of an utterance such as 84-121123-0000"
                yield MalformedRow(str(file), number, f"{name} {text}", fault)
                continue
            audio = file.parent / f"{name}.flac"
            path = audio.relative_to(part.parent).as_posix()
            yield Utterance(str(file), number, path, str(audio), text, file.parent.parent.name, split, subset=part.name)

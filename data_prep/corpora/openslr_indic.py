"""Crowd-sourced multi-speaker speech of Indian languages: OpenSLR 63-66 (Malayalam, Marathi, Tamil, Telugu), 78
(Gujarati), 79 (Kannada).

Source: Google (He et al., LREC 2020), `<language>_in_{female,male}.zip` and `line_index_{female,male}.tsv` on
openslr.org. Licence: CC-BY-SA-4.0. 48 kHz WAV. Layout (as unpacked; the index is also inside each archive):

    line_index_female.tsv                       `<file><tab><text>` a line, no header
    <any folder>/<voice>_<speaker>_<number>.wav such as mlf_00464_00094587931.wav

`corpus_dir` is a folder with an index, or one above several such folders. An index's recordings are looked for beside
it and in the folders below it. The first two parts of a name are the speaker. The corpora have no official splits.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from data_prep.corpora.layout import Line, check_folder, read_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

_INDEX = "line_index*.tsv"


def read_openslr_indic(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read every index below the folder.

    Raises:
        FileNotFoundError: The folder does not exist, or has no index.
    """
    root = check_folder(corpus_dir)
    indexes = sorted(root.rglob(_INDEX))
    if not indexes:
        raise refuse_layout(root, "openslr_indic", "line_index_female.tsv and <voice>_<speaker>_<number>.wav")
    return (row for index in indexes for row in _read_index(index, root))


def _read_index(index: Path, root: Path) -> Iterator[Utterance | MalformedRow]:
    recordings = {path.stem: path for path in sorted(index.parent.rglob("*.wav"))}
    for line in read_lines(index):
        yield line if isinstance(line, MalformedRow) else _parse(line, index, root, recordings)


def _parse(line: Line, index: Path, root: Path, recordings: Mapping[str, Path]) -> Utterance | MalformedRow:
    name, tab, text = line.text.partition("\t")
    name = name.strip().removesuffix(".wav")
    if not tab or not name or "/" in name or "\0" in name:
        fault = "expected '<voice>_<speaker>_<number>', a tab and the text"
        return MalformedRow(str(index), line.number, line.text, fault)
    audio = recordings.get(name, index.parent / f"{name}.wav")
    parts = name.split("_")
    speaker = "_".join(parts[:2]) if len(parts) > 2 else UNKNOWN_SPEAKER
    return Utterance(str(index), line.number, audio.relative_to(root).as_posix(), str(audio), text.strip(), speaker)

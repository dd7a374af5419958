"""Crowd-sourced multi-speaker speech of Indian languages: OpenSLR 63 (Malayalam), 64 (Marathi), 65 (Tamil), 66
(Telugu), 78 (Gujarati), 79 (Kannada).

Source: Google (He et al., LREC 2020), `<language>_in_{female,male}.zip` on openslr.org; Marathi has no male speakers.
(OpenSLR 80, of the same makers, is Burmese.) Licence: CC-BY-SA-4.0. 48 kHz WAV. Layout (each archive is one flat
folder; lhotse's recipe `indic_muls` unpacks it into a folder with the archive's name):

    ml_in_female/line_index.tsv                 `<utterance><tab><text>` a line, no header
    ml_in_female/<voice>_<speaker>_<number>.wav such as mlf_00464_00094587931.wav
    line_index_{female,male}.tsv                the same index, as openslr.org offers it beside the archives

`corpus_dir` is a folder with an index, or one above several such folders. An index's recordings are looked for beside
it and in the folders below it. An utterance that two indexes list with one text is read once. Both archives hold a
`line_index.tsv`, so that unpacking them into one folder loses one: recordings without a line are malformed rows. The
first two parts of a name are the speaker. The corpora have no official splits.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import Line, check_folder, read_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

_INDEX = "line_index*.tsv"


def read_openslr_indic(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read every index below the folder, then the recordings that no index lists.

    Raises:
        FileNotFoundError: The folder does not exist, or has no index.
    """
    root = check_folder(corpus_dir)
    indexes = sorted(root.rglob(_INDEX))
    if not indexes:
        raise refuse_layout(root, "openslr_indic", "line_index.tsv and <voice>_<speaker>_<number>.wav")
    return _read_indexes(indexes, root)


def _read_indexes(indexes: list[Path], root: Path) -> Iterator[Utterance | MalformedRow]:
    recordings = sorted(path for path in root.rglob("*.wav") if path.is_file())
    listed: set[tuple[str, str]] = set()  # audio and text; the largest of these corpora has 4,500 utterances
    for index in indexes:
        below = {path.stem: path for path in recordings if path.is_relative_to(index.parent)}
        for line in read_lines(index):
            row = line if isinstance(line, MalformedRow) else _parse(line, index, root, below)
            if isinstance(row, Utterance):
                if (row.audio, row.text) in listed:
                    continue
                listed.add((row.audio, row.text))
            yield row
    named = {audio for audio, _ in listed}
    for path in recordings:
        if str(path) not in named:
            fault = "no line of an index names it; unpack each archive into a separate folder"
            yield MalformedRow(str(path), 1, "", fault)


def _parse(line: Line, index: Path, root: Path, recordings: dict[str, Path]) -> Utterance | MalformedRow:
    name, tab, text = line.text.partition("\t")
    name = name.strip().removesuffix(".wav")
    if not tab or not name or "/" in name or "\0" in name:
        fault = "expected '<voice>_<speaker>_<number>', a tab and the text"
        return MalformedRow(str(index), line.number, line.text, fault)
    audio = recordings.get(name, index.parent / f"{name}.wav")
    parts = name.split("_")
    speaker = "_".join(parts[:2]) if len(parts) > 2 else UNKNOWN_SPEAKER
    return Utterance(str(index), line.number, audio.relative_to(root).as_posix(), str(audio), text.strip(), speaker)

"""Kathbath, twelve languages (150 hours of Hindi), read by crowd workers on their phones.

It is part of IndicSUPERB, with test sets clean and noisy.

Source: AI4Bharat/IndicSUPERB@add9123 (its README names the archives `train_audio.tar`, `valid_audio.tar`,
`testkn_audio.tar`, `testunk_audio.tar`, `transcripts_n2w.tar`, each clean, the tests noisy too). Licence: CC0 for the
packaging, the sentences come from IndicCorp; the Hub's copy says CC-BY-4.0. AAC in m4a.
Layout (as unpacked, and as ESPnet's recipe `kathbath` reads it):

    kb_data_clean_m4a/hindi/{train,valid,test_known,test_unknown}/transcription_n2w.txt      `<file>.m4a<tab><text>`
    kb_data_clean_m4a/hindi/{train,valid,test_known,test_unknown}/audio/<id>-<speaker>-<f|m>.m4a
    kb_data_noisy_m4a/hindi/{test_known,test_unknown}/…                                      the same, noise added

`corpus_dir` is the folder above the `kb_data_…` folders, one of them, `hindi`, or a split in it. valid becomes dev,
both test sets become test, and a manifest row's `subset` tells them apart: `test_known` (speakers who are in train
too), `test_unknown` (speakers who are not), each with `_noisy` where noise was added. To keep one alone, point
`corpus_dir` at it. The Hub's Parquet copy (ai4bharat/Kathbath) is read by `corpus=huggingface`.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import check_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

TRANSCRIPTS = "transcription_n2w.txt"
CONDITIONS = {"kb_data_clean_m4a": "", "kb_data_noisy_m4a": "_noisy"}
SPLITS = {"train": "train", "valid": "dev", "test_known": "test", "test_unknown": "test", "test": "test"}


def read_kathbath(corpus_dir: Path, language: str = "hindi") -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of every split below the folder, clean before noisy.

    Args:
        corpus_dir: The folder.
        language: English name of the language, in lower case: the name of its folder.

    Raises:
        FileNotFoundError: The folder does not exist, or has no `transcription_n2w.txt`.
    """
    root = check_folder(corpus_dir)
    folders = [folder for folder in _list_candidates(root, language) if (folder / TRANSCRIPTS).is_file()]
    if not folders:
        expected = f"kb_data_clean_m4a/{language}/train/{TRANSCRIPTS} and audio/*.m4a beside it"
        raise refuse_layout(root, "kathbath", expected)
    return (row for folder in folders for row in _read_split(folder, root))


def _list_candidates(root: Path, language: str) -> Iterator[Path]:
    if root.name in SPLITS:
        yield root
    for base in (root, root / language, *(root / condition / language for condition in CONDITIONS)):
        yield from (base / split for split in SPLITS)


def _read_split(folder: Path, root: Path) -> Iterator[Utterance | MalformedRow]:
    file, split = str(folder / TRANSCRIPTS), SPLITS[folder.name]
    condition = next((CONDITIONS[parent.name] for parent in folder.parents if parent.name in CONDITIONS), "")
    place = folder.relative_to(root) if folder != root else Path()
    for line in read_keyed_lines(folder / TRANSCRIPTS):
        if isinstance(line, MalformedRow):
            yield line
            continue
        number, name, text = line
        parts = Path(name).stem.split("-")
        if "/" in name or "\0" in name or len(parts) != 3:
            fault = f"found '{name}', expected a file name <id>-<speaker>-<f or m>.m4a"
            yield MalformedRow(file, number, f"{name}\t{text}", fault)
            continue
        audio, speaker = folder / "audio" / name, parts[1] or UNKNOWN_SPEAKER
        path = (place / "audio" / name).as_posix()
        yield Utterance(file, number, path, str(audio), text, speaker, split, subset=f"{folder.name}{condition}")

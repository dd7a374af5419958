"""Gram Vaani Hindi (OpenSLR 118): spontaneous telephone speech of rural callers, for the 2022 Gram Vaani ASR
challenge.

Source: openslr.org/118, `GV_Train_100h.tar.gz`, `GV_Dev_5h.tar.gz`, `GV_Eval_3h.tar.gz` (asr.iitm.ac.in). Licence:
CC-BY-4.0 according to those who list it; see the files that come with it. MP3, mostly 8 kHz, some 16 to 48 kHz. Layout
(as the challenge's participants read it: `GV_<split>/text` and `GV_<split>/Audio/<utterance>.mp3`):

    GV_{Train_100h,Dev_5h,Eval_3h}/text         `<utterance> <text>` a line
    GV_{Train_100h,Dev_5h,Eval_3h}/Audio/<utterance>.mp3
    GV_{…}/mp3.scp, uttids, utt2labels          not needed

`corpus_dir` is the folder above the `GV_…` folders or one of them. The corpus does not name its callers. The official
splits are kept; GV_Unlabeled_1000h has no transcripts and is skipped.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import check_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import MalformedRow, Utterance

FOLDERS = (("GV_Train_", "train"), ("GV_Dev_", "dev"), ("GV_Eval_", "test"))
TRANSCRIPTS = "text"


def read_gramvaani(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of all `GV_…` folders that have some.

    Raises:
        FileNotFoundError: The folder does not exist, or has no `GV_…` folder with a file `text`.
    """
    root = check_folder(corpus_dir)
    candidates = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    folders = [
        (folder, split)
        for prefix, split in FOLDERS
        for folder in candidates
        if folder.name.startswith(prefix) and (folder / TRANSCRIPTS).is_file()
    ]
    if not folders:
        expected = "GV_Train_100h/text, GV_Train_100h/Audio/*.mp3, and the same in GV_Dev_5h and GV_Eval_3h"
        raise refuse_layout(root, "gramvaani", expected)
    return (row for folder, split in folders for row in _read_split(folder, split))


def _read_split(folder: Path, split: str) -> Iterator[Utterance | MalformedRow]:
    file = str(folder / TRANSCRIPTS)
    for line in read_keyed_lines(folder / TRANSCRIPTS):
        if isinstance(line, MalformedRow):
            yield line
            continue
        number, key, text = line
        if "/" in key or "\0" in key:
            yield MalformedRow(file, number, f"{key} {text}", f"found '{key}', expected the name of an utterance")
            continue
        audio = folder / "Audio" / f"{key}.mp3"
        yield Utterance(file, number, f"{folder.name}/Audio/{key}.mp3", str(audio), text, split=split)

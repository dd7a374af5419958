"""MUCS 2021 (OpenSLR 103), Hindi, Marathi and Odia: stories read over the telephone.

It was made for the Interspeech 2021 multilingual ASR challenge.

Source: openslr.org/103, `Hindi_train.tar.gz` and `Hindi_test.tar.gz` (Navana Tech). Licence: the Open Use of Data
Agreement v1.0, see the files that come with it. 8 kHz. Layout (that of the challenge's Kaldi baseline,
navana-tech/baseline_recipe_is21s_indic_asr_challenge@1f08bce):

    Hindi/{train,test}/transcription.txt        `<utterance> <text>` a line
    Hindi/{train,test}/audio/<utterance>.wav

`corpus_dir` is `Hindi`, the folder above it, or `train` or `test` itself. An utterance's name is
`<sentence>_<speaker>`: the part after the underscore is used as the speaker. Many speakers read the same sentences, so
the official test set, which is kept, shares texts with train. The corpus has no official dev set.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import check_folder, find_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

TRANSCRIPTS = "transcription.txt"
SPLITS = ("train", "test")


def read_mucs(corpus_dir: Path, language: str = "Hindi") -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of train and test, if they exist.

    Args:
        corpus_dir: The folder.
        language: English name of the language: the name of its folder.

    Raises:
        FileNotFoundError: The folder does not exist, or has no `transcription.txt`.
    """
    given = check_folder(corpus_dir)
    root = find_folder(given, [language, language.lower()])
    if given.name in SPLITS and (given / TRANSCRIPTS).is_file():
        folders = {given.name: given}
    else:
        folders = {split: root / split for split in SPLITS if (root / split / TRANSCRIPTS).is_file()}
    if not folders:
        raise refuse_layout(
            root, "mucs", f"{language}/train/{TRANSCRIPTS}, {language}/train/audio/*.wav, and the same in test"
        )
    return (row for split, folder in folders.items() for row in _read_split(folder, split))


def _read_split(folder: Path, split: str) -> Iterator[Utterance | MalformedRow]:
    file = str(folder / TRANSCRIPTS)
    for line in read_keyed_lines(folder / TRANSCRIPTS):
        if isinstance(line, MalformedRow):
            yield line
            continue
        number, key, text = line
        if "/" in key or "\0" in key:
            fault = f"found '{key}', expected the name of an utterance such as 0116_061"
            yield MalformedRow(file, number, f"{key} {text}", fault)
            continue
        _, _, speaker = key.partition("_")
        audio = folder / "audio" / f"{key}.wav"
        yield Utterance(file, number, f"{split}/audio/{key}.wav", str(audio), text, speaker or UNKNOWN_SPEAKER, split)

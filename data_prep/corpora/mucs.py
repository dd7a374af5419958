"""MUCS 2021: Hindi, Marathi and Odia stories read over the telephone (OpenSLR 103), and Gujarati, Tamil and Telugu.

It was made for the Interspeech 2021 multilingual ASR challenge. Gujarati, Tamil and Telugu are Microsoft's Speech
Corpus (Indian languages), in its own folders.

Source: openslr.org/103, `Hindi_train.tar.gz` and `Hindi_test.tar.gz` (Navana Tech); Microsoft Research's
`microsoftspeechcorpusindianlanguages`. Licence: the Open Use of Data Agreement v1.0 and Microsoft's own agreement, see
the files that come with each. 8 kHz; Microsoft's 16 kHz. Layout (that of the challenge's Kaldi baseline,
navana-tech/baseline_recipe_is21s_indic_asr_challenge@1f08bce, and of ESPnet's recipe `is21_challenge`):

    Hindi/{train,test}/transcription.txt        `<utterance> <text>` a line
    Hindi/{train,test}/audio/<utterance>.wav
    ta-in-{Train,Test}/transcription.txt        `<utterance><tab><text>` a line
    ta-in-{Train,Test}/Audios/<utterance>.wav

`corpus_dir` is `Hindi`, the folder above it, or `train` or `test` itself (the folder above `ta-in-Train`, or it). An
utterance's name is `<sentence>_<speaker>`: the part after the underscore is used as the speaker; Microsoft's names have
none. Many speakers read the same sentences, so the official test set, which is kept, shares texts with train. The
corpus has no official dev set; Microsoft's third part, Measurement, has no part in the challenge and is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import check_folder, find_folder, read_keyed_lines, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

TRANSCRIPTS = "transcription.txt"
SPLITS = ("train", "test")
_AUDIO_FOLDERS = ("audio", "Audios")


def read_mucs(corpus_dir: Path, language: str = "Hindi") -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of train and test, if they exist.

    Args:
        corpus_dir: The folder.
        language: Name of the language's folder: its English name, or what Microsoft's folders begin with (ta-in).

    Raises:
        FileNotFoundError: The folder does not exist, or has no `transcription.txt`.
    """
    given = check_folder(corpus_dir)
    root = find_folder(given, [language, language.lower()])
    folders = {split: _find_part(given, root, language, split) for split in SPLITS}
    if not any(folders.values()):
        raise refuse_layout(
            root,
            "mucs",
            f"{language}/train/{TRANSCRIPTS} and audio/*.wav (or {language}-Train/ and Audios/), and the same for test",
        )
    return (row for split, folder in folders.items() if folder for row in _read_split(folder, split))


def _find_part(given: Path, root: Path, language: str, split: str) -> Path | None:
    names = (split, f"{language}-{split.capitalize()}")
    if (given / TRANSCRIPTS).is_file():
        return given if given.name in names else None
    return next((root / name for name in names if (root / name / TRANSCRIPTS).is_file()), None)


def _read_split(folder: Path, split: str) -> Iterator[Utterance | MalformedRow]:
    file = str(folder / TRANSCRIPTS)
    place = next((name for name in _AUDIO_FOLDERS if (folder / name).is_dir()), _AUDIO_FOLDERS[0])
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
        audio = folder / place / f"{key}.wav"
        path = f"{split}/{place}/{key}.wav"
        yield Utterance(file, number, path, str(audio), text, speaker or UNKNOWN_SPEAKER, split)

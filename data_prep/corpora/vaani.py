"""Vaani: spontaneous descriptions of pictures from districts all over India, some 2,000 hours of them transcribed.

Source: IISc Bangalore and ARTPARK, `ARTPARK-IISc/Vaani` and `ARTPARK-IISc/Vaani-transcription-part` on the Hugging Face
Hub, after agreement to its conditions. Licence: CC-BY-4.0. Layout (of the two cards):

    audio/<State>/<District>/train-00000-of-00042.parquet       all recordings of a district, in several languages
    audio/<Language>/{train,validation,test}-00000-of-00009.parquet     those with a transcript, by language
    images/…                                                    the pictures, which are not read

`corpus_dir` is the data set's folder, `audio`, or a folder in it. Columns: `audio`, `language`, `transcript`,
`isTranscriptionAvailable` (Yes or No), in newer versions `speakerID`, and others. Rows without a transcript and rows in
another language are counted as `excluded_by_corpus`. Transcripts hold tags such as <noise> and notes in braces, which
are notes for `annotations=`. Where all files are named train, the corpus has no official splits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.corpora.huggingface import read_parquet_folder
from data_prep.corpora.layout import check_folder, find_folder
from data_prep.corpora.rows import MalformedRow, Note, Utterance

_LANGUAGE, _TRANSCRIBED = "language", "isTranscriptionAvailable"


def read_vaani(corpus_dir: Path, language: str = "Hindi") -> Iterator[Utterance | MalformedRow | Note]:
    """Read the recordings of one language in every Parquet file below the folder.

    Args:
        corpus_dir: The folder.
        language: English name of the language, as in the column `language`.

    Raises:
        FileNotFoundError: The folder does not exist, or holds no Parquet file.
        ValueError: A file has no column of audio or text, or no file is a Parquet file.
    """

    def exclude(cells: Mapping[str, Any]) -> str | None:
        if str(cells.get(_TRANSCRIBED, "Yes")).lower() == "no":
            return f"{_TRANSCRIBED} is {cells[_TRANSCRIBED]}"
        if str(cells.get(_LANGUAGE, language)).lower() != language.lower():
            return f"{_LANGUAGE} is {cells[_LANGUAGE]}, not {language}"
        return None

    root = find_folder(find_folder(check_folder(corpus_dir), ["audio"]), [language])
    has_splits = any(not path.name.startswith("train") for path in root.rglob("*.parquet"))
    rows = read_parquet_folder(root, "vaani", others=(_LANGUAGE, _TRANSCRIBED), exclude=exclude)
    return (replace(row, split=None) if isinstance(row, Utterance) and not has_splits else row for row in rows)

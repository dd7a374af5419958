"""IndicVoices, 22 languages: read, extempore and conversational speech from all over India, transcribed verbatim.

Source: AI4Bharat (ai4bharat.iitm.ac.in/datasets/indicvoices, github.com/AI4Bharat/IndicVoices). Licence: CC-BY-4.0.
Layout (that of the archives, as `TGZ/create_indicvoices.py`@34b4672 of that repository reads them):

    Hindi/v<n>/{train,valid}/<recording>.wav
    Hindi/v<n>/{train,valid}/<recording>.json   speaker_id, scenario, …, and lists `verbatim` and `normalized`, which
                                                go together: {"start": s, "end": s, "text": …, "speaker_id": 0 or 1}

`corpus_dir` is `Hindi`, the folder above it, a version in it, or a split. Each item is an utterance, cut out of its
recording; its text is the verbatim one, without the names of noises in square brackets and parentheses.
Items that the corpus's own script drops are counted as `excluded_by_corpus`: those of the interviewer (speaker_id 1)
and those without words. The official splits are kept, valid as dev. What that script writes, manifests of pieces
that are already cut, is read by `corpus=nemo`; the Hub's Parquet copy by `corpus=huggingface`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.arguments import is_number
from data_prep.corpora.layout import SPLIT_NAMES, check_folder, find_folder, refuse_layout
from data_prep.corpora.rows import UNKNOWN_SPEAKER, MalformedRow, Utterance

SPLITS = ("train", "valid", "test")
INTERVIEWER = 1
_NOISE_NAME = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>")


def read_indicvoices(corpus_dir: Path, language: str = "Hindi") -> Iterator[Utterance | MalformedRow]:
    """Read every JSON file of every version and split, and every recording that has none.

    Args:
        corpus_dir: The folder.
        language: English name of the language: the name of its folder.

    Raises:
        FileNotFoundError: The folder does not exist, or has no split with a JSON file.
    """
    root = find_folder(check_folder(corpus_dir), [language, language.lower()])
    folders = [root] if root.name in SPLITS else []
    for split in SPLITS:
        folders += sorted(path for pattern in (split, f"*/{split}") for path in root.glob(pattern) if path.is_dir())
    folders = [folder for folder in folders if next(folder.glob("*.json"), None)]
    if not folders:
        raise refuse_layout(
            root, "indicvoices", f"{language}/v1/train/<recording>.wav and .json, and the same in valid"
        )
    return (row for folder in folders for row in _read_split(folder, root))


def _read_split(folder: Path, root: Path) -> Iterator[Utterance | MalformedRow]:
    names = sorted({path.stem for path in folder.iterdir() if path.suffix in (".json", ".wav")})
    place = folder.relative_to(root)
    for name in names:
        file, audio = folder / f"{name}.json", folder / f"{name}.wav"
        if not file.is_file():
            yield MalformedRow(str(audio), 1, "", f"no transcript {file.name} beside it")
            continue
        try:
            recording = json.loads(file.read_bytes().decode("utf-8-sig"))
            items = list(zip(recording["verbatim"], recording["normalized"], strict=True))
        except (ValueError, KeyError, TypeError) as error:
            fault = f"not a recording's JSON with lists verbatim and normalized of one length ({error!r})"
            yield MalformedRow(str(file), 1, "", fault)
            continue
        speaker = str(recording.get("speaker_id") or UNKNOWN_SPEAKER)
        for number, (verbatim, normalized) in enumerate(items, 1):
            try:
                start, end, text = _parse_item(verbatim, normalized)
            except ValueError as error:
                yield MalformedRow(str(file), number, json.dumps(verbatim, ensure_ascii=False), str(error))
                continue
            if exclusion := _find_exclusion(verbatim, text):
                yield MalformedRow(str(file), number, verbatim["text"], exclusion, "excluded_by_corpus")
                continue
            path, split = (place / audio.name).as_posix(), SPLIT_NAMES[folder.name]
            yield Utterance(str(file), number, path, str(audio), text, speaker, split, start, end - start)


def _parse_item(verbatim: Any, normalized: Any) -> tuple[float, float, str]:
    for item in (verbatim, normalized):
        if not isinstance(item, dict) or not isinstance(item.get("text"), str):
            raise ValueError("no text, expected an item with start, end, text, speaker_id")
    start, end = verbatim.get("start"), verbatim.get("end")
    for value in (start, end):
        if not is_number(value):
            raise ValueError(f"found start {start}, end {end}, expected seconds")
    start = max(float(start), 0.0)  # the corpus has a few just below 0; its own script reads them as 0
    if end <= start:
        raise ValueError(f"found start {start}, end {end}, expected start < end")
    return start, float(end), " ".join(_NOISE_NAME.sub(" ", verbatim["text"]).split())


def _find_exclusion(verbatim: dict[str, Any], text: str) -> str | None:
    if verbatim.get("speaker_id") == INTERVIEWER:
        return "speaker_id 1 is the interviewer"
    return None if text else "no words, only the names of noises"

"""IndicTTS, thirteen languages and Indian English: studio recordings of a few voices each, made for speech synthesis.

Source: IIT Madras, Indic TTS consortium (iitm.ac.in/donlab/indictts/database). Licence: the consortium's own, free for
research and products with attribution, see the agreement that comes with the data; the Hub's copies by SPRINGLab say
CC-BY-4.0 and are read by `corpus=huggingface`. 48 kHz (older sets 44.1 or 16 kHz),
16-bit mono WAV. Layouts (of the two generations of archives; the second as scripts for it read it):

    hindi_{male,female}_mono/wav/<utterance>.wav
    hindi_{male,female}_mono/txt.done.data      festival's, `( <utterance> " <text> " )` a line; or in etc/
    Hindi_{M,F}/wav/<utterance>.wav
    Hindi_{M,F}/txt/<utterance>.txt             a file an utterance

`corpus_dir` is one speaker's folder or the one above several; a folder's name is the speaker. Where a folder's name
holds a language (`hindi_male_english` is English), it is read for that language only. The corpus has no official
splits. CMU Indic has the same layout with `txt.done.data` in `etc/`; lhotse's recipe for it is not called, because it
opens every recording first and drops rows without one.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import check_folder, read_lines, read_whole, refuse_layout
from data_prep.corpora.rows import MalformedRow, Utterance

AUDIO_FOLDERS = ("wav", "wavs")
PROMPTS = ("txt.done.data", "etc/txt.done.data")
TEXT_FOLDER = "txt"
LANGUAGES = (
    "Assamese", "Bengali", "Bodo", "Gujarati", "Hindi", "Kannada", "Malayalam", "Manipuri", "Marathi", "Odia",
    "Punjabi", "Rajasthani", "Tamil", "Telugu",
)  # fmt: skip
_ENGLISH = "English"
_PROMPT = re.compile(r'^\(\s*(?P<name>[^\s"/]+)\s+"(?P<text>.*)"\s*\)$')


def read_indictts(corpus_dir: Path, language: str = "Hindi") -> Iterator[Utterance | MalformedRow]:
    """Read the prompts of every speaker's folder.

    Args:
        corpus_dir: The folder.
        language: English name of the language.

    Raises:
        FileNotFoundError: The folder does not exist, or has no speaker's folder.
    """
    root = check_folder(corpus_dir)
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    folders = [root, *(path for path in inside if _find_language(path.name) in (None, language))]
    speakers = [folder for folder in folders if _find_prompts(folder) or (folder / TEXT_FOLDER).is_dir()]
    if not speakers:
        speaker = f"{language.lower()}_male_mono"
        expected = f"{speaker}/wav/*.wav and {speaker}/txt.done.data (or txt/*.txt)"
        raise refuse_layout(root, "indictts", expected)
    return (row for folder in speakers for row in _read_speaker(folder, root))


def _find_language(folder: str) -> str | None:
    """Find the language that a folder's name holds; English, which speakers of each language read, goes first."""
    return next((name for name in (_ENGLISH, *LANGUAGES) if name.lower() in folder.lower()), None)


def _find_prompts(folder: Path) -> Path | None:
    return next((folder / name for name in PROMPTS if (folder / name).is_file()), None)


def _read_speaker(folder: Path, root: Path) -> Iterator[Utterance | MalformedRow]:
    prompts = _find_prompts(folder)
    audio = next((folder / name for name in AUDIO_FOLDERS if (folder / name).is_dir()), folder / AUDIO_FOLDERS[0])
    place = audio.relative_to(root).as_posix()
    for line in _read_prompts(prompts) if prompts else _read_texts(folder / TEXT_FOLDER):
        if isinstance(line, MalformedRow):
            yield line
            continue
        file, number, name, text = line
        yield Utterance(file, number, f"{place}/{name}.wav", str(audio / f"{name}.wav"), text, folder.name)


def _read_prompts(prompts: Path) -> Iterator[tuple[str, int, str, str] | MalformedRow]:
    for line in read_lines(prompts):
        if isinstance(line, MalformedRow):
            yield line
            continue
        match = _PROMPT.match(line.text.strip())
        if match is None:
            yield MalformedRow(str(prompts), line.number, line.text, 'expected ( utterance "text" )')
            continue
        yield str(prompts), line.number, match["name"], match["text"].strip().replace('\\"', '"')


def _read_texts(folder: Path) -> Iterator[tuple[str, int, str, str] | MalformedRow]:
    for path in sorted(folder.glob("*.txt")):
        text = read_whole(path)
        yield text if isinstance(text, MalformedRow) else (str(path), 1, path.stem, text)

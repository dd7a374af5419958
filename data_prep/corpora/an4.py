"""AN4 (CMU): spelled names, addresses, dates and numbers in US English, the small corpus of many tutorials.

Source: Carnegie Mellon University, `an4_sphere.tar.gz` (also `an4_raw.bigendian.tar.gz`, which has no headers and is
not read). Licence: AN4's own, free for any use. 16 kHz NIST SPHERE. Layout (of the archive, as NeMo's tutorial and
ESPnet's recipe `an4` read it):

    an4/etc/an4_{train,test}.transcription      `<s> TEXT </s> (<utterance>)` a line; test without <s> and </s>
    an4/wav/an4_clstk/<speaker>/<utterance>.sph        the training part
    an4/wav/an4test_clstk/<speaker>/<utterance>.sph    the test part

`corpus_dir` is `an4` or the folder above it. An utterance is named `<code>-<speaker>-b`. The official parts are kept;
there is no official dev part.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_prep.corpora.layout import Line, check_folder, find_folder, read_lines, refuse_layout
from data_prep.corpora.rows import MalformedRow, Utterance

PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
_LINE = re.compile(r"^(?:<s>)?\s*(?P<text>.*?)\s*(?:</s>)?\s*\((?P<name>[^()/\0]+)\)$")
_NAME = re.compile(r"^[^-]+-(?P<speaker>[^-]+)-b$")


def read_an4(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read the transcripts of both parts, if they exist.

    Raises:
        FileNotFoundError: The folder does not exist, or has no transcripts.
    """
    root = find_folder(check_folder(corpus_dir), ["an4"])
    files = {split: root / f"etc/an4_{split}.transcription" for split in PARTS}
    found = {split: file for split, file in files.items() if file.is_file()}
    if not found:
        raise refuse_layout(root, "an4", "etc/an4_train.transcription and wav/an4_clstk/<speaker>/<utterance>.sph")
    return (row for split, file in found.items() for row in _read_part(root, split, file))


def _read_part(root: Path, split: str, file: Path) -> Iterator[Utterance | MalformedRow]:
    for line in read_lines(file):
        if isinstance(line, MalformedRow):
            yield line
            continue
        yield _parse(line, root, split, file)


def _parse(line: Line, root: Path, split: str, file: Path) -> Utterance | MalformedRow:
    match = _LINE.match(line.text.strip())
    name = _NAME.match(match["name"]) if match else None
    if match is None or name is None:
        fault = "expected '<s> TEXT </s> (<code>-<speaker>-b)'"
        return MalformedRow(str(file), line.number, line.text, fault)
    path = f"wav/{PARTS[split]}/{name['speaker']}/{match['name']}.sph"
    return Utterance(str(file), line.number, path, str(root / path), match["text"], name["speaker"], split)

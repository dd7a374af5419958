"""An existing NeMo manifest: one JSON object a line, with audio_filepath and text, and perhaps duration and offset.

Licence: that of the corpus. Layout (NeMo's ASR documentation, "Preparing Custom ASR Data"; what this project and
NVIDIA's speech-data-processor write):

    {"audio_filepath": "audio/a.wav", "duration": 2.5, "text": "…", "speaker": "s1"}
    {"audio_filepath": "bulletin.wav", "offset": 12.5, "duration": 3.0, "text": "…"}

`corpus_dir` is a manifest, or a folder with `train_manifest.json`, `dev_…` (or `valid_…`, `validation_…`), `test_…`,
whose names then give the splits (`.jsonl` is read as well, and so is plain `train.json`); a key `split` in a row goes
before that. Relative audio starts at the manifest's folder. A row with an `offset`, even 0, is a segment of its
recording, `duration` long; without one it is the whole recording, which is measured. `speaker` (or `speaker_id`,
`client_id`) and `subset` are kept, and `channel_selector` (NeMo's name) or `channel` is the row's channel, from 0;
other keys are dropped. `excluded` ("reason: detail", a reason of `rows.EXCLUSIONS`) leaves a row out, with that reason
in the report; `pseudo_label.py` writes it. A row with an empty or absent text is rejected for its text; it is not
malformed. Tarred manifests, whose audio is in archives, are refused.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.arguments import is_number
from data_prep.corpora.columns import SPEAKER_COLUMNS
from data_prep.corpora.layout import SPLIT_NAMES, SPLITS, check_folder, read_lines, refuse_layout
from data_prep.corpora.rows import EXCLUSIONS, UNKNOWN_SPEAKER, MalformedRow, Utterance, parse_channel
from data_prep.manifest import check_manifest_start, resolve_audio_path

CHANNEL_KEYS = ("channel_selector", "channel")
ENDINGS = ("_manifest.json", "_manifest.jsonl", ".json", ".jsonl")


def read_nemo(corpus_dir: Path) -> Iterator[Utterance | MalformedRow]:
    """Read one manifest, or those of the splits.

    Raises:
        FileNotFoundError: The file or folder does not exist, or has no manifest.
    """
    if corpus_dir.is_file():
        return _read_manifest(corpus_dir.resolve(), None)
    root = check_folder(corpus_dir)
    names = {f"{name}{ending}": split for name, split in SPLIT_NAMES.items() for ending in ENDINGS}
    manifests = [(root / name, split) for name, split in names.items() if (root / name).is_file()]
    if not manifests:
        raise refuse_layout(root, "nemo", "a manifest as corpus_dir, or train_manifest.json, dev_…, test_… in it")
    return (row for path, split in manifests for row in _read_manifest(path, split))


def _read_manifest(path: Path, split: str | None) -> Iterator[Utterance | MalformedRow]:
    check_manifest_start(path)
    for line in read_lines(path):
        if isinstance(line, MalformedRow):
            yield line
            continue
        try:
            yield _parse_row(line.text, line.number, path, split)
        except ValueError as error:
            yield MalformedRow(str(path), line.number, line.text, str(error))


def _parse_row(text: str, number: int, manifest: Path, split: str | None) -> Utterance:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ValueError(f"found no line of JSON ({error}), expected one object a line") from error
    if not isinstance(row, dict):
        raise ValueError(f"found {type(row).__name__}, expected a JSON object")
    path = row.get("audio_filepath")
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"found audio_filepath {json.dumps(path, ensure_ascii=False)}, expected a path")
    if "shard_id" in row:
        raise ValueError("found the shard_id of a tarred manifest; give the manifest it was made from")
    if not isinstance(row.get("text", ""), (str, type(None))):
        raise ValueError(f"found text {json.dumps(row['text'], ensure_ascii=False)}, expected a text")
    split = row.get("split") or split
    if split is not None and split not in SPLITS:
        raise ValueError(f"found split '{split}', expected {', '.join(SPLITS)}")
    offset, duration = _get_seconds(row, "offset"), _get_seconds(row, "duration")
    if offset is None:
        duration = None
    audio = resolve_audio_path(path, manifest)
    speaker = next((str(row[key]) for key in SPEAKER_COLUMNS if row.get(key)), UNKNOWN_SPEAKER)
    channel, subset = get_channel(row), row.get("subset")
    file, subset = str(manifest), str(subset) if subset else None
    place = (file, number, path, str(audio), row.get("text") or "", speaker, split, offset, duration)
    return Utterance(*place, subset=subset, channel=channel, excluded=_get_exclusion(row))


def _get_exclusion(row: dict[str, Any]) -> tuple[str, str] | None:
    value = row.get("excluded")
    if value is None:
        return None
    reason, _, detail = str(value).partition(": ")
    if reason not in EXCLUSIONS:
        raise ValueError(f"found excluded '{value}', expected 'reason: detail' with one of {', '.join(EXCLUSIONS)}")
    return reason, detail


def get_channel(row: dict[str, Any]) -> int | None:
    """Return the channel that a manifest row chooses, from 0; `None` if it chooses none or their average.

    Raises:
        ValueError: The choice is something else.
    """
    value = next((row[key] for key in CHANNEL_KEYS if row.get(key) is not None), None)
    return None if value == "average" else parse_channel(value)


def _get_seconds(row: dict[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if not is_number(value) or value < 0:
        raise ValueError(f"found {key} {json.dumps(value)}, expected a number of seconds")
    return float(value)

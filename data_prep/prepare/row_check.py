"""Checks one row of a NeMo manifest, and repairs faults that have only one repair."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from data_prep.arguments import is_number
from data_prep.audio.measures import measure_audio
from data_prep.audio.reader import SAMPLE_RATE_HZ, Audio, AudioError, AudioReader
from data_prep.corpora import Utterance
from data_prep.corpora.nemo import CHANNEL_KEYS, get_channel
from data_prep.languages.language import load_language
from data_prep.languages.union import LANGUAGE_KEY, find_member
from data_prep.manifest import parse_manifest_line, resolve_audio_path
from data_prep.prepare.causes import find_cause
from data_prep.prepare.verdicts import describe_rejection
from data_prep.prepare.work_units import check_file, name_converted, write_converted
from data_prep.selection.quality import QualityLimits, check_utterance
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy

REPAIRS = {
    "wrong_duration": "the duration is missing or differs from the audio's",
    "not_normalized": "the text is not normalised",
    "wrong_format": "the audio is not 16 kHz mono 16-bit WAV or FLAC",
}
DURATION_TOLERANCE_S = 0.011  # manifests round to two digits


@dataclass(frozen=True)
class CheckSettings:
    """Settings that the check of a row depends on.

    Attributes:
        manifest: The manifest.
        audio_dir: Folder below which repaired audio is written; `None` to repair none.
        alphabet: The allowed characters.
        limits: The limits of what is kept.
        policy: What is rewritten in a text and what is rejected.
    """

    manifest: Path
    audio_dir: Path | None
    alphabet: tuple[str, ...]
    limits: QualityLimits
    policy: TextPolicy


def check_lines(task: tuple[CheckSettings, list[tuple[int, bytes]]]) -> list[dict[str, Any]]:
    """Check some lines of a manifest, each with its number.

    Returns:
        For each: `{"kept": repaired row, "measures", "repairs", …}`, or `{"rejected": row of rejected.jsonl, …}`.

    Raises:
        ValueError: The manifest is a tarred one.
    """
    settings, lines = task
    with tempfile.TemporaryDirectory() as scratch, AudioReader(Path(scratch)) as reader:
        return [_check_line(line, number, settings, reader) for number, line in lines]


def _check_line(line: bytes, number: int, settings: CheckSettings, reader: AudioReader) -> dict[str, Any]:
    place: dict[str, Any] = {"file": str(settings.manifest), "line": number}
    try:
        row = parse_manifest_line(line, f"{settings.manifest}:{number}", ("audio_filepath", "text"))
    except ValueError as error:
        text = line.decode("utf-8", "replace").strip()
        detail = str(error).removeprefix(f"{settings.manifest}:{number}: ")
        return {"rejected": describe_rejection("malformed_row", detail, {**place, "path": None, "text": text})}
    if "shard_id" in row:
        raise ValueError(f"{settings.manifest}:{number}: found a tarred manifest; check the manifest it was made from")
    place |= {"path": row["audio_filepath"], "text": row["text"]}
    outcome = _check_row(row, settings, reader)
    if isinstance(outcome, tuple):
        audio = resolve_audio_path(row["audio_filepath"], settings.manifest)
        cause = find_cause(
            outcome[0], Utterance(str(settings.manifest), number, place["path"], str(audio), row["text"])
        )
        return {"rejected": describe_rejection(*outcome, place), **({"cause": cause} if cause else {})}
    return {**outcome, **place}


def _check_row(row: dict[str, Any], settings: CheckSettings, reader: AudioReader) -> dict[str, Any] | tuple[str, str]:
    """Return the repaired row with its repairs and measures, or (reason, detail)."""
    code = load_language(settings.policy.language).code
    if find_member((code,), row.get(LANGUAGE_KEY, code)) is None:
        return "other_language", f"lang is {row[LANGUAGE_KEY]}, language is {code}"
    path = resolve_audio_path(row["audio_filepath"], settings.manifest)
    if fault := check_file(path):
        return fault
    for name in ("offset", "duration"):
        value = row.get(name)
        if value is not None and not (is_number(value) and value >= 0):
            return "malformed_row", f"found {name} {json.dumps(value)}, expected a number of seconds"
    try:
        channel = get_channel(row)
    except ValueError as error:
        return "malformed_row", str(error)
    start = row.get("offset") or None
    length = row.get("duration") if start else None
    try:
        audio = reader.read(str(path), start, length, None, settings.limits.max_duration, channel)
    except AudioError as error:
        return error.reason, str(error)
    text, measures = normalize_text(row["text"], settings.policy), measure_audio(audio.samples, audio.source)
    if fault := check_utterance(measures, text, settings.alphabet, settings.limits, settings.policy):
        return fault
    place = Utterance("", 0, str(path), str(path), text, offset=start, duration=length, channel=channel)
    fixed, repairs = _repair(row, place, audio, settings)
    return {
        "kept": fixed,
        "measures": measures.as_row(),
        "repairs": repairs,
        "audio": {"audio": str(path), "channel": channel},
    }


def _repair(
    row: dict[str, Any], place: Utterance, audio: Audio, settings: CheckSettings
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the repaired row and its repairs, each with what was found."""
    duration, stated = len(audio.samples) / SAMPLE_RATE_HZ, row.get("duration")
    fixed = {**row, "audio_filepath": place.audio, "duration": duration, "text": place.text}
    if "speaker" in row:
        fixed["speaker"] = str(row["speaker"])
    repairs = []
    if stated is None or abs(stated - duration) > DURATION_TOLERANCE_S:
        found = "none" if stated is None else f"{stated:g} s"
        repairs.append(("wrong_duration", f"{found}, the audio has {duration:.3f} s"))
    elif place.offset:
        fixed["duration"] = stated
    if place.text != row["text"]:
        repairs.append(("not_normalized", f"'{row['text']}' becomes '{place.text}'"))
    if fault := _describe_format(Path(place.audio)) or audio.note:
        repairs.append(("wrong_format", fault))
        if settings.audio_dir:
            converted = name_converted(place)
            write_converted(settings.audio_dir / converted, audio.samples)
            fixed |= {"audio_filepath": str(converted), "duration": duration}
            for key in ("offset", *CHANNEL_KEYS):
                fixed.pop(key, None)
    return fixed, repairs


def _describe_format(path: Path) -> str | None:
    """Say why audio cannot be used unchanged, for segments as for whole files; `None` if it can.

    The header is enough for rate, channels and encoding. Lengths come from the samples: `Audio.note` says where a
    header gives another one, which NeMo's readers would believe.
    """
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return f"{path.suffix or 'a format'} that libsndfile does not read"
    if (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16"):
        return None if info.format in ("WAV", "WAVEX", "FLAC") else info.format
    return f"{info.samplerate} Hz, {info.channels} channels, {info.format} {info.subtype}"

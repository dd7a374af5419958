"""One row of a file of references or predictions, and the reader of each file format."""

import contextlib
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.arguments import is_number, require_number
from data_prep.manifest import parse_manifest_line
from nemo_models.evaluation.references import Reference, read_reference

AUDIO_KEYS = ("audio_filepath", "audio_file", "audio", "path", "id", "utterance", "utt")
TEXT_KEYS = ("text", "reference", "sentence", "transcript", "transcription")
PREDICTION_KEYS = ("pred_text", "hypothesis", "prediction", "hyp", "transcribed_text")
SPEAKER_KEYS = ("speaker", "speaker_id", "client_id", "spk")
DURATION_KEYS = ("duration", "duration_s")
FINGERPRINT_KEY = "normalizer_fingerprint"


@dataclass(frozen=True)
class TimedWord:
    """A recognised word: its text, seconds from the beginning of the utterance, and its confidence (0 … 1) if known."""

    word: str
    start_s: float
    end_s: float
    confidence: float | None = None


@dataclass(frozen=True)
class Row:
    """One utterance in a file of references or predictions.

    Attributes:
        place: `path:line`, for messages.
        audio: The recording or the utterance's name, as written.
        offset_s: Beginning of the utterance in the recording.
        duration_s: Its length; `None` if it is not known.
        speaker: Who speaks; `None` if it is not known.
        reference: What was said; `None` if the file does not say.
        hypothesis: What was recognised; `None` if the file does not say.
        words: The hypothesis' words with their times, as many as words in its text, or empty.
        error: Why an utterance could not be recognised, as our transcripts tell.
        fields: Everything else in the row.
    """

    place: str
    audio: str
    offset_s: float = 0.0
    duration_s: float | None = None
    speaker: str | None = None
    reference: Reference | None = None
    hypothesis: str | None = None
    words: tuple[TimedWord, ...] = ()
    error: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Keys:
    """Names of the fields to read: `text` and `pred_text` where they are `None`, or one of their common other names."""

    text: str | None = None
    prediction: str | None = None


def read_rows(path: Path, keys: Keys = Keys()) -> list[Row]:
    """Read a file of references, predictions or both.

    Args:
        path: JSON lines (`.json`, `.jsonl`, any name), a table with header (`.tsv`, `.csv`), `.stm`, `.trn` or `.ctm`.
        keys: Names of the fields.

    Returns:
        Its rows. Of a `.ctm`: one for each recording and channel, its words timed from the recording's beginning.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The format is not known, a line cannot be read, or there is no row.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None and _holds_json(path):
        reader = _read_json_lines
    if reader is None:
        raise ValueError(f"{path}: found {path.suffix or 'no ending'}, expected one of {', '.join(_READERS)}")
    rows = reader(path, keys)
    if not rows:
        raise ValueError(f"{path}: found no row, expected one for each utterance")
    return rows


def _holds_json(path: Path) -> bool:
    """Tell JSON lines by their first character, for manifests of other names."""
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _read_json_lines(path: Path, keys: Keys) -> list[Row]:
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                place = f"{path}:{number}"
                rows.append(_make_row(parse_manifest_line(line, place, ()), place, keys))
    return rows


def _read_table(path: Path, keys: Keys) -> list[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as lines:
        text = (line.rstrip("\r\n") for line in lines) if delimiter == "\t" else lines
        is_tsv = delimiter == "\t"  # quotes are letters there
        table = csv.reader(text, "excel-tab", quoting=csv.QUOTE_NONE) if is_tsv else csv.reader(text)
        header = next(table, [])
        rows = []
        for number, cells in enumerate(table, 2):
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise ValueError(f"{path}:{number}: found {len(cells)} columns, expected the header's {len(header)}")
            fields: dict[str, Any] = dict(zip(header, cells, strict=True))
            rows.append(_make_row(fields, f"{path}:{number}", keys))
    return rows


def _make_row(fields: Mapping[str, Any], place: str, keys: Keys) -> Row:
    audio = _first(fields, AUDIO_KEYS)
    if audio is None:
        raise ValueError(f"{place}: found {', '.join(fields) or 'no field'}, expected one of {', '.join(AUDIO_KEYS)}")
    text_key = _choose_key(fields, keys.text, TEXT_KEYS)
    prediction_key = _choose_key(fields, keys.prediction, PREDICTION_KEYS) or _only_postfixed(fields)
    hypothesis = fields.get(f"{prediction_key}_spoken", fields.get(prediction_key)) if prediction_key else None
    if hypothesis is not None and not isinstance(hypothesis, str):
        raise ValueError(f"{place}: {prediction_key}: found {hypothesis!r}, expected a text")
    reference = None
    if (text_key and isinstance(fields.get(text_key), str)) or fields.get("variations") is not None:
        try:
            reference = read_reference(fields, text_key or "text")
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    error_text = fields.get("error")
    speaker = _first(fields, SPEAKER_KEYS)
    return Row(
        place,
        str(audio),
        _number(fields.get("offset"), place, "offset") or 0.0,
        _number(_first(fields, DURATION_KEYS), place, "duration"),
        None if speaker is None else str(speaker),
        reference,
        hypothesis,
        _read_words(fields.get("words"), hypothesis),
        str(error_text) if error_text else None,
        {key: value for key, value in fields.items() if key not in ("words", text_key, prediction_key)},
    )


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _choose_key(fields: Mapping[str, Any], chosen: str | None, names: Sequence[str]) -> str | None:
    return chosen if chosen is not None else next((name for name in names if name in fields), None)


def _only_postfixed(fields: Mapping[str, Any]) -> str | None:
    """Return `pred_text_<model>`, as `append_pred=true` writes it, where there is one such key."""
    names = [key for key in fields if key.startswith("pred_text_") and not key.endswith("_spoken")]
    return names[0] if len(names) == 1 else None


def _number(value: Any, place: str, name: str) -> float | None:
    if value is None or value == "":
        return None
    with contextlib.suppress(ValueError):
        value = float(value) if isinstance(value, str) else value
    require_number(f"{place}: {name}", value, least=0)
    return float(value)


def _read_words(words: Any, hypothesis: str | None) -> tuple[TimedWord, ...]:
    """Read our transcripts' `words`; none if they are not the hypothesis' words one by one."""
    if not isinstance(words, list) or hypothesis is None or len(words) != len(hypothesis.split()):
        return ()
    found = []
    for word in words:
        if not isinstance(word, dict) or not all(is_number(word.get(key)) for key in ("start", "end")):
            return ()
        confidence = word.get("confidence")
        found.append(
            TimedWord(
                str(word.get("word", "")), word["start"], word["end"], confidence if is_number(confidence) else None
            )
        )
    return tuple(found)


def _read_stm(path: Path, keys: Keys) -> list[Row]:
    """<file> <channel> <speaker> <begin> <end> [<label>] words"""
    rows = []
    for place, line in _lines(path, ";;"):
        columns = line.split(maxsplit=5)
        if len(columns) < 5:
            raise ValueError(
                f"{place}: found {len(columns)} columns, expected file, channel, speaker, begin, end, text"
            )
        text = re.sub(r"^<[^>]*>\s*", "", columns[5]) if len(columns) > 5 else ""
        if text.strip().upper() == "IGNORE_TIME_SEGMENT_IN_SCORING":
            continue
        begin, end = (
            _number(value, place, name) or 0.0 for value, name in zip(columns[3:5], ("begin", "end"), strict=True)
        )
        fields = {"channel": columns[1]}
        rows.append(Row(place, columns[0], begin, end - begin, columns[2], Reference(text), fields=fields))
    return rows


def _read_trn(path: Path, keys: Keys) -> list[Row]:
    """words (speaker-utterance): references and hypotheses look alike, so each row is both."""
    rows = []
    for place, line in _lines(path, ";;"):
        match = re.fullmatch(r"(?s)(.*)\(([^()]+)\)\s*", line)
        if match is None:
            raise ValueError(
                f"{place}: found no (utterance) at the end of the line, expected words (speaker-utterance)"
            )
        name, text = match[2].strip(), match[1].strip()
        speaker = re.split("[-_]", name)[0] if re.search("[-_]", name) else None
        rows.append(Row(place, name, speaker=speaker, reference=Reference(text), hypothesis=text))
    return rows


def _read_ctm(path: Path, keys: Keys) -> list[Row]:
    """<file> <channel> <begin> <duration> <word> [<confidence>]"""
    words: dict[tuple[str, str], list[TimedWord]] = {}
    places: dict[tuple[str, str], str] = {}
    for place, line in _lines(path, ";;"):
        columns = line.split()
        if len(columns) not in (5, 6):
            raise ValueError(f"{place}: found {len(columns)} columns, expected file, channel, begin, duration, word")
        begin, duration = (_number(value, place, "time") or 0.0 for value in columns[2:4])
        confidence = _number(columns[5], place, "confidence") if len(columns) == 6 and columns[5] != "NA" else None
        key = (columns[0], columns[1])
        places.setdefault(key, place)
        words.setdefault(key, []).append(TimedWord(columns[4], begin, begin + duration, confidence))
    rows = []
    for (audio, channel), found in words.items():
        in_order = tuple(sorted(found, key=lambda word: word.start_s))
        text = " ".join(word.word for word in in_order)
        fields = {"channel": channel}
        rows.append(Row(places[audio, channel], audio, hypothesis=text, words=in_order, fields=fields))
    return rows


def _lines(path: Path, comment: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip() and not line.startswith(comment):
            yield f"{path}:{number}", line.strip()


_READERS: dict[str, Callable[[Path, Keys], list[Row]]] = {
    ".json": _read_json_lines,
    ".jsonl": _read_json_lines,
    ".tsv": _read_table,
    ".csv": _read_table,
    ".stm": _read_stm,
    ".trn": _read_trn,
    ".ctm": _read_ctm,
}

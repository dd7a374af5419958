"""Reading and writing NeMo manifests and other JSON, in UTF-8; files are written completely or not at all."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.arguments import is_number
from data_prep.atomic import open_atomic
from data_prep.lines import check_text_file

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MANIFEST_KEYS = ("audio_filepath", "duration", "text")
_TYPES: dict[str, tuple[Any, str]] = {
    "audio_filepath": (str, "a path"),
    "duration": ((int, float), "a number of seconds"),
    "text": (str, "a text"),
}


def read_manifest(path: str | Path, required_keys: Sequence[str] = MANIFEST_KEYS) -> list[dict[str, Any]]:
    """Read a NeMo manifest: one JSON object a line, empty lines ignored.

    Args:
        path: The manifest.
        required_keys: Keys that every row must have.

    Returns:
        The rows, in order, all keys kept. `audio_filepath` is as written; see `resolve_audio_path`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a text file with one object a line, or a line is not a JSON object, lacks a required
            key, or has a wrong type in it (`path:line: …`).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest")
    check_manifest_start(path)
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                rows.append(parse_manifest_line(line, f"{path}:{number}", required_keys))
    return rows


def check_manifest_start(path: Path) -> None:
    """Refuse a file that is not a manifest as a whole, by its first bytes.

    Raises:
        ValueError: The file is not text in UTF-8, or is one JSON array.
    """
    check_text_file(path)
    with path.open("rb") as content:
        start = content.read(256).removeprefix(BYTE_ORDER_MARK).lstrip()
    line = start.partition(b"\n")[0].strip()
    if line == b"[" or line.startswith((b"[{", b"[ {")):
        raise ValueError(f"{path}: found one JSON array, expected one object a line; convert it: jq -c '.[]'")


def resolve_audio_path(audio_filepath: str, manifest_path: str | Path) -> Path:
    """Return the path of a row's audio; a relative path starts at the manifest's folder, as in NeMo."""
    return Path(manifest_path).resolve().parent / Path(audio_filepath).expanduser()


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines. The file is complete or absent; its folder is made if needed."""
    with open_atomic(Path(path)) as out:
        for row in rows:
            out.write(encode_json(row) + b"\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write one indented JSON value. The file is complete or absent; its folder is made if needed."""
    with open_atomic(Path(path)) as out:
        out.write(encode_json(value, indent=2) + b"\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8. The file is complete or absent; its folder is made if needed."""
    with open_atomic(Path(path)) as out:
        out.write(text.encode("utf-8"))


def parse_manifest_line(line: bytes, where: str, required_keys: Sequence[str]) -> dict[str, Any]:
    """Parse one line of a manifest; `where` (`path:line`) begins the message of a bad one's ValueError."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{where}: found no line of JSON in UTF-8 ({error}), expected one object a line") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where}: found {type(row).__name__}, expected a JSON object with {', '.join(required_keys)}")
    missing = [key for key in required_keys if key not in row]
    if missing:
        raise ValueError(f"{where}: found {', '.join(row) or 'no key'}, expected {', '.join(missing)} too")
    for key in required_keys:
        kind, name = _TYPES.get(key, (object, ""))
        if not isinstance(row[key], kind) or (key == "duration" and not _is_duration(row[key])):
            raise ValueError(f"{where}: found {key} {json.dumps(row[key], ensure_ascii=False)}, expected {name}")
    return row


def _is_duration(value: Any) -> bool:
    return is_number(value) and value >= 0


def encode_json(value: Any, indent: int | None = None) -> bytes:
    """Encode as JSON in UTF-8, Devanagari without escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, e.g. of a file name that is not UTF-8, needs an escape
        return json.dumps(value, indent=indent).encode("ascii")

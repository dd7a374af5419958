"""Causes that make many rows fail: recognised in a worker and reported once, each with a remedy."""

import os
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.corpora import Utterance
from data_prep.file_kinds import FileKind, identify_file
from data_prep.lines import REMEDIES
from data_prep.text.verdict import TEXT_REASONS

# Code -> (what was found, what to do); `{example}` is one row's finding.
CAUSES = {
    "backslashes": ("audio paths with backslashes", "write / instead of \\ in the paths"),
    "unicode_form": ("audio paths in another Unicode form than the file names", "write the paths as {example}"),
    "letter_case": ("audio paths in another letter case than the file names", "write the paths as {example}"),
    "missing_folder": ("audio paths that lack a folder", "write the paths as {example}"),
    "surplus_folder": ("audio paths with folders that are not there", "write the paths as {example}"),
    "other_suffix": ("audio paths with another suffix than the file names", "write the paths as {example}"),
    "archive": ("audio whose folder holds an archive that is not unpacked", "unpack {example}"),
    "lfs_pointer": ("Git-LFS pointers instead of audio", "fetch the files: git lfs pull"),
    "web_page": ("web pages saved as audio", "download the files again; log in first if the site asks for it"),
    "packed": ("compressed files ({example}) under the names of audio", "unpack them"),
    "mojibake": ("texts in UTF-8 that were decoded as another encoding", "take the texts from the original; {example}"),
    "replacement_characters": ("texts with U+FFFD, damaged when they were decoded", "take the texts from the original"),
    "question_marks": ("texts with question marks instead of letters", "take the texts from the original"),
    "channel_numbers": (
        "channel numbers that the recordings lack",
        "channels are numbered from 0: if yours begin at 1, write one less in every row, also in those that were kept",
    ),
    "conflicting_text": ("audio that is listed with two texts", "correct one; {example}"),
}
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
_MOST_FOLDERS = 200  # subfolders in which a missing file is looked for
_MISREAD_STARTS = ("à¤", "à¥")  # the first two bytes of every Devanagari letter in UTF-8, read as Windows-1252

Finding = Sequence[str]  # code, example


def find_cause(reason: str, row: Utterance) -> Finding | None:
    """Recognise why a row was rejected.

    Args:
        reason: The reason code.
        row: The row.

    Returns:
        (key of `CAUSES`, an example for its message); `None` if nothing general is recognised.
    """
    with suppress(OSError, ValueError):  # names that are too long, NUL
        if reason == "missing_audio":
            return _find_path_cause(row)
        if reason == "missing_channel":
            return "channel_numbers", ""
        if reason == "unreadable_audio" and row.row is None:
            return _find_content_cause(Path(row.audio))
    return _find_text_cause(row.text) if reason in TEXT_REASONS else None


class CauseCounts:
    """Counts findings by cause, and keeps the first example of each."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}

    def add(self, finding: Sequence[str]) -> None:
        """Count one finding: cause, example."""
        cause, example = finding
        self._counts[cause] = self._counts.get(cause, 0) + 1
        self._examples.setdefault(cause, example)

    def describe(self) -> list[dict[str, Any]]:
        """Describe each cause once, the most frequent one first: `cause`, `rows`, `message`."""
        found = []
        for cause, rows in sorted(self._counts.items(), key=lambda item: (-item[1], item[0])):
            kind, remedy = (part.replace("{example}", self._examples[cause]) for part in CAUSES[cause])
            found.append({"cause": cause, "rows": rows, "message": f"{rows} rows: found {kind}; {remedy}"})
        return found


def _find_path_cause(row: Utterance) -> Finding | None:
    if "\\" in row.path:
        return "backslashes", ""
    audio = Path(row.audio)
    if spelling := _find_spelling(audio):
        form = unicodedata.normalize("NFC", str(audio)) == unicodedata.normalize("NFC", spelling)
        return ("unicode_form" if form else "letter_case"), f"'{_shorten(spelling, row)}' is on the disk"
    if folder := _find_missing_folder(audio):
        return "missing_folder", f"'{_shorten(folder, row)}'"
    root = Path(row.audio[: -len(row.path)]) if row.audio.endswith(f"/{row.path}") else Path(row.file).parent
    parts = Path(row.path.lstrip("/")).parts
    for at in range(1, len(parts)):
        if (root / Path(*parts[at:])).is_file():
            return "surplus_folder", f"'{Path(*parts[at:])}'"
    stems = _read_folder(str(audio.parent)).stems
    alike = stems.get(audio.name) or stems.get(audio.stem)
    if alike:
        return "other_suffix", f"'{_shorten(str(audio.with_name(alike)), row)}'"
    archive = _find_archive(audio, root)
    return ("archive", f"'{archive}'") if archive else None


def _shorten(path: str, row: Utterance) -> str:
    return path[len(row.audio) - len(row.path) :] if row.audio.endswith(f"/{row.path}") else path


def _find_spelling(path: Path) -> str | None:
    """Return the existing file whose path differs in Unicode form or letter case only."""
    found = Path(path.anchor)
    for part in path.parts[1:]:
        if not (found / part).exists():
            part = _read_folder(str(found)).folded.get(_fold(part), "")
            if not part:
                return None
        found /= part
    return str(found) if found != path and found.is_file() else None


def _find_missing_folder(path: Path) -> str | None:
    """Return the existing file whose path has one more folder, where the given path stops existing."""
    existing = next((parent for parent in path.parents if parent.is_dir()), None)
    if existing is None or existing == Path(path.anchor):
        return None
    rest = path.relative_to(existing)
    folders = (name for name in _read_folder(str(existing)).folders if (existing / name / rest).is_file())
    return next((str(existing / name / rest) for name in folders), None)


def _find_archive(audio: Path, root: Path) -> str | None:
    """Return an archive in the folders from the corpus to the missing file."""
    for folder in (parent for parent in audio.parents if parent.is_relative_to(root)):
        if folder.is_dir():
            names = (entry.name for entry in sorted(folder.iterdir()) if entry.name.lower().endswith(_ARCHIVES))
            if archive := next(names, None):
                return str((folder / archive).relative_to(root))
    return None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class _Folder(NamedTuple):
    """A folder's names by folded name and by stem, and its first subfolders."""

    folded: dict[str, str]
    stems: dict[str, str]
    folders: tuple[str, ...]


def _read_folder(path: str) -> _Folder:
    try:
        return _read_unchanged_folder(path, Path(path).stat().st_mtime_ns)
    except OSError:
        return _Folder({}, {}, ())


@lru_cache(maxsize=64)
def _read_unchanged_folder(path: str, _modified_ns: int) -> _Folder:
    with os.scandir(path) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    names = [name for name, _ in found]
    folders = tuple(name for name, is_folder in found if is_folder)[:_MOST_FOLDERS]
    return _Folder({_fold(name): name for name in names}, {Path(name).stem: name for name in names}, folders)


def _find_content_cause(audio: Path) -> Finding | None:
    kind = identify_file(audio)
    if kind == FileKind.LFS_POINTER:
        return "lfs_pointer", ""
    with audio.open("rb") as content:
        is_json = content.read(1) in (b"{", b"[")  # the error message of a web service
    if kind == FileKind.HTML or is_json:
        return "web_page", ""
    return ("packed", kind.value) if kind in REMEDIES and kind is not None else None


def _find_text_cause(text: str) -> Finding | None:
    if any(start in text for start in _MISREAD_STARTS):
        original = b"".join(map(_encode_misread, text)).decode("utf-8", "ignore")
        return "mojibake", f"'{original[:40]}' was meant"
    if "\ufffd" in text:
        return "replacement_characters", ""
    letters = [char for char in text if not char.isspace()]
    return ("question_marks", "") if letters and letters.count("?") > len(letters) / 2 else None


def _encode_misread(char: str) -> bytes:
    """Return the byte that was read as this character; Windows-1252 leaves five bytes to Latin-1."""
    try:
        return char.encode("cp1252")
    except UnicodeEncodeError:
        return char.encode("latin-1", "ignore")

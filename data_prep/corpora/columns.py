"""Finds the columns of a table: by the user's choice, else by the first usual name; other columns are reported."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from data_prep.arguments import require_choice
from data_prep.corpora.rows import Note

ROLES = ("path", "text", "speaker", "split", "channel")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "speakerID", "client_id", "spk_id", "station")
_LIKE_A_SPEAKER = re.compile(r"spea?k|spk|client|talker|reader|user|voice|station", re.IGNORECASE)
_NOT_A_SPEAKER = re.compile(r"gender|sex|age|rate|accent|count|votes|locale|turn", re.IGNORECASE)


def check_columns(columns: Mapping[str, str]) -> None:
    """Check a choice of columns.

    Args:
        columns: Role (`path`, `text`, `speaker`, `split`, `channel`) -> name of the column.

    Raises:
        ValueError: A role is unknown, or a name is not a text.
    """
    for role, name in columns.items():
        require_choice("columns", role, ROLES)
        if not isinstance(name, str) or not name:
            raise ValueError(f"columns.{role}={name}: expected the name of a column")


def find_column(
    role: str, names: Sequence[str], usual: Sequence[str], columns: Mapping[str, str] | None, where: object
) -> str | None:
    """Find the column for a role.

    Args:
        role: One of `ROLES`.
        names: The table's columns.
        usual: Names to look for, in this order, where the user chose none.
        columns: The user's choice.
        where: The table, for the message.

    Returns:
        Its name; `None` if there is none.

    Raises:
        ValueError: The user chose a column that does not exist.
    """
    chosen = (columns or {}).get(role)
    if chosen is None:
        return next((name for name in usual if name in names), None)
    if chosen not in names:
        found = ", ".join(filter(None, names)) or "nothing"
        raise ValueError(f"columns.{role}={chosen}: expected a column of {where}; found {found}")
    return chosen


def note_columns(
    where: object, names: Collection[str], used: Mapping[str, str | None], usual: Mapping[str, Sequence[str]]
) -> Iterator[Note]:
    """Note other columns that could be meant, and a speaker column that is not recognised.

    Args:
        where: The table.
        names: Names of its columns.
        used: Role -> the column that is used for it.
        usual: Role -> the names that are usual for it; a second one in the table is noted.
    """
    for role, alike in usual.items():
        others = [name for name in names if name in alike and name != used.get(role)]
        if used.get(role) and others:
            several = ", ".join(others)
            yield Note(
                f"{where}: {role} is read from column {used[role]}, not {several}; choose with columns={{{role}: …}}"
            )
    if not used.get("speaker"):
        likely = [name for name in names if _LIKE_A_SPEAKER.search(name) and not _NOT_A_SPEAKER.search(name)]
        if likely:
            yield Note(
                f"{where}: no column of speakers is recognised, so that one speaker may be in two splits; "
                f"if {likely[0]} is it, set columns={{speaker: {likely[0]}}}"
            )

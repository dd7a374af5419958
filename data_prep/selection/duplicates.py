"""Checks that need the whole corpus: the same audio twice, the same text twice, a text of dev or test in train."""

import numpy as np

from data_prep.selection.kept_index import KeptIndex

# Position among all rows -> (reason, detail, first): `{first}` in the detail is replaced by that row's path and line.
Repetitions = dict[int, tuple[str, str, int | None]]


def find_duplicate_audio(index: KeptIndex, alive: np.ndarray) -> Repetitions:
    """Find rows whose samples are those of an earlier row; files, formats and names do not matter.

    Args:
        index: The kept rows.
        alive: bool (rows,), False for the rows that are rejected already.

    Returns:
        The repetitions. Where the text differs from the earlier row's, one of the two is wrong: `conflicting_text`. Two
        channels of one recording are none of them: see `find_equal_channels`.
    """
    first = find_first_equal(index.audio, alive)
    equal_channels = find_equal_channels(index, alive)
    found: Repetitions = {}
    for row in np.flatnonzero(alive & (first != np.arange(len(first)))):
        earlier, same = int(first[row]), "the samples of {first}"
        if int(index.at[row]) in equal_channels:
            continue
        if (index.text[row] == index.text[earlier]).all():
            found[int(index.at[row])] = ("duplicate_audio", same, int(index.at[earlier]))
        else:
            found[int(index.at[row])] = ("conflicting_text", f"{same}, which has another text", int(index.at[earlier]))
    return found


def find_equal_channels(index: KeptIndex, alive: np.ndarray) -> dict[int, int]:
    """Find rows whose channel holds the samples of another channel of the same recording, with another text.

    Both texts may be right: each is one speaker's of a call whose two sides were mixed before it was stored.

    Args:
        index: As for `find_duplicate_audio`.
        alive: As for `find_duplicate_audio`.

    Returns:
        Position of such a row among all rows -> position of the earlier row.
    """
    first = find_first_equal(index.audio, alive)
    chosen, other = index.channel_place, index.channel_place[first]
    is_same_file = (chosen >> 8 == other >> 8) & (chosen != other)
    is_other_text = (index.text != index.text[first]).any(axis=1)
    return {
        int(index.at[row]): int(index.at[first[row]]) for row in np.flatnonzero(alive & is_same_file & is_other_text)
    }


def find_duplicate_text(index: KeptIndex, alive: np.ndarray) -> Repetitions:
    """Find rows with a text that the same speaker has in an earlier row; the arguments are `find_duplicate_audio`'s."""
    texts = find_first_equal(index.text, alive).astype("uint64")
    first = find_first_equal(np.stack([texts, index.speaker.astype("uint64")], axis=1), alive)
    return {
        int(index.at[row]): ("duplicate_text", "the text of this speaker of {first}", int(index.at[first[row]]))
        for row in np.flatnonzero(alive & (first != np.arange(len(first))))
    }


def find_text_in_evaluation(index: KeptIndex, alive: np.ndarray) -> Repetitions:
    """Find rows of train whose text is in dev or test, and rows of dev whose text is in test.

    Args:
        index: The kept rows, with every split filled in.
        alive: bool (rows,), False for the rows that are rejected already.
    """
    texts, alive = find_first_equal(index.text, alive), alive.copy()
    numbers = {name: number for number, name in enumerate(index.splits)}
    found: Repetitions = {}
    for evaluation, others in (("test", ("dev", "train")), ("dev", ("train",))):
        held = np.unique(texts[alive & (index.split == numbers[evaluation])])
        repeated = alive & np.isin(index.split, [numbers[name] for name in others]) & np.isin(texts, held)
        alive &= ~repeated
        for row in np.flatnonzero(repeated):
            found[int(index.at[row])] = ("text_in_evaluation", f"the same text is in {evaluation}", None)
    return found


def find_first_equal(keys: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Find the first row with the same key.

    Args:
        keys: uint64 (rows, 2).
        alive: bool (rows,); other rows are nobody's first, and their own result is their own number.

    Returns:
        int64 (rows,): the number of the first row that is alive and has the same key; the row's own for a first one.
    """
    first = np.arange(len(keys))
    rows = np.flatnonzero(alive)
    halves = keys[rows, 0]
    ordered = np.sort(halves)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]  # few: only rows with such a first half are sorted by both
    if not len(repeated):
        return first
    rows = rows[repeated[np.minimum(np.searchsorted(repeated, halves), len(repeated) - 1)] == halves]
    order = rows[np.lexsort((keys[rows, 1], keys[rows, 0]))]  # stable: rows with one key stay in the corpus's order
    begins = np.concatenate([[True], (keys[order[1:]] != keys[order[:-1]]).any(axis=1)])
    first[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return first

"""English words that count as right in either script: MEETING for मीटिंग, and the other way, by a list.

Only the two scripts of one line are equal, never two words of one script: राइट stands for RIGHT and for WRITE, which
stay different.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from data_prep.text.normalizer import normalize_text
from data_prep.text.transliteration import ENGLISH_WORDS_PATH
from nemo_models.evaluation.spelling import spelling_key

_ENGLISH = re.compile("[A-Z]+(?:'[A-Z]+)*")


@cache
def load_english_words(paths: tuple[Path, ...] = ()) -> Mapping[str, frozenset[str]]:
    """Read the project's list of English words and their spellings in another script, and further ones.

    Args:
        paths: UTF-8 tables of the word and its spellings, divided by tabs, a word on each line; lines with # are notes.

    Returns:
        Word in capitals → the spellings' keys; those of a word in several lines are joined.

    Raises:
        FileNotFoundError: A list is missing.
        ValueError: A list is not UTF-8, or a line does not begin with one English word, has no spelling, or has one in
            Latin letters or of several words.
    """
    words: dict[str, frozenset[str]] = {}
    for path in (ENGLISH_WORDS_PATH, *paths):
        for number, line in enumerate(_read_list(path).splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            word, *spellings = (column.strip() for column in line.rstrip("\t ").split("\t"))
            word, spellings = fold_english(word), [normalize_text(spelling) for spelling in spellings]
            wrong = [one for one in spellings if len(one.split()) != 1 or is_english(fold_english(one))]
            if not is_english(word) or not spellings or wrong:
                raise ValueError(
                    f"{path}:{number}: found {line!r}, expected one English word, a tab, and its spellings in another "
                    "script, each one word, divided by tabs; correct the line"
                )
            words[word] = words.get(word, frozenset()) | frozenset(map(spelling_key, spellings))
    return words


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"english_words={path}: found no file, expected a list of words; correct the path"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"english_words={path}: found {error}, expected a list of words in UTF-8; save the list as UTF-8"
        ) from error


def fold_english(word: str) -> str:
    """Return a word as the list has English ones: capitals, and a plain apostrophe."""
    return word.upper().replace("’", "'")


def is_english(word: str) -> bool:
    """Whether a word is in Latin capitals as `fold_english` writes them."""
    return _ENGLISH.fullmatch(word) is not None


def find_equal_words(
    reference: Sequence[str], hypothesis: Sequence[str], words: Mapping[str, frozenset[str]]
) -> Iterator[tuple[int, int, int, int]]:
    """Find words of one side that are the other side's in the other script.

    Args:
        reference: Normalised words of a stretch in which the two sides differ.
        hypothesis: The same stretch of the hypothesis.
        words: From `load_english_words`.

    Yields:
        Spans of one word: from and to in the reference, from and to in the hypothesis.
    """
    sides = [[(fold_english(word), spelling_key(word)) for word in side] for side in (reference, hypothesis)]
    for at, (english, key) in enumerate(sides[0]):
        for to, (other_english, other_key) in enumerate(sides[1]):
            if other_key in words.get(english, ()) or key in words.get(other_english, ()):
                yield at, at + 1, to, to + 1

"""References that allow several wordings: `[बंद/बन्द]` inside a text, or OIWER's list of lists."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# No space beside the marks, and no part of digits alone: [1/2] and [ a / b ] are what they are.
_INNER = re.compile(r"\[(?!\s)([^\[\]]*[^\[\]\s]/[^\[\]\s][^\[\]]*)(?<!\s)\]")
_LETTER = re.compile(r"[^\W\d_]|\ue000")


@dataclass(frozen=True)
class Choice:
    """A place at which a reference allows several wordings.

    Attributes:
        start: First word of the reference's own wording, counted in words split at white space.
        end: After the last.
        wordings: The others; empty if the words may be left out.
    """

    start: int
    end: int
    wordings: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """A reference transcript.

    Attributes:
        text: The reference, one wording.
        choices: Places where other wordings are allowed.
    """

    text: str
    choices: tuple[Choice, ...] = ()


def read_reference(row: Mapping[str, Any], text_key: str = "text", variations_key: str = "variations") -> Reference:
    """Read a row's reference.

    Args:
        row: A manifest's row. `variations` is a list with one list of wordings for each word or phrase, as OIWER's
            manifests have it (also as `[["बंद", "बन्द"], …]` in a string of JSON's form).
        text_key: Field of the reference.
        variations_key: Field of the variations.

    Returns:
        The reference. Its raw text is `text`, also where variations are given; alternatives in brackets count by their
        first wording.

    Raises:
        ValueError: The text is missing, or the variations are not a list of lists of texts.
    """
    variations = row.get(variations_key)
    text = row.get(text_key)
    if variations is not None:
        return _read_lists(variations, text, variations_key)
    if not isinstance(text, str):
        raise ValueError(f"{text_key}: found {text!r}, expected a text")
    return _read_brackets(text) if "[" in text and "/" in text else Reference(text)


def _read_lists(variations: Any, text: Any, key: str) -> Reference:
    is_list = isinstance(variations, Sequence) and not isinstance(variations, str)
    if not is_list or not all(
        isinstance(wordings, Sequence)
        and not isinstance(wordings, str)
        and wordings
        and all(isinstance(w, str) for w in wordings)
        for wordings in variations
    ):
        raise ValueError(f"{key}: found {str(variations)[:60]}, expected a list of lists of wordings")
    words = text.split() if isinstance(text, str) else []
    chosen = [_choose(wordings, words, variations, at) for at, wordings in enumerate(variations)]
    own: list[str] = []
    choices = []
    for wording, wordings in zip(chosen, variations, strict=True):
        start = len(own)
        own += wording.split()
        others = tuple(other for other in dict.fromkeys(wordings) if other.split() != wording.split())
        if others and wording.split():
            choices.append(Choice(start, len(own), others))
    return Reference(" ".join(own), tuple(choices))


def _choose(wordings: Sequence[str], words: Sequence[str], variations: Sequence[Any], at: int) -> str:
    """Take the wording that the text has where each list is for one word of it, otherwise the first."""
    if len(words) == len(variations) and words[at] in wordings:
        return words[at]
    return wordings[0]


def _read_brackets(text: str) -> Reference:
    """Read `[a/b]`, nested ones (`[a/[b/c]]`) too."""
    kept: list[tuple[str, ...]] = []

    def keep(match: re.Match[str]) -> str:
        wordings: list[str] = []
        parts = match[1].split("/")
        if not all(_LETTER.search(part) for part in parts):
            return match[0]
        for part in parts:
            marked = re.fullmatch(r"\s*\ue000(\d+)\ue001\s*", part)
            wordings += kept[int(marked[1])] if marked else [part.strip()]
        kept.append(tuple(wordings))
        return f"\ue000{len(kept) - 1}\ue001"

    while (marked := _INNER.sub(keep, text)) != text:
        text = marked
    own: list[str] = []
    choices = []
    for word in re.sub("(\ue000\\d+\ue001)", r" \1 ", text).split():
        if mark := re.fullmatch(r"\ue000(\d+)\ue001", word):
            wordings, start = kept[int(mark[1])], len(own)
            own += wordings[0].split()
            others = tuple(other for other in dict.fromkeys(wordings[1:]) if other != wordings[0])
            if others and own[start:]:
                choices.append(Choice(start, len(own), others))
        else:
            own.append(word)
    return Reference(" ".join(own), tuple(choices))

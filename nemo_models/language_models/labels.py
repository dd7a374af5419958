"""A model's labels as parts of text: which of them are special tokens, and how a text is written with the others.

The labels of a new head are single characters. Heads of fairseq and Hugging Face also have special tokens (`<s>`,
`[UNK]`), which no text contains and no search with a language model writes, and tokens of several characters.
"""

import re
from collections.abc import Sequence

SPECIAL_TOKEN = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|madeupword\d+|")
"""What a special token looks like; `madeupword0000` fills fairseq's dictionaries up."""
SUBWORD_MARKS = ("▁", "##")
"""What tokens of subword models begin with."""
_MOST_NAMED = 10


def find_special_tokens(labels: Sequence[str]) -> list[int]:
    """Return the numbers of the labels that are special tokens: they have rows in the head, but no text contains them.

    Args:
        labels: The acoustic model's labels, in order, without the blank.
    """
    return [number for number, label in enumerate(labels) if SPECIAL_TOKEN.fullmatch(label)]


class LabelTokenizer:
    """Writes text with a model's labels: at each place the longest label that fits, as transformers' tokenizer does.

    Attributes:
        labels: All labels in order, special tokens among them, the blank not.
        special: Numbers of the special tokens.
        characters: Characters of the labels, without special tokens.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """Look at the labels.

        Args:
            labels: The acoustic model's, in order, without the blank.

        Raises:
            ValueError: The labels are those of a subword model, one comes twice, or none is text.
        """
        self.labels = tuple(labels)
        self.special = find_special_tokens(labels)
        numbers = [number for number in range(len(labels)) if number not in set(self.special)]
        self._numbers = {labels[number]: number for number in numbers}
        subwords = [label for label in self._numbers if label.startswith(SUBWORD_MARKS)]
        if subwords or not numbers:
            raise ValueError(f"labels={_name(subwords or labels)}: expected characters; choose a model over characters")
        if len(self._numbers) < len(numbers):
            repeated = sorted({labels[number] for number in numbers if labels.count(labels[number]) > 1})
            raise ValueError(f"labels={_name(repeated)}: expected each label once; give the vocabulary unlike tokens")
        self.characters = frozenset("".join(self._numbers))
        self._longest_first = re.compile("|".join(map(re.escape, sorted(self._numbers, key=len, reverse=True))))
        self._is_by_character = all(len(label) == 1 for label in self._numbers)

    def encode(self, text: str) -> list[int] | None:
        """Write a text with the labels.

        Args:
            text: Normalised text.

        Returns:
            Numbers of labels; `None` if the labels cannot write it.
        """
        if self._is_by_character:
            parts: Sequence[str] = text
        else:
            parts = self._longest_first.findall(text)
            if sum(map(len, parts)) < len(text):
                return None
        numbers = [self._numbers.get(part, -1) for part in parts]
        return None if -1 in numbers else numbers

    def can_write(self, text: str) -> bool:
        """Whether the labels can write a text."""
        return self.encode(text) is not None


def _name(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return f"{list(labels[:_MOST_NAMED])}{more}"

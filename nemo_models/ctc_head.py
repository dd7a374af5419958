"""The CTC head that a checkpoint brings with it, turned round from its own order of tokens into NeMo's.

NeMo has the blank last; fairseq and Hugging Face have it where their vocabulary says, mostly first. Every other token
keeps its place and its row, the special ones too: a row dropped would change every probability. So the labels hold
`<s>` or `<unk>` as well, which a trained head never writes and which print, if it does, what the source would print.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

FAIRSEQ_SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
"""fairseq's first four tokens by the names that transformers' own conversion gives them: fairseq itself calls the first
`<s>` (and takes it for the blank) and the second `<pad>`."""


@dataclass(frozen=True)
class CTCHead:
    """A linear layer over tokens, in the checkpoint's order.

    Attributes:
        weight: float, (tokens, encoder width).
        bias: float, (tokens,).
        tokens: What each row prints, a space for the word delimiter; `None` where the checkpoint does not tell.
        blank: The row that is CTC's blank.
        vocabulary_file: What tells the tokens, or should.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    tokens: tuple[str, ...] | None
    blank: int
    vocabulary_file: str

    def __post_init__(self) -> None:
        rows = len(self.weight)
        if self.tokens is not None and len(self.tokens) != rows:
            raise ValueError(f"{self.vocabulary_file}: {len(self.tokens)} tokens, but the head has {rows} rows")
        if not 0 <= self.blank < rows:
            raise ValueError(f"{self.vocabulary_file}: the blank is token {self.blank}, but the head has {rows} rows")

    @property
    def labels(self) -> list[str]:
        """The tokens without the blank, in order: NeMo's labels.

        Raises:
            ValueError: The checkpoint has no vocabulary.
        """
        if self.tokens is None:
            raise ValueError(
                f"a CTC head without a vocabulary: {self.vocabulary_file} is missing; "
                "put it there, or give head=new for a new head over the alphabet"
            )
        return [token for row, token in enumerate(self.tokens) if row != self.blank]

    def blank_last(self, rows: torch.Tensor) -> torch.Tensor:
        """Move the blank's row of (tokens, …) behind the others."""
        return torch.cat([rows[: self.blank], rows[self.blank + 1 :], rows[self.blank : self.blank + 1]])


def parse_fairseq_dictionary(lines: Sequence[str], source: str) -> tuple[str, ...]:
    """Read fairseq's `dict.ltr.txt`, one `symbol count` a line.

    Args:
        lines: The file's.
        source: Its name, for an error.

    Returns:
        What each token prints, `FAIRSEQ_SPECIALS` first.

    Raises:
        ValueError: A line is of another form.
    """
    symbols = []
    for number, line in enumerate(lines, start=1):
        symbol, _, count = line.removesuffix("#fairseq:overwrite").rstrip().rpartition(" ")
        if not symbol or not count.isdigit():
            raise ValueError(f"{source}:{number}: {line!r}, expected a symbol, a space and a count")
        symbols.append(symbol)
    return fairseq_tokens(symbols)


def fairseq_tokens(symbols: Sequence[str]) -> tuple[str, ...]:
    """What the tokens of a fairseq dictionary print, `symbols` being those after its four special ones."""
    return (*FAIRSEQ_SPECIALS, *(" " if symbol == "|" else symbol for symbol in symbols))

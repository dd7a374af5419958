"""The CTC head of a checkpoint: its tokens and weights, in the checkpoint's order and in NeMo's.

NeMo puts the blank last; fairseq and Hugging Face put it where their vocabulary says, mostly first. All other tokens
keep their order and their rows, including special tokens, because removing a row would change every probability. So the
labels include `<s>` or `<unk>`. A trained head almost never writes them; greedy search prints them as the source does,
and searches with a language model never write them. The model's configuration keeps the checkpoint's order and names
for exports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

SOURCE_KEY = "source_vocabulary"
"""Key of a model's configuration: the `Vocabulary` of the checkpoint that its head is from."""
FAIRSEQ_SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
"""fairseq's first four tokens by the names that transformers' own conversion gives them: fairseq itself calls the first
`<s>` (and uses it as the blank) and the second `<pad>`."""
FAIRSEQ_TOKENIZER = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "word_delimiter_token": "|",
    "replace_word_delimiter_char": " ",
    "do_lower_case": False,
}

SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token")


@dataclass(frozen=True)
class Vocabulary:
    """A head's tokens as its checkpoint has them.

    Attributes:
        tokens: Token of each row.
        blank: The row that is CTC's blank.
        tokenizer: Settings of transformers' `Wav2Vec2CTCTokenizer` beside them, `FAIRSEQ_TOKENIZER`'s keys; `None`
            for NeMo's labels, each of which is printed as it is.
    """

    tokens: tuple[str, ...]
    blank: int
    tokenizer: Mapping[str, Any] | None = None

    @property
    def labels(self) -> list[str]:
        """NeMo's labels: all tokens but the blank, in order, as they are printed; a space for the word delimiter."""
        return [self._print(token) for row, token in enumerate(self.tokens) if row != self.blank]

    @property
    def nemo_indices(self) -> list[int]:
        """For each row of the checkpoint, its row in NeMo's head, where the blank is the last."""
        others = range(len(self.tokens) - 1)
        return [*others[: self.blank], len(others), *others[self.blank :]]

    def blank_last(self, rows: torch.Tensor) -> torch.Tensor:
        """Move the blank's row of (tokens, …) behind the others: the checkpoint's order into NeMo's."""
        return torch.cat([rows[: self.blank], rows[self.blank + 1 :], rows[self.blank : self.blank + 1]])

    def _print(self, token: str) -> str:
        if self.tokenizer is None:
            return token
        if token == self.tokenizer["word_delimiter_token"]:
            return str(self.tokenizer["replace_word_delimiter_char"])
        return token.lower() if self.tokenizer["do_lower_case"] else token


def keep_source_vocabulary(cfg: DictConfig, vocabulary: Vocabulary) -> None:
    """Write the tokens of a head's checkpoint into a model's configuration."""
    OmegaConf.update(cfg, SOURCE_KEY, asdict(vocabulary), force_add=True)


def source_vocabulary(cfg: DictConfig) -> Vocabulary | None:
    """Return the tokens of the checkpoint that a model's head is from.

    Returns:
        The vocabulary; `None` if the head is from no such checkpoint, or has other labels by now.
    """
    if cfg.get(SOURCE_KEY) is None:
        return None
    kept: Any = OmegaConf.to_container(cfg[SOURCE_KEY])
    vocabulary = Vocabulary(tuple(kept["tokens"]), kept["blank"], kept["tokenizer"])
    return vocabulary if vocabulary.labels == list(cfg.labels) else None


@dataclass(frozen=True)
class CTCHead:
    """A linear layer over tokens, in the checkpoint's order.

    Attributes:
        weight: float, (tokens, encoder width).
        bias: float, (tokens,).
        vocabulary: The tokens; `None` if the checkpoint does not list them.
        vocabulary_file: The file that lists the tokens, or should.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    vocabulary: Vocabulary | None
    vocabulary_file: str

    def __post_init__(self) -> None:
        if self.vocabulary is None:
            return
        rows, tokens, blank = len(self.weight), len(self.vocabulary.tokens), self.vocabulary.blank
        if tokens != rows:
            raise ValueError(
                f"{self.vocabulary_file}: found {tokens} tokens, expected {rows}, as many as the head's rows; {REMEDY}"
            )
        if not 0 <= blank < rows:
            raise ValueError(
                f"{self.vocabulary_file}: found the blank {blank}, expected one of the head's {rows} rows; {REMEDY}"
            )

    def require_vocabulary(self) -> Vocabulary:
        """Return the vocabulary.

        Raises:
            ValueError: The checkpoint has none.
        """
        if self.vocabulary is None:
            raise ValueError(f"{self.vocabulary_file}: no such file, expected the vocabulary of the CTC head; {REMEDY}")
        return self.vocabulary


REMEDY = "put the head's own vocabulary there, or give head=new for a new head over the alphabet"


def parse_fairseq_dictionary(lines: Sequence[str], source: str) -> Vocabulary:
    """Read fairseq's `dict.ltr.txt`, one `symbol count` a line.

    Args:
        lines: The file's lines.
        source: The file's name, for an error.

    Returns:
        Its tokens, `FAIRSEQ_SPECIALS` first.

    Raises:
        ValueError: A line is of another form.
    """
    symbols = []
    for number, line in enumerate(lines, start=1):
        symbol, _, count = line.removesuffix("#fairseq:overwrite").rstrip().rpartition(" ")
        if not symbol or not count.isdigit():
            raise ValueError(f"{source}:{number}: found {line!r}, expected a symbol, a space and a count; {REMEDY}")
        symbols.append(symbol)
    return fairseq_vocabulary(symbols)


def fairseq_vocabulary(symbols: Sequence[str]) -> Vocabulary:
    """Return the tokens of a fairseq dictionary, `symbols` being those after its four special ones."""
    return Vocabulary((*FAIRSEQ_SPECIALS, *symbols), 0, FAIRSEQ_TOKENIZER)

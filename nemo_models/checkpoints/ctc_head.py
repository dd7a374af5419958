"""The CTC head that a checkpoint brings with it, turned round from its own order of tokens into NeMo's and back.

NeMo has the blank last; fairseq and Hugging Face have it where their vocabulary says, mostly first. Every other token
keeps its place and its row, the special ones too: a row dropped would change every probability. So the labels hold
`<s>` or `<unk>` as well, which a trained head never writes and which print, if it does, what the source would print.
The checkpoint's own order and names stay in the model's configuration, so that a head goes out as it came in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

SOURCE_KEY = "source_vocabulary"
"""In a model's configuration: the `Vocabulary` of the checkpoint that its head is from."""
FAIRSEQ_SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
"""fairseq's first four tokens by the names that transformers' own conversion gives them: fairseq itself calls the first
`<s>` (and takes it for the blank) and the second `<pad>`."""
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
        tokens: By row.
        blank: The row that is CTC's blank.
        tokenizer: What transformers' `Wav2Vec2CTCTokenizer` is given beside them, `FAIRSEQ_TOKENIZER`'s keys; `None`
            for NeMo's labels, each of which prints itself.
    """

    tokens: tuple[str, ...]
    blank: int
    tokenizer: Mapping[str, Any] | None = None

    @property
    def labels(self) -> list[str]:
        """What NeMo calls labels: all but the blank, in order, as they print; a space for the word delimiter."""
        return [self._print(token) for row, token in enumerate(self.tokens) if row != self.blank]

    @property
    def classes(self) -> list[int]:
        """For each row of the checkpoint, the class in a head of NeMo's, where the blank is the last."""
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
    """Write into a model's configuration what its head's checkpoint calls the tokens."""
    OmegaConf.update(cfg, SOURCE_KEY, asdict(vocabulary), force_add=True)


def source_vocabulary(cfg: DictConfig) -> Vocabulary | None:
    """A model's; `None` where its head came from no such checkpoint, or has got other labels since."""
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
        vocabulary: The tokens; `None` where the checkpoint does not tell.
        vocabulary_file: What tells the tokens, or should.
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
            raise ValueError(f"{self.vocabulary_file}: {tokens} tokens, but the head has {rows} rows")
        if not 0 <= blank < rows:
            raise ValueError(f"{self.vocabulary_file}: the blank is token {blank}, but the head has {rows} rows")

    def require_vocabulary(self) -> Vocabulary:
        """The vocabulary.

        Raises:
            ValueError: The checkpoint has none.
        """
        if self.vocabulary is None:
            raise ValueError(
                f"a CTC head without a vocabulary: {self.vocabulary_file} is missing; "
                "put it there, or give head=new for a new head over the alphabet"
            )
        return self.vocabulary


def parse_fairseq_dictionary(lines: Sequence[str], source: str) -> Vocabulary:
    """Read fairseq's `dict.ltr.txt`, one `symbol count` a line.

    Args:
        lines: The file's.
        source: Its name, for an error.

    Returns:
        Its tokens, `FAIRSEQ_SPECIALS` first.

    Raises:
        ValueError: A line is of another form.
    """
    symbols = []
    for number, line in enumerate(lines, start=1):
        symbol, _, count = line.removesuffix("#fairseq:overwrite").rstrip().rpartition(" ")
        if not symbol or not count.isdigit():
            raise ValueError(f"{source}:{number}: {line!r}, expected a symbol, a space and a count")
        symbols.append(symbol)
    return fairseq_vocabulary(symbols)


def fairseq_vocabulary(symbols: Sequence[str]) -> Vocabulary:
    """The tokens of a fairseq dictionary, `symbols` being those after its four special ones."""
    return Vocabulary((*FAIRSEQ_SPECIALS, *symbols), 0, FAIRSEQ_TOKENIZER)

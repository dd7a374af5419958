"""Transcripts of several scripts, written with the labels of one: NeMo's parser folds each text that it encodes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from nemo.collections.common.parts.preprocessing import parsers

_NAME = "base"  # of NeMo's parser that leaves texts as they are


class FoldingParser(parsers.CharParser):
    """NeMo's parser of characters, for texts in the scripts of their languages."""

    def __init__(self, labels: Sequence[str], *, folding: Mapping[int, str], **settings: Any) -> None:
        """Set up.

        Args:
            labels: The model's labels, in order.
            folding: Table of `str.translate`, see `model_language.make_folding`.
            settings: Those of NeMo's class.
        """
        super().__init__(list(labels), **settings)
        self._folding = folding

    def _tokenize(self, text: str) -> list[int]:
        """Overrides NeMo's method: the labels of a text's letters."""
        tokens: list[int] = super()._tokenize(text.translate(self._folding))
        return tokens


@contextmanager
def texts_folded(folding: Mapping[int, str]) -> Iterator[None]:
    """Inside this block, NeMo builds data loaders that fold transcripts; an empty table changes nothing."""
    original = parsers.NAME_TO_PARSER[_NAME]
    if folding:
        parsers.NAME_TO_PARSER[_NAME] = partial(FoldingParser, folding=dict(folding))
    try:
        yield
    finally:
        parsers.NAME_TO_PARSER[_NAME] = original

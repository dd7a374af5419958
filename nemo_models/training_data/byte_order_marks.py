"""Lets NeMo's data loaders read manifests that begin with a byte order mark, as Windows programs write them.

Every reader of this project skips the mark. NeMo's readers take it for a part of the first line and end with an error
of the JSON parser.
"""

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from lhotse.lazy import LazyJsonlIterator
from lhotse.serialization import decode_json_line, open_best
from nemo.collections.common.data.lhotse import nemo_adapters
from nemo.collections.common.parts.preprocessing import manifest

BYTE_ORDER_MARK = "\ufeff"


class JsonLines(LazyJsonlIterator):
    """Reads JSON lines, in each pass from the file's beginning, without a byte order mark."""

    def __iter__(self) -> Iterator[Any]:
        """Overrides Lhotse's method: the first line may begin with a byte order mark."""
        count = 0
        with open_best(self.path, "r") as lines:
            for line in lines:
                yield decode_json_line(line if count else line.removeprefix(BYTE_ORDER_MARK))
                count += 1
        self._len: int | None = count


def _open_without_mark(path: str, mode: str) -> IO[str]:
    return builtins.open(path, mode, encoding="utf-8-sig")  # noqa: PTH123  (NeMo's own call)


@contextmanager
def byte_order_marks_skipped() -> Iterator[None]:
    """Inside this block, NeMo builds data loaders that skip the mark, with Lhotse (tarred or not) and without."""
    adapters: Any = nemo_adapters
    reader: Any = manifest
    original = adapters.LazyJsonlIterator
    adapters.LazyJsonlIterator = JsonLines
    reader.open = _open_without_mark
    try:
        yield
    finally:
        adapters.LazyJsonlIterator = original
        del reader.open

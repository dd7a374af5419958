"""n-gram models with backoff as sorted arrays: read from KenLM's ARPA text, scored, written back.

NeMo's reader makes one Python object for each n-gram, which takes minutes and gigabytes for a large text. Here an
n-gram takes 16 bytes, and every step works on whole orders at once.
"""

import gzip
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from data_prep.file_kinds import FileKind, identify_file

# In the order in which NeMo's n-gram model numbers them (-3, -2, -1), so that n-grams sorted here are sorted there.
SPECIAL_WORDS = (b"<unk>", b"</s>", b"<s>")
UNKNOWN, END, START = range(3)
NO_LOG10_PROB = -99.0  # how ARPA files write a probability of 0
_BLOCK_LINES = 100_000  # parsed at a time, which bounds the number of Python objects


@dataclass(frozen=True)
class NgramOrder:
    """All n-grams of one order, sorted by key.

    Attributes:
        keys: (N,) int64: index of the first n-1 words in the order below × size of the vocabulary + number of the last
            word. In order 1: the number of the word, every word of the vocabulary once.
        log_probs: (N,) float32, natural log-probability of the last word after the others; -inf for probability 0.
        backoffs: (N,) float32, natural log, added where a longer n-gram that begins with this one is missing.
    """

    keys: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray


@dataclass(frozen=True)
class BackoffModel:
    """An n-gram model with backoff.

    Attributes:
        vocabulary: Its words, `SPECIAL_WORDS` first; a word's number is its index here.
        orders: The n-grams, order 1 first.
    """

    vocabulary: tuple[bytes, ...]
    orders: tuple[NgramOrder, ...]

    def find(self, order: int, parents: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Look n-grams up.

        Args:
            order: Order of the n-grams.
            parents: (N,) int64, indices of their first words in the order below; -1 for missing ones.
            words: (N,) int64, numbers of their last words.

        Returns:
            (N,) int64, their indices in this order; -1 for missing n-grams.
        """
        return words if order == 1 else find_keys(self.orders[order - 1].keys, parents * len(self.vocabulary) + words)

    def split(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of an order's first words in the order below, and numbers of its last words, (N,) int64."""
        return np.divmod(self.orders[order - 1].keys, len(self.vocabulary))

    def suffixes(self) -> Iterator[np.ndarray]:
        """Yield for each order from 2 the indices, in the order below, of its n-grams without their first word.

        Raises:
            ValueError: The end of an n-gram is missing in the order below: the model is damaged.
        """
        below = np.empty(0, dtype=np.int64)
        for order in range(2, len(self.orders) + 1):
            parents, words = self.split(order)
            below = words if order == 2 else self.find(order - 1, below[parents], words)
            if (below < 0).any():
                raise ValueError(f"found a {order}-gram without its last {order - 1} words in the order below")
            yield below

    def number(self, sentences: Iterable[bytes]) -> np.ndarray:
        """Number the words of sentences, those outside the vocabulary as `UNKNOWN`, with `START` and `END` around them.

        Args:
            sentences: Words, separated by single spaces.

        Returns:
            (N,) int64, the argument of `score`.
        """
        index = {word: number for number, word in enumerate(self.vocabulary)}
        numbers: list[int] = []
        for sentence in sentences:
            numbers.append(START)
            numbers.extend(index.get(word, UNKNOWN) for word in sentence.split(b" "))
            numbers.append(END)
        return np.array(numbers, dtype=np.int64)

    def score(self, words: np.ndarray) -> np.ndarray:
        """Score running text.

        Args:
            words: (N,) int64, numbers of words: sentences one after the other, each from `START` to `END`.

        Returns:
            (N,) float64, natural log-probability of each word after those of its sentence before it; 0 for `START`.
        """
        places = words
        scores = self.orders[0].log_probs[words].astype(np.float64)
        for order in range(2, len(self.orders) + 1):
            before = np.concatenate([[-1], places[:-1]])  # no n-gram continues after END, so none spans two sentences
            places = self.find(order, before, words)
            scores += np.where(before >= 0, self.orders[order - 2].backoffs[before], 0.0)
            found = places >= 0
            scores[found] = self.orders[order - 1].log_probs[places[found]]
        scores[words == START] = 0.0
        return scores


def find_keys(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the indices of `wanted` in the sorted `keys`, -1 for missing ones."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def read_arpa(path: Path, words: Sequence[bytes], is_closed: bool, excluded: Collection[int] = ()) -> BackoffModel:
    """Read an ARPA file.

    Args:
        path: The file.
        words: The vocabulary without special words. Words of it that the file lacks share the probability of `<unk>`
            evenly.
        is_closed: True if no other words exist (labels): where some are missing, `<unk>` itself keeps no probability,
            as in NeMo's reader.
        excluded: Numbers, in `words`, of those that no text contains: they get a log10 probability of
            `NO_LOG10_PROB`.

    Raises:
        ValueError: It is not a complete ARPA file, or has words outside the vocabulary.
    """
    vocabulary = (*SPECIAL_WORDS, *words)
    index = {word: number for number, word in enumerate(vocabulary)}
    numbers_excluded = np.array([len(SPECIAL_WORDS) + number for number in excluded], dtype=np.int64)
    orders: list[NgramOrder] = []
    with open_arpa(path) as (lines, counts), tqdm(total=sum(counts), desc="reading n-grams", unit="") as bar:
        for order, count in enumerate(counts, 1):
            model = BackoffModel(vocabulary, tuple(orders))
            keys, values = _read_order(lines, model, order, count, index, bar)
            if order > 1:
                orders.append(_sort(keys, values))
            else:
                orders.append(_fill_vocabulary(keys, values, len(vocabulary), is_closed, numbers_excluded))
    return BackoffModel(vocabulary, tuple(orders))


@contextmanager
def open_arpa(path: Path) -> Iterator[tuple[IO[bytes], list[int]]]:
    """Open an ARPA file, plain or gzip: its lines after the head, and the number of n-grams of each order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a complete ARPA file; errors inside the block are raised in this form too.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    kind = identify_file(path)
    try:
        opener: Any = gzip.open if kind is FileKind.GZIP else open
        with opener(path, "rb") as lines:
            first = next((line for line in lines if line.strip()), b"").strip()
            if first != b"\\data\\":
                raise ValueError(f"found {kind.value if kind else repr(first[:20])}, expected \\data\\")
            counts = [int(line.partition(b"=")[2]) for line in iter(lambda: lines.readline().strip(), b"")]
            if not counts:
                raise ValueError("found no counts of n-grams")
            yield lines, counts
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: found an incomplete gzip file ({error}); copy it again") from error
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path}: found an incomplete ARPA language model ({error}); make or copy it again") from error


def read_section(lines: IO[bytes], order: int, count: int) -> Iterator[list[list[bytes]]]:
    """Yield the n-grams of the next order, some at a time, each as its fields (log10 probability, words, backoff).

    Raises:
        ValueError: The section is missing or not complete.
    """
    header = next((line for line in lines if line.strip()), b"").strip()
    if header != b"\\%d-grams:" % order:
        raise ValueError(f"expected \\{order}-grams:, found {header.decode(errors='replace')[:40]!r}")
    for start in range(0, count, _BLOCK_LINES):
        size = min(_BLOCK_LINES, count - start)
        block = [line.rstrip(b"\n").split(b"\t") for line in islice(lines, size)]
        wrong = next((fields for fields in block if len(fields) < 2), None)
        if wrong and wrong[0].strip() and not wrong[0].startswith(b"\\"):
            raise ValueError(f"found {wrong[0].decode(errors='replace')[:40]!r}, expected a score, a tab and words")
        if wrong or len(block) < size:
            raise ValueError(f"fewer than the {count} {order}-grams that it counts")
        yield block


def write_arpa(model: BackoffModel, path: Path) -> None:
    """Write an ARPA file, which every n-gram tool reads."""
    with path.open("wb") as out:
        out.write(b"\\data\\\n")
        out.writelines(b"ngram %d=%d\n" % (order, len(part.keys)) for order, part in enumerate(model.orders, 1))
        texts: list[bytes] = [b""]
        for order, part in enumerate(model.orders, 1):
            out.write(b"\n\\%d-grams:\n" % order)
            parents, words = model.split(order)
            ends = [model.vocabulary[word] for word in words]
            texts = ends if order == 1 else [texts[at] + b" " + end for at, end in zip(parents, ends, strict=True)]
            log10_probs = np.maximum(part.log_probs / np.log(10), NO_LOG10_PROB)
            backoffs = part.backoffs / np.log(10)
            for text, log10_prob, backoff in zip(texts, log10_probs, backoffs, strict=True):
                tail = b"" if order == len(model.orders) else b"\t%.7g" % backoff
                out.write(b"%.7g\t%s%s\n" % (log10_prob, text, tail))
        out.write(b"\n\\end\\\n")


def _read_order(
    lines: IO[bytes], model: BackoffModel, order: int, count: int, index: dict[bytes, int], bar: tqdm
) -> tuple[np.ndarray, np.ndarray]:
    """Read keys (N,) int64 and natural log-probabilities with backoffs (2, N) float32, in the file's order."""
    keys, values, at = np.empty(count, dtype=np.int64), np.zeros((2, count), dtype=np.float32), 0
    for block in read_section(lines, order, count):
        numbers = [index[word] for fields in block for word in fields[1].split(b" ")]
        words = np.array(numbers, dtype=np.int64).reshape(len(block), order)
        places = words[:, 0] if order > 1 else np.zeros(len(block), dtype=np.int64)
        for length in range(2, order):
            places = model.find(length, places, words[:, length - 1])
        if (places < 0).any():
            raise ValueError(f"found a {order}-gram without its first {order - 1} words in the order below")
        here = slice(at, at + len(block))
        keys[here] = places * len(model.vocabulary) + words[:, -1]
        values[0, here] = np.array([fields[0] for fields in block], dtype=np.float64) / np.log10(np.e)
        if len(block[0]) > 2:
            values[1, here] = np.array([(*fields, b"0")[2] for fields in block], dtype=np.float64) / np.log10(np.e)
        at += len(block)
        bar.update(len(block))
    return keys, values


def _sort(keys: np.ndarray, values: np.ndarray) -> NgramOrder:
    order = np.argsort(keys, kind="stable")
    return NgramOrder(keys[order], *values[:, order])


def _fill_vocabulary(
    keys: np.ndarray, values: np.ndarray, size: int, is_closed: bool, excluded: np.ndarray
) -> NgramOrder:
    """Sort unigrams by number; missing ones get an even share of the unknown word's probability."""
    log_probs, backoffs = np.full(size, -np.inf, dtype=np.float32), np.zeros(size, dtype=np.float32)
    log_probs[keys], backoffs[keys] = values
    log_probs[START] = -np.inf  # it begins sentences and is never predicted
    is_missing = np.ones(size, dtype=bool)
    is_missing[keys] = False
    is_missing[: len(SPECIAL_WORDS)] = False
    log_probs[excluded[is_missing[excluded]]] = NO_LOG10_PROB * np.log(10)  # finite: a weight of 0 times it is 0
    is_missing[excluded] = False
    if is_missing.any():
        share = log_probs[UNKNOWN] - np.log(is_missing.sum() + (not is_closed))
        log_probs[is_missing] = share
        log_probs[UNKNOWN] = -np.inf if is_closed else share
    return NgramOrder(np.arange(size, dtype=np.int64), log_probs, backoffs)

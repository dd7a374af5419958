"""A cache of a teacher's outputs on disk, so that they are computed once for each utterance.

The cache is one SQLite file. The key of an utterance is a hash of its samples: changed audio (augmentation, another
cut) has another key, and file names do not matter. Several processes may share the file.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CACHE_VERSION = 1
"""Raised when the form of the stored values changes."""


class TeacherCache:
    """Log-probabilities of a teacher by the audio that they belong to.

    Args:
        path: The SQLite file; it is made if needed.
        teacher: Hash of the teacher's weights; see `hash_weights`.
        top_k: Labels kept for each frame.
        max_bytes: Size at which no more is stored.

    Raises:
        ValueError: The file is no cache, or a cache of another teacher or another `top_k`.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, teacher: str, top_k: int, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{path}: {error.strerror}; choose another teacher_cache.path") from error
        expected = {"version": str(CACHE_VERSION), "teacher": teacher, "top_k": str(top_k)}
        with self._one_line_errors():
            self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT)")
            self._database.execute("CREATE TABLE IF NOT EXISTS outputs (audio BLOB PRIMARY KEY, frames BLOB)")
            rows = list(expected.items())
            self._database.executemany("INSERT OR IGNORE INTO settings VALUES (?, ?)", rows)
            found = dict(self._database.execute("SELECT name, value FROM settings"))
        wrong = [name for name, value in expected.items() if found.get(name) != value]
        if wrong:
            raise ValueError(
                f"{path}: found a cache of another {' and '.join(wrong)}, expected this run's; delete it or choose "
                "another teacher_cache.path"
            )

    def read(self, keys: Sequence[bytes]) -> list[tuple[Tensor, Tensor] | None]:
        """Read utterances.

        Args:
            keys: Their hashes, see `hash_audio`.

        Returns:
            For each: log-probabilities, float32, and labels, int64, both (T, top_k); `None` if it is not stored.

        Raises:
            ValueError: The file is damaged.
            OSError: The file cannot be read.
        """
        with self._one_line_errors():
            return [self._read(key) for key in keys]

    def write(self, key: bytes, values: Tensor, labels: Tensor) -> None:
        """Store an utterance; nothing is stored above the maximal size.

        Args:
            key: Hash of its audio.
            values: Log-probabilities, float32, (T, top_k).
            labels: Their labels, int64, below 65,536, (T, top_k).

        Raises:
            ValueError: The file is damaged.
            OSError: The disk is full, or the file cannot be written.
        """
        shape = np.array(values.shape, dtype=np.uint32).tobytes()
        frames = values.float().cpu().numpy().tobytes() + labels.cpu().numpy().astype(np.uint16).tobytes()
        with self._one_line_errors():
            if self._size() < self._max_bytes:
                self._database.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (key, shape + frames))

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(
                f"{self._path}: {error}; free space, lower teacher_cache.max_gb or choose another teacher_cache.path, "
                "then run the same command again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self._path}: not a teacher cache, or a damaged one ({error}); delete it or choose another "
                "teacher_cache.path"
            ) from error

    def _read(self, key: bytes) -> tuple[Tensor, Tensor] | None:
        row = self._database.execute("SELECT frames FROM outputs WHERE audio = ?", (key,)).fetchone()
        if row is None:
            return None
        frames, kept = (int(size) for size in np.frombuffer(row[0], dtype=np.uint32, count=2))
        values = np.frombuffer(row[0], dtype=np.float32, count=frames * kept, offset=8)
        labels = np.frombuffer(row[0], dtype=np.uint16, count=frames * kept, offset=8 + values.nbytes)
        shape = (frames, kept)
        return torch.tensor(values).view(shape), torch.tensor(labels.astype(np.int64)).view(shape)

    def _size(self) -> int:
        pages = self._database.execute("PRAGMA page_count").fetchone()[0]
        return int(pages) * int(self._database.execute("PRAGMA page_size").fetchone()[0])


def hash_audio(signal: Tensor, samples: int) -> bytes:
    """Hash an utterance's samples, without padding.

    Args:
        signal: Waveform, float32, (T,).
        samples: Valid samples.
    """
    return hashlib.blake2b(signal[:samples].float().cpu().numpy().tobytes(), digest_size=16).digest()


def hash_weights(model: torch.nn.Module) -> str:
    """Hash a model's tensors, with their names, as hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""Building an encoder that gets all of its weights from a checkpoint, without inventing random ones first."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

_weightless: ContextVar[bool] = ContextVar("weightless", default=False)


@contextmanager
def weightless_encoders() -> Iterator[None]:
    """Encoders built inside the block have shapes only (torch's `meta` device), until a checkpoint is loaded."""
    token = _weightless.set(True)
    try:
        yield
    finally:
        _weightless.reset(token)


def encoder_device() -> AbstractContextManager[object]:
    """Where an encoder is to make its network: on `meta` inside `weightless_encoders`, else as usual."""
    return torch.device("meta") if _weightless.get() else nullcontext()

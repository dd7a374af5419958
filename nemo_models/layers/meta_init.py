"""Building an encoder on torch's `meta` device, without random weights, before a checkpoint is loaded into it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

_on_meta: ContextVar[bool] = ContextVar("encoders_on_meta", default=False)


@contextmanager
def encoders_on_meta() -> Iterator[None]:
    """Build encoders inside the block with shapes only, until a checkpoint is loaded."""
    token = _on_meta.set(True)
    try:
        yield
    finally:
        _on_meta.reset(token)


def encoder_device() -> AbstractContextManager[object]:
    """Return the device context in which an encoder makes its network: `meta` inside `encoders_on_meta`."""
    return torch.device("meta") if _on_meta.get() else nullcontext()


def is_on_meta(network: torch.nn.Module) -> bool:
    """Whether a network has no weights yet."""
    return any(tensor.is_meta for tensor in network.state_dict().values())

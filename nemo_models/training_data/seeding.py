"""Seeds all random numbers of a process: Python, numpy and torch on the CPU."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Seed the random numbers of Python, numpy and torch (CPU) inside the block, and restore their states after it."""
    of_python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_all(*seed)
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)


def seed_all(*seed: int) -> int:
    """Seed the random numbers of Python, numpy and torch (CPU).

    Args:
        seed: Whole numbers, 0 or more; together they are the seed.

    Returns:
        The one number that they were mixed to.
    """
    mixed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)
    torch.random.default_generator.manual_seed(mixed)
    return mixed

"""A served model over the fake recogniser that Ray's workers can import: slow, and mortal."""

import os
import time
from pathlib import Path

from fake_recogniser import FakeRecogniser
from serving_client import make_served


class MortalRecogniser(FakeRecogniser):
    """Takes its time for a batch; where a file says so, its process ends in the midst of one, without a word."""

    def __init__(self, order: Path):
        super().__init__(window_s=10.0)
        self._order = order

    def compute(self, waveforms, threads=None):
        time.sleep(0.1)
        try:
            self._order.unlink()
        except FileNotFoundError:
            return super().compute(waveforms, threads)
        os._exit(9)


def load_mortal(order, uploads):
    served = make_served(uploads.path, MortalRecogniser(order), {"batch_size": 1})
    served.uploads.close()
    return served

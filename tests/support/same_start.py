"""The state of the process from which every test starts, whatever the tests before it left."""

import logging
import os
import random
import signal
import sys
import threading
from types import ModuleType

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
"""Those of a new process. Libraries leave theirs behind; then the forks of a pool do not end at `terminate`."""


def reset_process() -> None:
    """Seed every generator, undo settings of torch and signal handlers, let the project's warnings reach pytest."""
    _reset_loggers()
    if threading.current_thread() is threading.main_thread():  # others may not
        for number, handler in HANDLERS.items():
            signal.signal(number, handler)
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        _reset_torch(sys.modules["torch"])


def _reset_torch(torch: ModuleType) -> None:
    torch.manual_seed(0)
    # A sum over two threads ends in other bits than over one: new processes take their number from the environment.
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_float32_matmul_precision("highest")
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)


def _reset_loggers() -> None:
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    if "nemo.utils" in sys.modules:
        sys.modules["nemo.utils"].logging.setLevel(logging.INFO)
    # pytest adds its handlers to NeMo's logger too, and NeMo's setLevel changes the level of every handler there.
    for handler in [*logging.getLogger().handlers, *logging.getLogger("nemo_logger").handlers]:
        handler.setLevel(logging.NOTSET)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith(("nemo_models", "data_prep")) and isinstance(logger, logging.Logger):
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)

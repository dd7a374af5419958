"""The state of the process from which every test starts, whatever the tests before it left."""

import logging
import random
import sys


def reset_process() -> None:
    """Seed every generator and let the project's warnings through to pytest's handlers."""
    _reset_loggers()
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


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

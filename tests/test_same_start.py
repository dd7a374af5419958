"""Nothing that a test leaves behind changes the results of the next one."""

import logging
import signal
import subprocess
import sys

import pytest
import torch

from same_start import reset_process


@pytest.mark.parametrize("name", ["nemo_models", "data_prep.manifest"])
def test_warnings_arrive_after_nemos_logger_was_silenced(caplog: pytest.LogCaptureFixture, name: str):
    from nemo.utils import logging as nemo_logging

    handlers = logging.getLogger("nemo_logger").handlers
    missing = [handler for handler in [caplog.handler] if handler not in handlers]
    for handler in missing:  # pytest 9 adds it to loggers that exist when the test starts
        logging.getLogger("nemo_logger").addHandler(handler)
    try:
        nemo_logging.setLevel(logging.CRITICAL)
        logging.getLogger(name).warning("hidden")
        reset_process()
        logging.getLogger(name).warning("seen")
    finally:
        for handler in missing:
            logging.getLogger("nemo_logger").removeHandler(handler)
    assert caplog.messages == ["seen"]


def test_disabled_loggers_and_levels_are_undone(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("nemo_models.training.made_up")
    logger.disabled, logger.propagate = True, False
    logger.setLevel(logging.ERROR)
    logging.disable(logging.CRITICAL)
    reset_process()
    logger.warning("seen")
    assert caplog.messages == ["seen"]


SETTINGS = "torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_default_dtype()"


@pytest.mark.slow
def test_settings_of_torch_are_those_of_a_new_process():
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_float32_matmul_precision("high")
    torch.set_default_dtype(torch.float64)
    reset_process()
    command = [sys.executable, "-c", f"import torch; print({SETTINGS})"]
    new = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert new == list(map(str, eval(SETTINGS)))


def test_a_handler_that_was_left_behind_is_removed():
    signal.signal(signal.SIGTERM, lambda *_: None)
    reset_process()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a pool's forks end at `terminate`

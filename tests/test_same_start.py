"""No level that a test leaves behind hides the warnings of the next one."""

import logging

import pytest

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

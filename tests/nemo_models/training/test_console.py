import io
import logging
from pathlib import Path

import pytest

from nemo_models.training.console import hide_library_messages

HIDDEN = (
    "Dataset loaded with 4 files totalling 0.00 hours",
    "\n    Replacing placeholder number of classes (-1) with actual number of classes - 65",
    "The following configuration keys are ignored by Lhotse dataloader: parser,labels,augmentor",
)
SHOWN = (
    "Resuming training from checkpoint: x-last.ckpt",
    "WER reference:आज मौसम",
    "The following configuration keys are ignored by Lhotse dataloader: parser,labels,batch_duraton",
)


@pytest.mark.parametrize("name", ["", "nemo_logger"])
def test_the_terminal_lacks_what_repeats_the_configuration_and_files_have_everything(tmp_path: Path, name: str):
    terminal, logger = io.StringIO(), logging.getLogger(name)
    file = logging.FileHandler(tmp_path / "log.txt", encoding="utf-8")
    handlers: list[logging.Handler] = [logging.StreamHandler(terminal), file]
    before = {handler: list(handler.filters) for handler in logger.handlers}
    for handler in handlers:
        logger.addHandler(handler)
    try:
        hide_library_messages()
        for message in HIDDEN + SHOWN:
            logger.error(message)  # at any level
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        for handler, filters in before.items():
            handler.filters = filters
    assert terminal.getvalue() == "".join(f"{message}\n" for message in SHOWN)
    assert (tmp_path / "log.txt").read_text("utf-8") == "".join(f"{message}\n" for message in HIDDEN + SHOWN)

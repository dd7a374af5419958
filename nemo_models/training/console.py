"""Selects the messages of NeMo and Lightning that a terminal shows during a training.

The files in the run's folder (`nemo_log_*.txt`, `lightning_logs.txt`) still get every message.
"""

import logging
import re

HIDDEN = re.compile(
    r"\s*(?:"
    r"ExpManager schema|\{'explicit_log_dir'|TensorboardLogger has been set up|Preemption is supported only|"
    r"TFLOPs per sec|No version folders would be created|The checkpoint callback was told to monitor|"
    r"We will be using a Lhotse DataLoader|Creating a Lhotse|Dataset loaded with|\d+ files were filtered|"
    r"Replacing placeholder number of classes|num_classes of ConvASRDecoder|Optimizer config|Scheduler \"|"
    r"Checkpoint save for step|Epoch \d+, global step|[GTH]PU available|LOCAL_RANK|"
    # of these three, `parser` and `augmentor` are applied by this project, and `labels` by the model
    r"The following configuration keys are ignored by Lhotse dataloader: (?:(?:parser|labels|augmentor),?)+$"
    r")"
)
"""Messages that repeat the configuration or describe NeMo's inner workings."""


def hide_library_messages() -> None:
    """Hide NeMo's and Lightning's messages of `HIDDEN` from the terminal, but not from log files."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    return not HIDDEN.match(record.getMessage())

"""Errors of NeMo's and Lhotse's data readers as one line that names the item and the remedy."""

import re

from lhotse.audio.utils import AudioLoadingError

_TAR_MISMATCH = re.compile(
    r"JSON manifest \('(?P<manifest>.*?)'\) and tar file \('(?P<tar>.*?)'\)\. "
    r"Cannot locate JSON entry for tar file '(?P<member>.*?)'"
)
"""NeMo's message for a recording in a tar file without a row in the manifest."""


def explain_data_error(error: BaseException) -> str | None:
    """Describe an error of the training data in one line.

    Args:
        error: An error that ended the training; one from a worker process holds the original message.

    Returns:
        The line; `None` if the error has another cause.
    """
    if isinstance(error, AudioLoadingError):
        return f"{error}; scripts/check_manifest.py mode=fix writes a manifest without such rows"
    if found := _TAR_MISMATCH.search(str(error)):
        return (
            f"{found['tar']}: found {found['member']}, which {found['manifest']} does not list; export the shards "
            "again, or set +model.train_ds.skip_missing_manifest_entries=true to leave such recordings out"
        )
    return None

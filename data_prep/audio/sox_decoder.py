"""Decodes with the program sox what neither libsndfile nor FFmpeg reads: headerless telephony and rare formats."""

import logging
import shutil
import signal
from pathlib import Path

from data_prep.audio.errors import UnreadableAudioError

SOX_PACKAGES = "sox libsox-fmt-all"
# Signals that end a program and say nothing about the file that it was reading.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


def decode_with_sox(path: Path, target: Path, name: str) -> None:
    """Decode a file into 32-bit samples.

    Args:
        path: The file; sox takes the format from its content or its extension.
        target: The W64 file to write, which has no limit of 4 GiB.
        name: The file's name in messages.

    Raises:
        UnreadableAudioError: sox cannot read it, or is not installed.
        OSError: The disk is full, or sox was killed.
    """
    if not shutil.which("sox"):
        raise UnreadableAudioError(
            f"sox, which reads further formats, is not installed; run: apt-get install -y {SOX_PACKAGES}"
        )
    from sox.core import sox  # looks for the program when it is imported, hence after the check above

    logging.getLogger("sox").setLevel(logging.CRITICAL)
    source = str(path.resolve())
    status, _, message = sox(["-D", "-V1", source, "-t", "w64", "-e", "floating-point", "-b", "32", str(target)])
    if status in _KILLED:
        raise OSError(f"sox was killed while it decoded {name}; finished work is kept, run again")
    if status and shutil.disk_usage(target.parent).free < 1 << 20:
        raise OSError(f"{target}: the disk is full; make room and run again")
    if status:
        reason = " ".join((message or "").split()) or f"exit status {status} and no message"
        reason = reason.replace(source, name)
        raise UnreadableAudioError(reason if "sox" in reason else f"sox: {reason}")

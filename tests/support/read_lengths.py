"""Reads a file in the two ways of this project: `AudioReader` of data preparation, which refuses damaged files, and
`WaveformStream` of transcription, which gives what there is with a warning.
"""

import subprocess
from pathlib import Path

from data_prep.audio.errors import AudioError
from data_prep.audio.reader import AudioReader
from data_prep.audio.waveform import WaveformStream

RATE = 16_000


CODEC_S = 0.16  # what a codec adds or drops: two frames at each end, HE-AAC's of 43 ms at most


def prepare(path: Path, folder: Path) -> float | str:
    """Read a file as data preparation does: seconds, or the reason for its rejection."""
    with AudioReader(folder) as reader:
        try:
            return len(reader.read(str(path)).samples) / RATE
        except AudioError as error:
            return error.reason


def transcribe(path: Path) -> tuple[float, str | None]:
    """Read a file as transcription does: seconds and warning."""
    stream = WaveformStream(path)
    return sum(map(len, stream)) / RATE, stream.warning


def sox(*arguments: object, stdout: Path | None = None) -> None:
    done = subprocess.run(["sox", *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    if stdout:
        stdout.write_bytes(done.stdout)

"""Audio in, 16 kHz mono 16-bit out: what is already right stays where it is, the rest goes through sox."""

import logging
import shutil
import signal
from pathlib import Path

import soundfile

SAMPLE_RATE_HZ = 16_000
READY_CONTAINERS = ("WAV", "WAVEX", "FLAC")
_BLOCK_SAMPLES = 1 << 20
# Ends of sox that say nothing about the file it was reading.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class UnreadableAudioError(ValueError):
    """An audio file that no decoder at hand can read."""


class SoxMissingError(FileNotFoundError):
    """sox is needed and not installed: the job cannot go on, no single file is at fault."""


def is_ready(path: str | Path) -> bool:
    """Say whether a file already is 16 kHz mono 16-bit WAV or FLAC, by its header, whatever its name."""
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return False
    found = (info.samplerate, info.channels, info.subtype)
    return found == (SAMPLE_RATE_HZ, 1, "PCM_16") and info.format in READY_CONTAINERS


def count_samples(path: str | Path) -> int:
    """Decode a whole file and count its samples per channel; a header may promise what is not there.

    Raises:
        UnreadableAudioError: The file cannot be opened, or decoding stops with an error.
    """
    samples = 0
    try:
        with soundfile.SoundFile(str(path)) as audio:
            while block := len(audio.read(_BLOCK_SAMPLES, dtype="int16")):
                samples += block
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableAudioError(str(error).replace(f"{path}", Path(path).name)) from error
    return samples


def convert_audio(source: str | Path, target: str | Path) -> None:
    """Write a file's audio as 16 kHz mono 16-bit WAV with sox: channels averaged, no dither, guarded against clipping.

    Args:
        source: Any file that sox can read.
        target: Where the WAV goes; its folder must exist.

    Raises:
        UnreadableAudioError: sox cannot read the source; holds sox's message.
        SoxMissingError: There is no sox on the path.
        OSError: The target's disk is full, or sox was killed.
    """
    if not shutil.which("sox"):
        raise SoxMissingError(
            f"sox is not installed and {source} is not 16 kHz mono 16-bit; run: apt-get install -y sox libsox-fmt-all"
        )
    from sox.core import sox  # probes for the program when imported, hence not before the check above

    logging.getLogger("sox").setLevel(logging.CRITICAL)
    source, target = Path(source).resolve(), Path(target)
    output_format = ["-t", "wav", "-e", "signed-integer", "-b", "16", "-c", "1", "-r", str(SAMPLE_RATE_HZ)]
    status, _, message = sox(["-D", "-G", "-V1", str(source), *output_format, str(target)])
    if status in _KILLED:
        raise OSError(f"sox was killed while it converted {source}; finished shards are kept, run again")
    if status and shutil.disk_usage(target.parent).free < 1 << 20:
        raise OSError(f"{target}: the disk is full; make room and run again")
    if status:
        reason = " ".join((message or "").split()) or f"sox ended with status {status} and no message"
        raise UnreadableAudioError(reason.replace(str(source), source.name))

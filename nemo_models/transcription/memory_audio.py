"""Audio in memory: arrays, tensors and file objects, read by the same code as files, so that the text is the same."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import soundfile

from nemo_models.transcription.audio_reader import AudioError
from nemo_models.transcription.inputs import AudioInput, as_input, measure_durations

Audio: TypeAlias = Any
"""What can be transcribed: a path, an `AudioInput`, samples (a numpy array or a torch tensor), (samples, rate in Hz), a
mapping of `array` and `sampling_rate` (as the library datasets gives it), a file's bytes, or an open binary file."""
MOST_CHANNELS = 64
_SUBTYPES = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT"}
"""How samples are written, by their type: without loss."""


@dataclass(frozen=True, eq=False)
class MemoryAudio(AudioInput):
    """One piece of audio that is in memory. `path` is a name for messages and outputs.

    Attributes:
        samples: (n, channels) int16, int32 or float32, full scale 1.0; `None` if `content` holds a file.
        sample_rate_hz: Rate of the samples.
        content: A file's bytes, or a binary file object that is read when its turn comes.
    """

    samples: np.ndarray | None = None
    sample_rate_hz: int = 16_000
    content: Any = None


def as_inputs(audio: Audio | Iterable[Audio], sample_rate_hz: int) -> list[AudioInput]:
    """Make inputs of one piece of audio, or of several. An `AudioInput` stays as it is; others get their durations.

    Args:
        audio: See `Audio`. Samples are (n,) or, as soundfile gives them, (n, channels); a torch tensor is (n,) or, as
            torchaudio gives them, (channels, n). Integers are 16 or 32 bits; floats have full scale 1.0.
        sample_rate_hz: Rate of samples that come without one: the model's.

    Raises:
        ValueError: Something else is given, or samples of another shape or type.
    """
    pieces = [audio] if _is_single(audio) or not isinstance(audio, Iterable) else list(audio)
    inputs = [_as_input(piece, f"audio {number}", sample_rate_hz) for number, piece in enumerate(pieces)]
    new = [number for number, piece in enumerate(pieces) if isinstance(piece, Path | str)]
    for number, measured in zip(new, measure_durations(inputs[number] for number in new), strict=True):
        inputs[number] = measured
    return inputs


@contextmanager
def as_file(audio: AudioInput) -> Iterator[AudioInput]:
    """Give an input that is a file: the same one, or a temporary copy of what is in memory.

    Raises:
        AudioError: The file object cannot be read.
    """
    if not isinstance(audio, MemoryAudio):
        yield audio
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audio.w64"  # a format without a limit of 4 GB
        try:
            if audio.samples is not None:
                subtype = _SUBTYPES[audio.samples.dtype.name]
                soundfile.write(path, audio.samples, audio.sample_rate_hz, subtype, format="W64")
            else:
                path = path.with_name("audio")
                path.write_bytes(audio.content if isinstance(audio.content, bytes) else audio.content.read())
            yield replace(audio, path=path)
        except AudioError as error:
            raise AudioError(str(error).replace(str(path), str(audio.path))) from error
        except (OSError, ValueError, TypeError, soundfile.LibsndfileError) as error:
            raise AudioError(f"unreadable_audio: {audio.path}: {error}") from error


def _is_single(audio: Any) -> bool:
    is_pair = isinstance(audio, tuple) and len(audio) == 2 and _is_samples(audio[0]) and isinstance(audio[1], int)
    return (
        is_pair
        or isinstance(audio, AudioInput | Path | str | bytes | Mapping)
        or _is_samples(audio)
        or hasattr(audio, "read")
    )


def _is_samples(audio: Any) -> bool:
    return isinstance(audio, np.ndarray) or (hasattr(audio, "detach") and hasattr(audio, "numpy"))


def _as_input(audio: Any, name: str, sample_rate_hz: int) -> AudioInput:
    if isinstance(audio, AudioInput | Path | str):
        return as_input(audio)
    if isinstance(audio, Mapping) and {"array", "sampling_rate"} <= audio.keys():
        audio = audio["array"], audio["sampling_rate"]
    if isinstance(audio, io.TextIOBase):
        raise ValueError(f"{name}: found a file that is open as text, expected bytes; open it with mode 'rb'")
    if isinstance(audio, bytes) or hasattr(audio, "read"):
        name = str(getattr(audio, "name", name))
        return MemoryAudio(Path(name), fields={"audio_filepath": name}, content=audio)
    if isinstance(audio, tuple) and len(audio) == 2 and isinstance(audio[1], int | np.integer) and audio[1] > 0:
        audio, sample_rate_hz = audio[0], int(audio[1])
    if not _is_samples(audio):
        raise ValueError(
            f"{name}={type(audio).__name__}: expected a path, samples (numpy or torch), (samples, rate), "
            "{'array': …, 'sampling_rate': …}, bytes or an open binary file; convert it"
        )
    samples = _as_columns(audio, name)
    duration_s = len(samples) / sample_rate_hz
    fields = {"audio_filepath": name}
    return MemoryAudio(Path(name), 0.0, duration_s, fields, samples=samples, sample_rate_hz=sample_rate_hz)


def _as_columns(audio: Any, name: str) -> np.ndarray:
    """Return samples as (n, channels) of a type that a file can hold."""
    is_tensor = hasattr(audio, "detach")
    samples = np.asarray(audio.detach().cpu().float() if is_tensor and audio.is_floating_point() else audio)
    columns: Sequence[int] = samples.shape
    if samples.ndim == 1:
        samples = samples[:, None]
    elif samples.ndim == 2 and is_tensor:
        samples = samples.T
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= MOST_CHANNELS:
        expected = "(samples,) or (channels, samples)" if is_tensor else "(samples,) or (samples, channels)"
        raise ValueError(f"{name}: found shape {tuple(columns)}, expected {expected}; transpose or split it")
    if samples.dtype.kind == "f":
        samples = samples.astype(np.float32)
    if samples.dtype.name not in _SUBTYPES:
        raise ValueError(f"{name}: found {samples.dtype} samples, expected floats, int16 or int32; convert them")
    return np.ascontiguousarray(samples)

"""One transcript for each channel: the inputs of a job, multiplied by the channels of their files."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import soundfile

from data_prep.audio.opening import open_recording
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.memory_audio import MemoryAudio
from nemo_models.transcription.options import EACH_CHANNEL


def split_channels(inputs: Sequence[AudioInput], channel: int | str | None) -> list[AudioInput]:
    """Replace each input whose channels are all asked for by one input for each channel.

    Args:
        inputs: The inputs, each with its own choice of channel, if any.
        channel: The job's choice, see `TranscribeOptions.channel`.

    Returns:
        The inputs in order. One of a single channel, or whose channels cannot be counted, stays one input.
    """
    return [part for audio in inputs for part in _split(audio, audio.channel if audio.channel is not None else channel)]


def _split(audio: AudioInput, channel: int | str | None) -> Iterator[AudioInput]:
    if channel != EACH_CHANNEL or audio.error:
        yield audio
        return
    count = count_channels(audio)
    if count <= 1:
        yield replace(audio, channel=0)
        return
    yield from (replace(audio, channel=number, label=f"channel {number}") for number in range(count))


def count_channels(audio: AudioInput) -> int:
    """Return the number of channels of an input; 1 if it cannot be found out."""
    if isinstance(audio, MemoryAudio):
        return 1 if audio.samples is None else audio.samples.shape[1]
    try:
        recording = open_recording(audio.path)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError):  # reading it will say what is wrong
        return 1
    channels = recording.channels
    recording.close()
    return channels

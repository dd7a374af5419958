"""The rule for channels: what is averaged, what is refused, and when an average says that it is empty."""

import numpy as np
import pytest
import soundfile

from data_prep.audio.channels import ChannelMixer, check_channel
from data_prep.audio.errors import CancellingChannelsError, MissingChannelError, SeveralChannelsError
from data_prep.audio.measures import measure_channels
from data_prep.audio.reader import AudioReader

RATE = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def mix(samples: np.ndarray, channel: int | str | None = "auto", block: int = 4000) -> np.ndarray:
    mixer = ChannelMixer(samples.shape[1], channel)
    mixed = [mixer.mix(samples[start : start + block]) for start in range(0, len(samples), block)]
    mixer.check()
    return np.concatenate(mixed)


def test_two_channels_are_averaged_and_more_need_a_choice():
    samples = np.stack([noise(1, seed) for seed in range(6)], axis=1)
    assert np.allclose(mix(samples[:, :2]), samples[:, :2].mean(axis=1), atol=1e-7)
    assert np.allclose(mix(samples, "average"), samples.mean(axis=1), atol=1e-7)
    assert np.array_equal(mix(samples, 5), samples[:, 5])
    with pytest.raises(SeveralChannelsError, match="found 6 channels; choose 0 to 5, or average"):
        mix(samples)
    with pytest.raises(SeveralChannelsError, match="channel=None: found 2 channels; choose 0 to 1, or average"):
        mix(samples[:, :2], None)
    with pytest.raises(MissingChannelError, match="channel=6: found 6 channels, numbered from 0; choose 0 to 5"):
        mix(samples, 6)
    for channel in (None, "auto", "average", 0):
        assert np.array_equal(mix(samples[:, :1], channel), samples[:, 0])


@pytest.mark.parametrize("count", [2, 3, 6])
def test_channels_of_opposite_phase_are_an_error(count):
    voice = noise(2)
    samples = np.stack([voice * (-1) ** number for number in range(count)], axis=1)
    if count == 3:
        samples[:, 1] *= 2
    samples += 0.005 * np.stack([noise(2, 7 + number) for number in range(count)], axis=1)  # each cable's own noise
    with pytest.raises(CancellingChannelsError, match=r"the channels cancel .*; choose one"):
        mix(samples, "average")
    assert np.array_equal(mix(samples, 1), samples[:, 1])


def test_channels_that_do_not_cancel_pass():
    voice, silence = noise(2), np.zeros(2 * RATE, np.float32)
    for samples in (
        np.stack([voice, silence], axis=1),  # one speaker of a call
        np.stack([voice, noise(2, 1)], axis=1),  # two speakers at once
        np.stack([voice, -0.5 * voice], axis=1),  # a quarter of the level is left: audible
        np.stack([silence, silence], axis=1),  # nothing is there to cancel
        1e-4 * np.stack([voice, -voice], axis=1),  # below -90 dBFS: silence too
        np.full((100, 2), np.nan, np.float32),  # another check's fault
        np.zeros((0, 2), np.float32),
    ):
        assert len(mix(samples, block=1000) if len(samples) else ()) == len(samples)


def test_the_reader_refuses_opposite_phase_and_reports_correlation(tmp_path):
    voice = noise(2)
    soundfile.write(tmp_path / "wired_wrong.wav", np.stack([voice, -voice], axis=1), RATE)
    soundfile.write(tmp_path / "stereo.wav", np.stack([voice, 0.5 * voice], axis=1), RATE)
    with AudioReader(tmp_path) as reader:
        with pytest.raises(CancellingChannelsError) as caught:
            reader.read(str(tmp_path / "wired_wrong.wav"))
        assert caught.value.reason == "cancelling_channels"
        audio = reader.read(str(tmp_path / "wired_wrong.wav"), channel=0)
        assert audio.channels is not None and audio.channels.correlation == pytest.approx(-1, abs=1e-3)
        audio = reader.read(str(tmp_path / "stereo.wav"))
        assert audio.channels is not None and audio.channels.correlation == pytest.approx(1, abs=1e-3)
        assert not audio.channels.two_speakers


def test_two_speakers_of_a_call_are_recognised():
    """Turns of two seconds, each in one channel, with a little of the other heard through the wall."""
    turns = np.repeat(np.arange(10) % 2, 2 * RATE)
    first, second = noise(20, 1) * (turns == 0), noise(20, 2) * (turns == 1)
    room = 0.002 * np.stack([noise(20, 3), noise(20, 4)], axis=1)
    call = measure_channels(np.stack([first + 0.02 * second, second + 0.02 * first], axis=1) + room, RATE)
    assert call.two_speakers and call.correlation == pytest.approx(0, abs=0.1)
    assert call.dominance == (pytest.approx(0.5), pytest.approx(0.5)) and call.active_s == pytest.approx(20)
    one_voice = measure_channels(np.stack([first + second, 0.7 * (first + second)], axis=1) + room, RATE)
    assert not one_voice.two_speakers and one_voice.correlation == pytest.approx(1, abs=0.01)
    delayed = measure_channels(np.stack([first + second, np.roll(first + second, 40)], axis=1), RATE)
    assert not delayed.two_speakers  # two microphones in one room: unlike samples, the same loudness
    one_side = measure_channels(np.stack([first + second, 0 * first], axis=1) + room, RATE)
    assert not one_side.two_speakers and one_side.dominance == (pytest.approx(1), 0)
    row = call.as_row()
    assert row["channels"] == 2 and row["dominance"] == [0.5, 0.5] and row["active_s"] == 20
    assert measure_channels(np.zeros((10, 2), np.float32), RATE).as_row()["correlation"] is None


def test_real_recordings_of_two_channels(shared_data):
    """A telephone call with one speaker in each channel, and one speaker in stereo."""
    folder = shared_data / "odd_formats/audio"
    call = measure_channels(*soundfile.read(folder / "two-channel-16k.wav", dtype="float32"))
    assert call.two_speakers and call.correlation == pytest.approx(0, abs=0.05)
    one = measure_channels(*soundfile.read(folder / "uberi-audio-stereo-16-bit-44100Hz.wav", dtype="float32"))
    assert not one.two_speakers and one.correlation is not None and one.correlation > 0.9


@pytest.mark.parametrize("channel", ["left", -1, True, 1.0])
def test_choices_out_of_range_are_refused(channel):
    with pytest.raises(ValueError, match=f"channel_selector={channel}: expected auto, average"):
        check_channel(channel, "channel_selector")

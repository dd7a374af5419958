"""Which channel of a recording is used: one rule for data preparation and transcription.

Two channels are averaged. With more channels (a microphone array, film sound, one speaker in each) the user has to
choose. Channels of opposite phase (one cable with its wires swapped) would average to silence, so they are an error.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.arguments import is_int
from data_prep.audio.errors import CancellingChannelsError, MissingChannelError, SeveralChannelsError

AUTO, AVERAGE = "auto", "average"
MOST_AVERAGED = 2  # channels that `auto` averages
# Two channels of equal power and correlation r average to (1 + r) / 2 of their power: 5 % is r = -0.9. Speech in one
# channel alone gives 50 %, six unrelated channels 17 %.
LEAST_POWER_KEPT = 0.05
SILENCE_POWER = 10 ** (-70 / 10)  # of full scale; below it, phase is the phase of noise


def check_channel(channel: int | str | None, key: str = "channel", others: Sequence[str] = ()) -> int | str | None:
    """Check a choice of channel.

    Args:
        channel: `auto` (averages two channels, refuses more), `average`, a channel number from 0, or `None` (refuses
            several channels).
        key: The argument's name, for the message.
        others: Further words that the caller allows.

    Returns:
        The choice.

    Raises:
        ValueError: It is anything else.
    """
    words = (AUTO, AVERAGE, *others)
    if channel is None or channel in words or (is_int(channel) and int(channel) >= 0):
        return channel
    raise ValueError(f"{key}={channel}: expected {', '.join(words)}, a channel number from 0, or null")


class ChannelMixer:
    """Makes one channel of several, block by block, and finds out whether their average cancels."""

    def __init__(self, count: int, channel: int | str | None = AUTO) -> None:
        """Set up the choice for one recording.

        Args:
            count: Channels of the recording, from 1.
            channel: See `check_channel`.

        Raises:
            MissingChannelError: The recording has fewer channels.
            SeveralChannelsError: It has several, and none is chosen.
        """
        choices = f"choose 0 to {count - 1}, or average" if count > 1 else "choose 0, or average"
        if is_int(channel) and not 0 <= int(channel or 0) < count:
            raise MissingChannelError(f"channel={channel}: found {_count(count)}, numbered from 0; {choices}")
        if (channel is None and count > 1) or (channel == AUTO and count > MOST_AVERAGED):
            raise SeveralChannelsError(f"channel={channel}: found {_count(count)}; {choices}")
        self._picked = int(channel) if channel is not None and is_int(channel) else 0 if count == 1 else None
        self._power_before = self._power_after = 0.0
        self._samples = 0

    def mix(self, samples: np.ndarray) -> np.ndarray:
        """Make one channel of a block.

        Args:
            samples: (n, channels) float32, full scale 1.0.

        Returns:
            (n,) float32: the chosen channel, or the average.
        """
        if self._picked is not None:
            return samples[:, self._picked]
        planar = np.ascontiguousarray(samples.T)
        mixed = planar[0] + planar[1]  # five times as fast as mean(axis=1)
        for channel in planar[2:]:
            mixed += channel
        mixed /= len(planar)
        # einsum, because a product of BLAS would start threads for so little
        self._power_after += float(np.einsum("i,i->", mixed, mixed))
        self._power_before += float(np.einsum("ij,ij->", planar, planar)) / len(planar)
        self._samples += len(mixed)
        return mixed

    def check(self) -> None:
        """Check that the average of all blocks so far is not silence made of sound.

        Raises:
            CancellingChannelsError: The channels have opposite phase.
        """
        if not self._power_before > SILENCE_POWER * self._samples:
            return
        kept = self._power_after / self._power_before
        if kept < LEAST_POWER_KEPT:
            raise CancellingChannelsError(
                f"channel=average: the channels cancel (their average has {kept:.1%} of their power); choose one"
            )


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"

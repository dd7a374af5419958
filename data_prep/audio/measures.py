"""Measures of a recording for the quality limits, from one pass over its samples: level, clipping, noise, digest.

The signal-to-noise ratio is estimated from the power of 20 ms frames. The tenth percentile of the powers is the noise,
because read and broadcast speech pauses for more than a tenth of its time; the mean power minus the noise is the
speech. Frames of digital silence are left out, because they come from an editor, not from the room. Limits of this
estimate: noise that comes and goes with the speech (a noise gate, a codec) is not measured, the ratio of speech without
pauses or of a steady tone is too low, and fewer than 25 frames give no estimate.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

FRAME_SAMPLES = 320  # 20 ms at 16 kHz
COMPARED_EVERY = 5  # samples: power and correlation are the same of a part of them
CHANNEL_FRAME_S = 0.1  # one comparison of loudness between channels
DOMINANT_DB = 12.0  # louder than every other channel by so much: the speaker of this channel alone is heard
ACTIVE_BELOW_PEAK_DB = 30.0  # a frame is active that is at most so far below the loudest
LEAST_SHARE = 0.1  # of the active frames that each of two speakers has
MOST_CORRELATION = 0.5  # of two speakers' channels; one speaker in two microphones of a device has more
NOISE_PERCENTILE = 10
MIN_SNR_FRAMES = 25
SNR_RANGE_DB = (-20.0, 80.0)
SILENCE_RANGE = 2.5 / 2**15  # of samples without a signal, full scale 1.0: a step of 16 bits up and down, and rounding
_QUANTISATION_POWER = 1 / 12  # of 16-bit samples, in steps squared: no recording is less noisy
_FLAT_TOP_LEVEL = 0.1  # of full scale; quieter audio repeats its extreme by chance


@dataclass(frozen=True)
class AudioMeasures:
    """Measures of one recording or segment.

    Attributes:
        samples: Number of samples at 16 kHz.
        digest: First 32 hex digits of the SHA-256 of the 16-bit samples, the same for every file format.
        level_db: Root mean square, in decibels below full scale; -inf when every sample is 0.
        clipped: Share of samples, 0 to 1, that are the third or a later one in a row at the recording's own extreme.
        snr_db: Estimated signal-to-noise ratio in decibels; `None` if too little is there to say.
        not_finite: Number of samples that were NaN or infinite before conversion to 16 bits.
    """

    samples: int
    digest: str
    level_db: float
    clipped: float
    snr_db: float | None
    not_finite: int = 0

    def as_row(self) -> dict[str, Any]:
        """The measures of a recording that passed as JSON values, rounded to what is meaningful."""
        return {
            "samples": self.samples,
            "digest": self.digest,
            "level_db": None if math.isinf(self.level_db) else round(self.level_db, 1),
            "clipped": round(self.clipped, 6),
            "snr_db": None if self.snr_db is None else round(self.snr_db, 1),
        }


def measure_audio(samples: np.ndarray, source: np.ndarray | None = None) -> AudioMeasures:
    """Measure audio in memory.

    Args:
        samples: int16 (samples,), 16 kHz mono.
        source: float32 (frames, channels), what they were converted from, if from anything: mixing and resampling hide
            clipping, and 16 bits hold no NaN.

    Returns:
        The measures; clipping is the source's, all else the samples'.
    """
    frames = samples[: len(samples) - len(samples) % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype("float32")
    powers = np.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES
    rest = samples[frames.size :].astype("float64")
    energy = float(powers.sum(dtype="float64")) * FRAME_SAMPLES + float(rest @ rest)
    clipped, is_finite = _measure_clipping(
        samples[:, None] if source is None else source, 32768 if source is None else 1.0
    )
    return AudioMeasures(
        samples=len(samples),
        digest=hashlib.sha256(np.ascontiguousarray(samples, "<i2").data).hexdigest()[:32],
        level_db=10 * math.log10(energy / len(samples) / 32768**2) if energy else -math.inf,
        clipped=clipped,
        snr_db=_estimate_snr(powers),
        not_finite=0 if source is None or is_finite else int(source.size - np.count_nonzero(np.isfinite(source))),
    )


@dataclass(frozen=True)
class ChannelMeasures:
    """The similarity of the channels of a recording or segment.

    Attributes:
        correlation: Lowest Pearson correlation of two channels, -1 to 1; `None` if a channel is constant.
        dominance: For each channel, the share, 0 to 1, of the active frames (0.1 s) in which it is louder than every
            other channel by `DOMINANT_DB`. A caller's channel has the share of the time that the caller speaks.
        active_s: Active audio, in seconds; the weight of `dominance` when segments of one file are summed up.
    """

    correlation: float | None
    dominance: tuple[float, ...]
    active_s: float

    @property
    def two_speakers(self) -> bool:
        """Whether two channels look like two speakers: each is heard alone for a tenth of the time or more."""
        alone = sum(share >= LEAST_SHARE for share in self.dominance)
        return alone > 1 and (self.correlation is None or self.correlation < MOST_CORRELATION)

    def as_row(self) -> dict[str, Any]:
        """The measures as JSON values, rounded to what is meaningful."""
        return {
            "channels": len(self.dominance),
            "correlation": None if self.correlation is None else round(self.correlation, 3),
            "dominance": [round(share, 3) for share in self.dominance],
            "active_s": round(self.active_s, 1),
        }


def measure_channels(samples: np.ndarray, rate: int) -> ChannelMeasures:
    """Compare the channels of audio in memory.

    Args:
        samples: float32 (frames, channels), two channels or more.
        rate: Their sampling rate, in hertz.

    Returns:
        The measures. Samples that are not finite give no correlation.
    """
    planar = np.ascontiguousarray(samples.T[:, ::COMPARED_EVERY])
    size = max(1, round(CHANNEL_FRAME_S * rate / COMPARED_EVERY))
    frames = planar[:, : planar.shape[1] // size * size].reshape(len(planar), -1, size)
    power = np.einsum("ijk,ijk->ji", frames, frames).astype("float64")
    loudest = power.max(axis=1, initial=0.0)
    active = loudest > loudest.max(initial=0.0) * 10 ** (-ACTIVE_BELOW_PEAK_DB / 10)
    ordered = np.sort(power[active], axis=1)
    alone = ordered[:, -1] > ordered[:, -2] * 10 ** (DOMINANT_DB / 10)
    winners = np.bincount(power[active].argmax(axis=1)[alone], minlength=len(planar))
    shares = tuple(float(share) for share in winners / max(1, int(active.sum())))
    return ChannelMeasures(_correlate(planar), shares, float(active.sum()) * CHANNEL_FRAME_S)


def _correlate(planar: np.ndarray) -> float | None:
    """Return the lowest correlation of two channels of samples (channels, frames)."""
    count = planar.shape[1]
    if count < 2:
        return None
    means = np.array([float(channel.mean()) for channel in planar])
    # einsum, because a matrix product would start threads for so little
    products = np.zeros((len(planar), len(planar)))
    for row, column in zip(*np.triu_indices(len(planar)), strict=True):
        products[row, column] = products[column, row] = np.einsum("i,i->", planar[row], planar[column])
    covariance = products / count - np.outer(means, means)
    deviations = np.sqrt(np.maximum(covariance.diagonal(), 0))
    if not (np.isfinite(covariance).all() and (deviations > 1e-6).all()):
        return None
    pairs = (covariance / np.outer(deviations, deviations))[np.triu_indices(len(planar), 1)]
    return float(pairs.min().clip(-1, 1))


def _measure_clipping(samples: np.ndarray, full_scale: float) -> tuple[float, bool]:
    """Return the share of the worst channel of samples (frames, channels), and whether all samples are finite."""
    worst, is_finite = 0, True
    for channel in np.ascontiguousarray(samples.T) if len(samples) else ():  # in strides, it takes twenty times as long
        extremes = channel.max(), channel.min()  # NaN where there is one
        is_finite = is_finite and all(math.isfinite(extreme) for extreme in extremes)
        worst = max(worst, sum(_count_flat(channel, extreme, full_scale) for extreme in extremes))
    return worst / max(1, len(samples)), is_finite


def _count_flat(channel: np.ndarray, extreme: Any, full_scale: float) -> int:
    if not abs(float(extreme)) >= _FLAT_TOP_LEVEL * full_scale:  # NaN is reported elsewhere
        return 0
    at_extreme = np.flatnonzero(channel == extreme)
    return int(np.count_nonzero(at_extreme[2:] - at_extreme[:-2] == 2))


def _estimate_snr(powers: np.ndarray) -> float | None:
    powers = powers[powers > 0]
    if len(powers) < MIN_SNR_FRAMES:
        return None
    noise = max(_find_percentile(powers, NOISE_PERCENTILE), _QUANTISATION_POWER)
    speech = float(powers.mean(dtype="float64")) - noise
    if speech <= 0:
        return SNR_RANGE_DB[0]
    return min(max(10 * math.log10(speech / noise), SNR_RANGE_DB[0]), SNR_RANGE_DB[1])


def _find_percentile(values: np.ndarray, percent: int) -> float:
    """Return what numpy.percentile returns, interpolated linearly; that takes twenty times as long for so few."""
    place = (len(values) - 1) * percent / 100
    low = int(place)
    ordered = np.partition(values, (low, min(low + 1, len(values) - 1)))
    lower, upper = float(ordered[low]), float(ordered[min(low + 1, len(values) - 1)])
    return lower + (upper - lower) * (place - low)

"""What the gates need to know about a recording, from one pass over its samples: level, clipping, noise, digest.

The signal-to-noise ratio is a frame-energy estimate. The power of each 20 ms frame is taken; the tenth percentile over
the frames is the noise, because read and broadcast speech pauses for more than a tenth of its time; the mean over the
frames, less that noise, is the speech. Frames of digital silence are left out: they are an editor's, not the room's.
What follows from that: noise that comes and goes with the speech (a gate, a codec) is not seen, speech without pauses
or a steady tone is estimated too low, and nothing is said about fewer than 25 frames.
"""

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy

FRAME_SAMPLES = 320  # 20 ms at 16 kHz
NOISE_PERCENTILE = 10
MIN_SNR_FRAMES = 25
SNR_RANGE_DB = (-20.0, 80.0)
_QUANTISATION_POWER = 1 / 12  # of 16-bit samples, in steps squared: no recording is less noisy
_FLAT_TOP_LEVEL = 0.1  # of full scale; quieter audio repeats its extreme by chance


@dataclass(frozen=True)
class AudioMeasures:
    """Measures of one recording or segment.

    Attributes:
        samples: Number of samples at 16 kHz.
        digest: First 32 hex digits of the SHA-256 of the 16-bit samples, whatever file format holds them.
        level_db: Root mean square, in decibels below full scale; -inf when every sample is 0.
        clipped: Share of samples, 0 to 1, that are the third or a later one in a row at the recording's own extreme.
        snr_db: Estimated signal-to-noise ratio in decibels; `None` where too little is there to say.
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
        row = asdict(self)
        del row["not_finite"]
        snr = None if self.snr_db is None else round(self.snr_db, 1)
        level = None if math.isinf(self.level_db) else round(self.level_db, 1)
        return {**row, "level_db": level, "clipped": round(self.clipped, 6), "snr_db": snr}


def measure_audio(samples: numpy.ndarray, source: numpy.ndarray | None = None) -> AudioMeasures:
    """Measure audio in memory.

    Args:
        samples: int16 (samples,), 16 kHz mono.
        source: float32 (frames, channels), what they were converted from, if from anything: mixing and resampling hide
            clipping, and 16 bits hold no NaN.

    Returns:
        The measures; clipping is the source's, all else the samples'.
    """
    frames = samples[: len(samples) - len(samples) % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype("float32")
    powers = numpy.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES
    rest = samples[frames.size :].astype("float64")
    energy = float(powers.sum(dtype="float64")) * FRAME_SAMPLES + float(rest @ rest)
    not_finite = 0
    if source is not None:
        not_finite = int(source.size - numpy.count_nonzero(numpy.isfinite(source)))
    return AudioMeasures(
        samples=len(samples),
        digest=hashlib.sha256(samples.astype("<i2", copy=False).tobytes()).hexdigest()[:32],
        level_db=10 * math.log10(energy / len(samples) / 32768**2) if energy else -math.inf,
        clipped=_measure_clipping(samples[:, None] if source is None else source, 32768 if source is None else 1.0),
        snr_db=_estimate_snr(powers),
        not_finite=not_finite,
    )


def _measure_clipping(samples: numpy.ndarray, full_scale: float) -> float:
    """Return the share of the worst channel of samples (frames, channels)."""
    if not len(samples):
        return 0.0
    return max(
        sum(_count_flat(channel, channel.dtype.type(extreme), full_scale) for extreme in (channel.max(), channel.min()))
        for channel in samples.T
    ) / len(samples)


def _count_flat(channel: numpy.ndarray, extreme: Any, full_scale: float) -> int:
    if not abs(float(extreme)) >= _FLAT_TOP_LEVEL * full_scale:  # NaN is told elsewhere
        return 0
    at_extreme = channel == extreme
    return int(numpy.count_nonzero(at_extreme[2:] & at_extreme[1:-1] & at_extreme[:-2]))


def _estimate_snr(powers: numpy.ndarray) -> float | None:
    powers = powers[powers > 0]
    if len(powers) < MIN_SNR_FRAMES:
        return None
    noise = max(float(numpy.percentile(powers, NOISE_PERCENTILE)), _QUANTISATION_POWER)
    speech = float(powers.mean(dtype="float64")) - noise
    if speech <= 0:
        return SNR_RANGE_DB[0]
    return min(max(10 * math.log10(speech / noise), SNR_RANGE_DB[0]), SNR_RANGE_DB[1])

"""Measures of the audio that explain errors: the noise of each utterance, and inserted words that fall on silence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.audio.channels import AVERAGE
from data_prep.audio.shared import SharedRecordings
from data_prep.audio.waveform import WaveformStream
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import ScoredUtterance, System
from nemo_models.evaluation.steps import list_steps

FRAME_S = 0.02
SILENCE_BELOW_DB = 30.0
"""A word is at a silence if its level is this far below the loud parts (95th percentile) of its utterance."""
MOST_UTTERANCES = 5000
SAMPLE_RATE_HZ = 16_000
_LONGEST_S = 600.0


@dataclass
class AudioEvidence:
    """Measures of the audio of a test set.

    Attributes:
        snr_db: Estimate for each utterance: loud frames (95th percentile) over quiet ones (10th); `None`: not read.
        insertions_at_silence: For each system: inserted words at a silence, inserted words whose place is known.
        unread: Recordings that could not be read.
    """

    snr_db: list[float | None]
    insertions_at_silence: list[tuple[int, int]]
    unread: list[str] = field(default_factory=list)


def find_audio(row_audio: str, folder: Path) -> Path:
    """Return the path of a row's recording: relative to the references' folder, or to the working directory."""
    path = Path(row_audio).expanduser()
    return path if not (folder / path).is_file() and path.is_file() else folder / path


def measure_evidence(
    utterances: Sequence[ScoredUtterance], systems: Sequence[System], scores: Sequence[LayeredScore], folder: Path
) -> AudioEvidence:
    """Read the utterances' audio and measure it.

    Args:
        utterances: The test set; of more than `MOST_UTTERANCES` only the first are read.
        systems: Systems whose inserted words are looked at.
        scores: Their scores.
        folder: Folder at which relative paths begin.
    """
    evidence = AudioEvidence([None] * len(utterances), [])
    counts = [[0, 0] for _ in systems]
    read = utterances[:MOST_UTTERANCES]
    recordings = SharedRecordings(Counter(find_audio(utterance.row.audio, folder) for utterance in read))
    for number, utterance in enumerate(read):
        levels = _read_levels(utterance, folder, recordings)
        if levels is None:
            evidence.unread.append(utterance.row.audio)
            continue
        loud, quiet = np.percentile(levels, [95, 10])
        evidence.snr_db[number] = float(loud - quiet)
        for count, system, score in zip(counts, systems, scores, strict=True):
            row = system.rows[number]
            if not score.errors[number] or not row.words:
                continue
            for step in list_steps(score, number):
                if step.kind == "insertion" and step.hyp_word < len(row.words):
                    word = row.words[step.hyp_word]
                    part = levels[
                        int(word.start_s / FRAME_S) : max(int(word.end_s / FRAME_S), int(word.start_s / FRAME_S) + 1)
                    ]
                    if len(part):
                        count[1] += 1
                        count[0] += bool(part.max() < loud - SILENCE_BELOW_DB)
    evidence.insertions_at_silence = [(silent, known) for silent, known in counts]
    return evidence


def read_samples(
    path: Path, offset_s: float, duration_s: float, recordings: SharedRecordings | None = None
) -> np.ndarray:
    """Read a part of a recording, with all channels averaged.

    Args:
        path: The recording.
        offset_s: Where the part begins, in seconds.
        duration_s: Its length in seconds; less is returned where the recording ends before.
        recordings: The recordings of which several parts are read.

    Returns:
        (n,) float32 samples at `SAMPLE_RATE_HZ`, full scale 1.0.

    Raises:
        AudioError: The recording cannot be read.
    """
    wanted = round(duration_s * SAMPLE_RATE_HZ)
    blocks, found = [np.zeros(0, np.float32)], 0
    for block in WaveformStream(path, offset_s, None, AVERAGE, SAMPLE_RATE_HZ, recordings):
        blocks.append(block)
        found += len(block)
        if found >= wanted:
            break
    return np.concatenate(blocks)[:wanted]


def _read_levels(utterance: ScoredUtterance, folder: Path, recordings: SharedRecordings) -> np.ndarray | None:
    """Return the level of each frame in dB, or `None` if the audio cannot be read."""
    path, row, step = find_audio(utterance.row.audio, folder), utterance.row, round(FRAME_S * SAMPLE_RATE_HZ)
    try:
        samples = read_samples(path, row.offset_s, min(row.duration_s or _LONGEST_S, _LONGEST_S), recordings)
    except (OSError, ValueError):
        return None
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    return None if not len(frames) else np.asarray(10 * np.log10(np.square(frames).mean(axis=1) + 1e-10))

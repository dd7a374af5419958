"""What the audio itself says about errors: how noisy an utterance is, and which inserted words fall on silence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import System, Utterance
from nemo_models.evaluation.steps import list_steps

FRAME_S = 0.02
SILENCE_BELOW_DB = 30.0
"""A word is at a silence if its level is this far below the loud parts (95th percentile) of its utterance."""
MOST_UTTERANCES = 5000
_LONGEST_S = 600.0


@dataclass
class AudioEvidence:
    """What was measured.

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


def measure_audio(
    utterances: Sequence[Utterance], systems: Sequence[System], scores: Sequence[LayeredScore], folder: Path
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
    for number, utterance in enumerate(utterances[:MOST_UTTERANCES]):
        levels = _read_levels(utterance, folder)
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


def _read_levels(utterance: Utterance, folder: Path) -> np.ndarray | None:
    """Return the level of each frame in dB, or `None` where the audio cannot be read."""
    path, row = find_audio(utterance.row.audio, folder), utterance.row
    try:
        with soundfile.SoundFile(path) as file:
            file.seek(min(int(row.offset_s * file.samplerate), file.frames))
            length = min(row.duration_s or _LONGEST_S, _LONGEST_S)
            samples = file.read(int(length * file.samplerate), dtype="float32", always_2d=True).mean(axis=1)
            step = int(FRAME_S * file.samplerate)
    except (OSError, RuntimeError, ValueError):
        return None
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    return None if not len(frames) else np.asarray(10 * np.log10(np.square(frames).mean(axis=1) + 1e-10))

"""The arguments of `scripts/make_tiny_checkpoint.py` and their types; the YAML in `conf/` has the defaults.

This module imports nothing large, because `--help` loads it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class AugmentationSettings:
    """Augmentation of each training utterance."""

    speed: float
    noise_db: list[float]
    tilt: float


@dataclass(frozen=True)
class TinyCheckpointSettings:
    """All arguments; the comments in `conf/make_tiny_checkpoint.yaml` explain them."""

    train_corpora: list[Path]
    valid_corpora: list[Path]
    work_dir: Path
    output_dir: Path
    seed: int
    threads: int
    max_minutes: float
    max_steps: int
    evaluate_minutes: float
    batch_seconds: float
    learning_rate: float
    warmup_steps: int
    final_scale: float
    weight_decay: float
    grad_clip: float
    bf16: bool
    augment: AugmentationSettings
    model: dict[str, Any]

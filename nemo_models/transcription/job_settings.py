"""The arguments of `scripts/transcribe_speech.py` and their types; `conf/transcribe_speech.yaml` has the defaults.

This module imports nothing large, because `--help` loads it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_models.transcription.subtitles import SubtitleSettings


@dataclass(frozen=True)
class BoostingSettings:
    """Phrases that `beam_batch` prefers."""

    phrases_file: str | None
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class RecogniserArguments:
    """Arguments of every job with a recogniser: model, audio, number format, decoding, language."""

    model_path: Path | None
    pretrained_name: str | None
    channel_selector: int | str | None
    window_s: float
    batch_size: int
    num_workers: int
    cuda: int | None
    compute_dtype: str | None
    amp: bool
    amp_dtype: str
    matmul_precision: str
    ctc_decoding: dict[str, Any]
    boosting: BoostingSettings
    language: str | None


@dataclass(frozen=True, kw_only=True)
class TextFormArguments:
    """Arguments that the server shares with transcription: the form of the texts."""

    itn: bool
    itn_digits: str
    subtitles: SubtitleSettings


@dataclass(frozen=True, kw_only=True)
class TranscribeSettings(RecogniserArguments, TextFormArguments):
    """All arguments; the comments in `conf/transcribe_speech.yaml` explain them."""

    dataset_manifest: str | None
    audio_dir: str | None
    audio_list: str | list[str] | None
    audio_key: str
    audio_type: str | None
    output_filename: str | None
    append_pred: bool
    pred_name_postfix: str | None
    overwrite_transcripts: bool
    timestamps: bool | None
    confidence: bool
    extract_nbest: bool
    output_formats: list[str]
    formats_dir: str | None
    presort_manifest: bool
    devices: int | None
    engine: str
    address: str | None
    calculate_rtfx: bool
    warmup_steps: int
    calculate_wer: bool
    gt_text_attr_name: str

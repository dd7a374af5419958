"""The arguments of `scripts/transcribe_speech.py` and their types; `conf/transcribe_speech.yaml` has the defaults.

Hydra checks every argument against these types. This module imports nothing large, for it is loaded before `--help`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

if TYPE_CHECKING:
    Text = str
else:
    Text = int | str  # a name such as 2024 is a number for Hydra; `read_settings` makes it a text


@dataclass
class BoostingSettings:
    """Phrases that `beam_batch` prefers."""

    phrases_file: Text | None = None
    weight: float | None = None


@dataclass
class SubtitleArguments:
    """The form of subtitles, see `subtitles.SubtitleSettings`."""

    line_characters: int = MISSING
    lines: int = MISSING
    longest_cue_s: float = MISSING
    shortest_cue_s: float = MISSING
    pause_s: float = MISSING
    closed_gap_s: float = MISSING


@dataclass
class TranscribeSettings:
    """All arguments; the comments in `conf/transcribe_speech.yaml` explain them."""

    model_path: Text | None
    pretrained_name: Text | None
    dataset_manifest: Text | None
    audio_dir: Text | None
    audio_list: Any  # a text, or a list of texts
    audio_key: Text
    audio_type: Text | None
    channel_selector: int | str | None
    window_s: float
    output_filename: Text | None
    append_pred: bool
    pred_name_postfix: Text | None
    overwrite_transcripts: bool
    timestamps: bool | None
    confidence: bool
    extract_nbest: bool
    output_formats: Any  # a text, or a list of texts
    formats_dir: Text | None
    itn: bool
    itn_digits: Text
    batch_size: int
    num_workers: int
    presort_manifest: bool
    cuda: int | None
    devices: int | None
    engine: Text
    address: Text | None
    compute_dtype: Text | None
    amp: bool
    amp_dtype: Text
    matmul_precision: Text
    calculate_rtfx: bool
    warmup_steps: int
    calculate_wer: bool
    gt_text_attr_name: Text
    ctc_decoding: dict[str, Any]
    subtitles: SubtitleArguments = field(default_factory=SubtitleArguments)
    boosting: BoostingSettings = field(default_factory=BoostingSettings)


_NUMBERS_ARE_MEANT = {"channel_selector"}
_TEXT_TYPES = (Text, Text | None)


def read_settings(arguments: Mapping[str, Any]) -> TranscribeSettings:
    """Make settings of a job's arguments, which Hydra has checked against `TranscribeSettings`.

    Args:
        arguments: Plain containers. Further arguments are ignored.

    Raises:
        ValueError: `audio_list` or `output_formats` is neither a text nor a list of texts.
    """
    values = {one.name: arguments[one.name] for one in fields(TranscribeSettings)}
    for one in fields(TranscribeSettings):
        if one.type in _TEXT_TYPES and one.name not in _NUMBERS_ARE_MEANT and values[one.name] is not None:
            values[one.name] = str(values[one.name])
    audio_list = values["audio_list"]
    values["audio_list"] = audio_list if audio_list is None else _texts("audio_list", audio_list)
    if isinstance(audio_list, int | str):
        values["audio_list"] = values["audio_list"][0]
    values["output_formats"] = _texts("output_formats", values["output_formats"])
    boosting = BoostingSettings(**values["boosting"])
    if boosting.phrases_file is not None:
        boosting.phrases_file = str(boosting.phrases_file)
    groups = {"boosting": boosting, "subtitles": SubtitleArguments(**values["subtitles"])}
    return TranscribeSettings(**{**values, **groups})


def _texts(key: str, value: Any) -> list[str]:
    items = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | str) or item == "":
            raise ValueError(f"{key}={item}: expected a text; quote it: '{key}=\"{item}\"'")
    return [str(item) for item in items]

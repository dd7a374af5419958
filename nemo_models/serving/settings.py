"""The arguments of `scripts/serve.py` and their types; `conf/serve.yaml` has the defaults.

Hydra checks every argument against these types. This module imports nothing large, for it is loaded before `--help`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

from data_prep.arguments import list_values, require_int, require_number
from nemo_models.transcription.job_settings import BoostingSettings, SubtitleArguments

if TYPE_CHECKING:
    Text = str
else:
    Text = int | str  # a name such as 2024 is a number for Hydra; `read_settings` makes it a text


@dataclass
class StreamArguments:
    """When live streams give results, see `stream_audio.StreamOptions`."""

    step_s: float = MISSING
    left_context_s: float = MISSING
    right_context_s: float = MISSING
    endpoint_s: float = MISSING
    utterance_s: float = MISSING
    silence_s: float = MISSING


@dataclass
class ServeSettings:
    """All arguments; the comments in `conf/serve.yaml` explain them."""

    model_path: Text | None
    pretrained_name: Text | None
    model_names: Any  # a text, or a list of texts
    host: Text
    port: int
    api_key_file: Text | None
    channel_selector: int | str | None
    window_s: float
    itn: bool
    itn_digits: Text
    cuda: int | None
    compute_dtype: Text | None
    amp: bool
    amp_dtype: Text
    matmul_precision: Text
    batch_size: int
    num_workers: int
    batch_audio_s: float
    batch_wait_ms: float
    max_requests: int
    max_connections: int
    max_streams: int
    max_upload_mb: float
    max_audio_s: float
    timeout_s: float
    client_timeout_s: float
    shutdown_s: float
    temporary_dir: Text | None
    ctc_decoding: dict[str, Any]
    subtitles: SubtitleArguments = field(default_factory=SubtitleArguments)
    stream: StreamArguments = field(default_factory=StreamArguments)
    boosting: BoostingSettings = field(default_factory=BoostingSettings)


_TEXTS = (
    *("model_path", "pretrained_name", "host", "api_key_file", "itn_digits", "compute_dtype", "amp_dtype"),
    *("matmul_precision", "temporary_dir"),
)


def read_settings(arguments: Mapping[str, Any]) -> ServeSettings:
    """Make settings of a job's arguments, which Hydra has checked against `ServeSettings`.

    Args:
        arguments: Plain containers. Further arguments are ignored.

    Raises:
        ValueError: An argument is out of range.
    """
    values = {one.name: arguments[one.name] for one in fields(ServeSettings)}
    values |= {key: str(values[key]) for key in _TEXTS if values[key] is not None}
    values["model_names"] = [str(name) for name in list_values(values["model_names"])]
    boosting = BoostingSettings(**values["boosting"])
    if boosting.phrases_file is not None:
        boosting.phrases_file = str(boosting.phrases_file)
    values |= {"boosting": boosting, "subtitles": SubtitleArguments(**values["subtitles"])}
    values["stream"] = StreamArguments(**values["stream"])
    settings = ServeSettings(**values)
    require_number("port", settings.port, 0, 65535)
    require_int("max_connections", settings.max_connections, 1)
    require_int("max_streams", settings.max_streams)
    for key in ("max_upload_mb", "timeout_s", "client_timeout_s"):
        require_number(key, values[key], above=0)
    require_number("shutdown_s", settings.shutdown_s, 0)
    return settings

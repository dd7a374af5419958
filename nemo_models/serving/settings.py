"""The arguments of `scripts/serve.py` and their types; `conf/serve.yaml` has the defaults.

This module imports nothing large, because `--help` loads it.
"""

from dataclasses import dataclass
from pathlib import Path

from data_prep.arguments import require_choice, require_int, require_number
from data_prep.engines import ENGINES
from nemo_models.serving.cluster_options import ClusterOptions
from nemo_models.serving.decoding_pool import DecodingLimits
from nemo_models.serving.stream_audio import StreamOptions
from nemo_models.serving.voice_activity import KINDS
from nemo_models.transcription.job_settings import RecogniserArguments, TextFormArguments
from nemo_models.transcription.options import EACH_CHANNEL


@dataclass(frozen=True, kw_only=True)
class ServeSettings(RecogniserArguments, TextFormArguments):
    """All arguments; the comments in `conf/serve.yaml` explain them.

    Raises:
        ValueError: An argument is out of range.
    """

    model_names: list[str]
    host: str
    port: int
    api_key_file: Path | None
    batch_audio_s: float | None
    batch_wait_ms: float
    parallel_batches: int | None
    max_requests: int
    max_connections: int
    max_streams: int
    max_upload_mb: float
    max_audio_s: float
    decoder_memory_mb: int
    decoder_cpu_s: float
    timeout_s: float
    client_timeout_s: float
    start_timeout_s: float
    shutdown_s: float
    temporary_dir: Path | None
    vad: str
    engine: str
    replicas: int
    address: str | None
    replica_cores: int
    replica_gpus: int
    stream: StreamOptions

    def __post_init__(self) -> None:
        require_number("port", self.port, 0, 65535)
        require_choice("vad", self.vad, KINDS)
        require_choice("engine", self.engine, ENGINES)
        ClusterOptions(self.replicas, self.address, self.replica_cores, self.replica_gpus)  # checks them
        for key, value, usual in (("replicas", self.replicas, 1), ("address", self.address, None)):
            if self.engine == "local" and value != usual:
                raise ValueError(f"{key}={value}: expected {usual or 'null'} with engine=local; set engine=ray")
        require_int("parallel_batches", self.parallel_batches, 1, optional=True)
        require_int("max_connections", self.max_connections, 1)
        require_int("max_streams", self.max_streams)
        for key in ("max_upload_mb", "timeout_s", "client_timeout_s", "start_timeout_s"):
            require_number(key, getattr(self, key), above=0)
        require_number("shutdown_s", self.shutdown_s, 0)
        DecodingLimits(self.decoder_memory_mb, self.decoder_cpu_s, self.max_audio_s)  # checks them
        if self.channel_selector == EACH_CHANNEL:
            raise ValueError(
                "channel_selector=each: expected auto, average, a channel number from 0, or null; change it"
            )

"""`scripts/serve.py` from its settings to a running server."""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any

from data_prep.text.inverse_numbers import make_number_writer
from nemo_models.files.model_language import read_folds, read_letters
from nemo_models.inference.model_loading import choose_device
from nemo_models.serving.application import make_application
from nemo_models.serving.client_languages import load_languages
from nemo_models.serving.cluster import start_replicas
from nemo_models.serving.cluster_options import ClusterOptions
from nemo_models.serving.decoding_pool import DecodingLimits, DecodingPool
from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.metrics import ServerMetrics
from nemo_models.serving.phrases import can_prefer_phrases, read_prompt
from nemo_models.serving.recogniser import ModelRecogniser
from nemo_models.serving.replica import ModelFacts
from nemo_models.serving.request_guard import KEY_VARIABLE, read_keys
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.settings import ServeSettings
from nemo_models.serving.tasks import ServingEngine
from nemo_models.serving.uploads import UploadFolder, UploadLimits
from nemo_models.serving.voice_activity import OpenVoiceActivity, load_voice_activity
from nemo_models.serving.web_server import make_server
from nemo_models.transcription.command import check_number_writing, find_language, make_recogniser_settings, read_config
from nemo_models.transcription.transcribe import Transcriber
from nemo_models.transcription.workers import load_recogniser

BATCH_AUDIO_S = {"cuda": 120.0, "cpu": 20.0}  # a larger batch is no faster there; others wait longer
MOST_PARALLEL_BATCHES = 4  # with more, Python's one lock between them becomes the limit of a small network


def run_server(settings: ServeSettings) -> None:
    """Serve as `conf/serve.yaml` describes, until a signal ends it.

    Args:
        settings: All arguments.

    Raises:
        FileNotFoundError: The model, a language model or the file of keys does not exist.
        OSError: The port is in use.
        ValueError: An argument is out of range.
    """
    keys = read_keys(settings.api_key_file, os.environ)
    uploads = UploadFolder(settings.temporary_dir)
    usual, tempfile.tempdir = tempfile.tempdir, str(uploads.path)  # a server that is killed leaves this folder only
    try:
        _serve(settings, keys, uploads)
    finally:
        uploads.close()
        tempfile.tempdir = usual


def _serve(settings: ServeSettings, keys: Sequence[str], uploads: UploadFolder) -> None:
    load = load_served_model if settings.engine == "local" else start_served_replicas
    served = load(settings, uploads)
    application = make_application(served, keys, settings.max_connections, settings.shutdown_s)
    server = make_server(application, served, settings.host, settings.port, settings.shutdown_s)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("nemo_models.serving").setLevel(logging.INFO)
    try:
        listener = server.config.bind_socket()
    except SystemExit:  # uvicorn has logged why
        raise OSError(f"port={settings.port}: expected a free port that this user may open; choose another") from None
    print(describe_address(settings.host, listener.getsockname()[1], bool(keys)), flush=True)
    server.run(sockets=[listener])


def load_served_model(settings: ServeSettings, uploads: UploadFolder) -> ServedModel:
    """Load the model and set up everything around it.

    Args:
        settings: All arguments.
        uploads: Folder of the uploads.

    Raises:
        FileNotFoundError: The model or a language model does not exist.
        ValueError: An argument is out of range.
    """
    surroundings = _prepare(settings)
    transcriber = load_transcriber(settings)
    decoders = DecodingPool(
        settings.num_workers,
        DecodingLimits(settings.decoder_memory_mb, settings.decoder_cpu_s, settings.max_audio_s),
        uploads.path,
    )
    recogniser = ModelRecogniser(transcriber, settings.boosting.weight, decoders)
    path = settings.model_path
    facts = ModelFacts(
        names=(path.stem if path else str(settings.pretrained_name), *settings.model_names),
        created=int(path.stat().st_mtime if path else time.time()),
        sample_rate_hz=recogniser.sample_rate_hz,
        frame_step=recogniser.frame_step,
        vocabulary=tuple(recogniser.vocabulary),
        gives_words=transcriber.gives_words,
        prefers_phrases=can_prefer_phrases(transcriber.model),
    )
    engine = RecognitionEngine(recogniser, surroundings.limits)
    return _make_served(settings, uploads, engine, facts, surroundings, decoders)


def start_served_replicas(settings: ServeSettings, uploads: UploadFolder) -> ServedModel:
    """Start replicas on Ray Serve, each of which loads the model, and set up everything around them.

    Args:
        settings: All arguments.
        uploads: Folder of the uploads.

    Raises:
        FileNotFoundError: The model does not exist on this machine.
        OSError: Ray cannot be reached, or the replicas do not start.
        ValueError: An argument is out of range.
    """
    if settings.model_path and not settings.model_path.is_file():
        raise FileNotFoundError(f"model_path={settings.model_path}: found no such file; check the path")
    surroundings = _prepare(settings)
    options = ClusterOptions(settings.replicas, settings.address, settings.replica_cores, settings.replica_gpus)
    load = partial(load_served_model, settings)
    engine, facts = start_replicas(load, options, surroundings.limits, settings.temporary_dir)
    return _make_served(settings, uploads, engine, facts, surroundings)


@dataclass(frozen=True)
class _Surroundings:
    """What is set up and checked before the model is loaded, which takes long."""

    limits: EngineLimits
    language: str
    config: Mapping[str, Any]
    write_numbers: Callable[[str], str] | None
    open_voice_activity: OpenVoiceActivity | None


def _prepare(settings: ServeSettings) -> _Surroundings:
    device = choose_device(settings.cuda).type
    limits = EngineLimits(
        settings.max_requests,
        settings.num_workers,
        settings.batch_size,
        BATCH_AUDIO_S[device] if settings.batch_audio_s is None else settings.batch_audio_s,
        settings.batch_wait_ms,
        settings.parallel_batches or choose_parallel_batches(device),
        settings.max_audio_s,
    )
    language = find_language(settings.language, settings.model_path)
    if settings.itn:
        check_number_writing(language)
    write_numbers = make_number_writer(settings.itn_digits) if settings.itn else None
    config = read_config(settings.model_path)
    return _Surroundings(limits, language, config, write_numbers, load_voice_activity(settings.vad))


def choose_parallel_batches(device: str) -> int:
    """Return how many batches go through the model at a time, where nobody has said it.

    Args:
        device: `cpu` or `cuda`.
    """
    import torch

    return min(MOST_PARALLEL_BATCHES, torch.get_num_threads()) if device == "cpu" else 1


def _make_served(
    settings: ServeSettings,
    uploads: UploadFolder,
    engine: ServingEngine,
    facts: ModelFacts,
    surroundings: _Surroundings,
    decoders: DecodingPool | None = None,
) -> ServedModel:
    labels, language = list(facts.vocabulary), surroundings.language
    languages = load_languages(language)
    letters = read_letters(surroundings.config, languages[0].code)
    prefers_phrases = facts.prefers_phrases and len(languages) == 1  # a phrase is normalised by one language's rules
    return ServedModel(
        engine=engine,
        names=list(dict.fromkeys(facts.names)),
        created=facts.created,
        uploads=uploads,
        metrics=ServerMetrics(),
        upload_limits=UploadLimits(round(settings.max_upload_mb * 1e6), settings.client_timeout_s),
        timeout_s=settings.timeout_s,
        gives_words=facts.gives_words,
        read_prompt=(lambda prompt: read_prompt(prompt, labels, language, letters)) if prefers_phrases else None,
        write_numbers=surroundings.write_numbers,
        subtitles=settings.subtitles,
        stream_options=settings.stream,
        max_streams=settings.max_streams,
        start_timeout_s=settings.start_timeout_s,
        open_voice_activity=surroundings.open_voice_activity,
        decoders=decoders,
        languages=languages,
        folds=read_folds(surroundings.config),
    )


def load_transcriber(settings: ServeSettings) -> Transcriber:
    """Load the model as `transcribe_speech.py` does with the same arguments.

    Args:
        settings: All arguments.

    Raises:
        FileNotFoundError: The model or a language model does not exist.
        ValueError: An argument is out of range.
    """
    return load_recogniser(make_recogniser_settings(settings), choose_device(settings.cuda))


def describe_address(host: str, port: int, has_keys: bool) -> str:
    """Say where the server listens, and warn if everybody on the network may use it."""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    shown = f"[{host}]" if ":" in host else host
    lines = [f"http://{shown}:{port}/v1 is the API; for a browser: http://{shown}:{port}/"]
    if not (is_local or has_keys):
        lines.append(f"warning: other machines may use this server without a key; set {KEY_VARIABLE} or api_key_file")
    return "\n".join(lines)

"""Transcription on several devices or machines: one process a device, or a Ray cluster, over shards of the inputs.

A worker loads the model once and is given some minutes of audio at a time. What it gives back are transcripts, with
their inputs' positions in the whole, so that the job goes on as with one device: the same rows, the same journal.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.engines import Engine, count_cores
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcript_files import Transcript

if TYPE_CHECKING:
    import torch

Recognise = Callable[..., Iterator[Transcript]]
"""`transcribe` with a model and options: takes the inputs and, if wanted, `on_audio`."""
SHARD_S = 600.0  # seconds of audio in a shard: a killed worker costs no more; half a minute on a GPU at 20 x real time
WARMUP_S = 10.0  # of noise, in each utterance of a batch
SHARDS_A_WORKER = 4  # at least, where there is enough, so that all end at about the same time
ASSUMED_WORKERS = 16  # where the size of a cluster is not known
_loaded: list[Any] = []  # in a worker: the settings that its model was loaded for, and the recogniser


@dataclass(frozen=True)
class RecogniserSettings:
    """What a process needs to transcribe as the job would, wherever it is.

    Attributes:
        model_path: The `.nemo`, or
        pretrained_name: what NeMo's `from_pretrained` takes.
        compute_dtype: See `set_compute_dtype`, as the next two.
        amp: See there.
        amp_dtype: See there.
        matmul_precision: torch's, for float32 matrices.
        decoding: NeMo's decoding settings, in plain containers.
        boosting: Phrases to prefer, see `configure_decoding`.
        options: Keywords of `transcribe`.
        warmup_batches: Batches of noise before the first input.
        threads: Of torch; `None`: its own choice.
    """

    model_path: Path | None
    pretrained_name: str | None = None
    compute_dtype: str | None = None
    amp: bool = False
    amp_dtype: str = "float16"
    matmul_precision: str = "highest"
    decoding: Mapping[str, Any] | None = None
    boosting: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    warmup_batches: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class _Shard:
    """Some inputs of a job, with their positions among all, and the folder where relative paths start."""

    folder: Path
    settings: RecogniserSettings
    use_cuda: bool
    indices: tuple[int, ...]
    inputs: tuple[AudioInput, ...]


def open_recogniser(settings: RecogniserSettings, engine: Engine, device: "torch.device") -> Recognise:
    """Make ready to transcribe: in this process where one local worker is asked for, else in several.

    Args:
        settings: What is done with each input.
        engine: See `make_engine`.
        device: Of this process.

    Raises:
        FileNotFoundError: There is no such model or language model. With several processes, they tell it later.
        ValueError: A setting cannot be; likewise.
    """
    if engine.name == "local" and engine.num_workers == 1:
        return load_recogniser(settings, device)
    return partial(transcribe_in_workers, settings, engine)


def load_recogniser(settings: RecogniserSettings, device: "torch.device") -> Recognise:
    """Load a model as a job wants it.

    Raises:
        FileNotFoundError: There is no such model or language model.
        ValueError: A setting cannot be.
    """
    import torch

    from nemo_models.decoding.strategy import configure_decoding
    from nemo_models.inference.log_probs import compute_log_probs
    from nemo_models.inference.model_loading import load_ctc_model, set_compute_dtype
    from nemo_models.transcription.transcribe import transcribe

    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.set_float32_matmul_precision(settings.matmul_precision)
    model = load_ctc_model(settings.model_path, settings.pretrained_name, device)
    autocast_dtype = set_compute_dtype(model, settings.compute_dtype, settings.amp, settings.amp_dtype)
    configure_decoding(model, settings.decoding, settings.boosting)
    for _ in range(settings.warmup_batches):
        noise = np.random.default_rng(0).standard_normal(round(WARMUP_S * model.cfg.sample_rate)).astype(np.float32)
        compute_log_probs(model, [noise] * settings.options.get("batch_size", 1), autocast_dtype)
    return partial(transcribe, model, autocast_dtype=autocast_dtype, **settings.options)


def transcribe_in_workers(
    settings: RecogniserSettings,
    engine: Engine,
    inputs: Sequence[AudioInput],
    on_audio: Callable[[float], object] | None = None,
) -> Iterator[Transcript]:
    """Transcribe as `transcribe` does, in several processes.

    Args:
        settings: What each worker does.
        engine: Where they are; its `num_workers` is the number of devices.
        inputs: With their durations, where these are known.
        on_audio: Called with the seconds of audio that are done since the last call.

    Yields:
        One transcript for each input, in any order; `index` is its position.

    Raises:
        OSError: A worker died and could not be made up for; the transcripts that have been given are sound.
    """
    workers = engine.num_workers or ASSUMED_WORKERS
    shards = [
        _Shard(
            Path.cwd(),
            replace(settings, threads=engine.task_cores),
            engine.task_gpus > 0,
            tuple(indices),
            tuple(inputs[index] for index in indices),
        )
        for indices in cut_shards([audio.expected_s for audio in inputs], workers)
    ]
    for transcripts in engine.run(_transcribe_shard, shards):
        if on_audio:
            on_audio(sum(transcript.duration_s for transcript in transcripts))
        yield from transcripts


def cut_shards(durations_s: Sequence[float], workers: int) -> list[list[int]]:
    """Cut inputs into shards of like lengths, the longest first.

    Args:
        durations_s: Seconds of each input.
        workers: That will share them.

    Returns:
        Positions, each in exactly one shard. A shard holds at most `SHARD_S` of audio, or one input, and no more than
        leaves each worker `SHARDS_A_WORKER` of them.
    """
    order = sorted(range(len(durations_s)), key=lambda index: -durations_s[index])
    limit_s = min(SHARD_S, sum(durations_s) / (SHARDS_A_WORKER * workers))
    most = max(1, -(-len(order) // (SHARDS_A_WORKER * workers)))  # where lengths are not known
    shards: list[list[int]] = []
    held_s = 0.0
    for index in order:
        if not shards or held_s + durations_s[index] > limit_s or (held_s == 0.0 and len(shards[-1]) >= most):
            shards.append([])
            held_s = 0.0
        shards[-1].append(index)
        held_s += durations_s[index]
    return shards


def make_engine(name: str, devices: int | None, address: str | None, use_cuda: bool) -> Engine:
    """Choose where the workers are.

    Args:
        name: `local` or `ray`.
        devices: Workers: CUDA devices, or processes that share the CPU's cores; on Ray the most at a time, `None` as
            many as the cluster holds.
        address: Of the Ray cluster; `None` starts one on this machine.
        use_cuda: Whether each worker takes a CUDA device.

    Raises:
        ValueError: An unknown engine, a number below 1, or an address without Ray.
    """
    if devices is not None and (isinstance(devices, bool) or not isinstance(devices, int) or devices < 1):
        raise ValueError(f"devices={devices}: expected a whole number from 1, or null")
    workers = devices if name == "ray" else devices or 1
    cores = 1 if use_cuda else max(1, count_cores() // (workers or 1)) if workers else 1
    return Engine(name, workers, address, start_method="spawn", task_cores=cores, task_gpus=int(use_cuda))


def _transcribe_shard(shard: _Shard) -> list[Transcript]:
    os.chdir(shard.folder)  # Ray's workers are elsewhere
    transcripts = _recogniser_of_process(shard)(shard.inputs)
    return [replace(transcript, index=shard.indices[transcript.index]) for transcript in transcripts]


def _recogniser_of_process(shard: _Shard) -> Recognise:
    """Load the model in this worker, or find it there: a Ray worker may serve several jobs."""
    import torch
    from nemo.utils import logging

    if not _loaded or _loaded[0] != shard.settings:
        logging.setLevel(logging.ERROR)
        _loaded.clear()  # before another one is loaded: two may not fit
        device = torch.device("cuda", _own_device(torch.cuda.device_count())) if shard.use_cuda else torch.device("cpu")
        _loaded.extend((shard.settings, load_recogniser(shard.settings, device)))
    return _loaded[1]


def _own_device(count: int) -> int:
    """The CUDA device of this process: Ray shows each worker its own one only, a pool's processes are numbered."""
    identity = current_process()._identity  # type: ignore[attr-defined]  # (1,), (2,), … in a pool, () elsewhere
    return (identity[0] - 1) % count if identity else 0

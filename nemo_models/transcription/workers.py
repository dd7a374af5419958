"""Transcription on several devices or machines: one process for each device, or a Ray cluster.

A worker loads the model once and transcribes the job in parts of some minutes of audio. It returns transcripts with
their inputs' positions in the whole job, so rows and journal are the same as with one device.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.arguments import require_int
from data_prep.engines import Engine, count_cores
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.transcripts import Transcript

if TYPE_CHECKING:
    import torch

    from nemo_models.transcription.transcribe import Transcriber

Recognise = Callable[..., Iterator[Transcript]]
"""`Transcriber.transcribe`: takes the inputs and, if wanted, `on_audio`."""
PART_S = 600.0  # seconds of audio in a part: a killed worker costs no more; half a minute on a GPU at 20 x real time
WARMUP_S = 10.0  # of noise, in each utterance of a batch
PARTS_A_WORKER = 4  # at least, if there is enough audio, so that all workers end at about the same time
ASSUMED_WORKERS = 16  # if the size of a cluster is not known
_loaded: list[Any] = []  # in a worker: the settings that its model was loaded for, and its recogniser


@dataclass(frozen=True)
class RecogniserSettings:
    """Settings with which every process of a job transcribes in the same way.

    Attributes:
        model_path: The `.nemo` file; `None` with `pretrained_name`.
        pretrained_name: A name that NeMo's `from_pretrained` accepts; `None` with `model_path`.
        compute_dtype: See `set_compute_dtype`, as for the next two.
        amp: See `set_compute_dtype`.
        amp_dtype: See `set_compute_dtype`.
        matmul_precision: torch's precision for float32 matrices.
        decoding: NeMo's decoding settings, in plain containers.
        boosting: Phrases to prefer, see `configure_decoding`.
        options: Options of the transcription; `autocast_dtype` follows from `amp`.
        warmup_batches: Number of batches of noise before the first input.
        threads: Number of torch's threads; `None`: its own choice.
        dropout: Probability with which the encoder's dropouts switch units off, see `enable_dropout`; 0: none, as is
            usual for a trained model.
        dropout_seed: Seed of the choice of these units.
    """

    model_path: Path | None
    pretrained_name: str | None = None
    compute_dtype: str | None = None
    amp: bool = False
    amp_dtype: str = "float16"
    matmul_precision: str = "highest"
    decoding: Mapping[str, Any] | None = None
    boosting: Any = None
    options: TranscribeOptions = field(default_factory=TranscribeOptions)
    warmup_batches: int = 0
    threads: int | None = None
    dropout: float = 0.0
    dropout_seed: int = 0


@dataclass(frozen=True)
class _Part:
    """Some inputs of a job, with their positions among all, and the folder where relative paths start."""

    folder: Path
    settings: RecogniserSettings
    use_cuda: bool
    indices: tuple[int, ...]
    inputs: tuple[AudioInput, ...]


def open_recogniser(settings: RecogniserSettings, engine: Engine, device: "torch.device") -> Recognise:
    """Prepare to transcribe: in this process if one local worker is asked for, else in several.

    Args:
        settings: What is done with each input.
        engine: See `make_engine`.
        device: Device of this process.

    Raises:
        FileNotFoundError: A model or language model does not exist. With several workers the error is raised on first
            use.
        ValueError: A setting is out of range; likewise.
    """
    if engine.name == "local" and engine.num_workers == 1:
        return load_recogniser(settings, device).transcribe
    return partial(transcribe_in_workers, settings, engine)


def load_recogniser(settings: RecogniserSettings, device: "torch.device") -> "Transcriber":
    """Load a model as a job wants it.

    Raises:
        FileNotFoundError: The model or language model does not exist.
        ValueError: A setting is out of range.
    """
    import torch

    from nemo_models.decoding.strategy import configure_decoding
    from nemo_models.inference.model_loading import load_ctc_model, set_compute_dtype
    from nemo_models.layers.dropout import enable_dropout
    from nemo_models.transcription.transcribe import Transcriber

    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.set_float32_matmul_precision(settings.matmul_precision)
    model = load_ctc_model(settings.model_path, settings.pretrained_name, device)
    if settings.dropout:  # the fast encoder of the CPU has no dropout; amp leaves the encoder as it is
        autocast_dtype = set_compute_dtype(model, amp=True, amp_dtype=settings.amp_dtype if settings.amp else "float32")
    else:
        autocast_dtype = set_compute_dtype(model, settings.compute_dtype, settings.amp, settings.amp_dtype)
    configure_decoding(model, settings.decoding, settings.boosting, settings.options.language)
    transcriber = Transcriber(model, replace(settings.options, autocast_dtype=autocast_dtype))
    if settings.dropout:
        torch.manual_seed(settings.dropout_seed)
        enable_dropout(model.encoder, settings.dropout)
    for _ in range(settings.warmup_batches):
        length = round(WARMUP_S * transcriber.sample_rate_hz)
        noise = np.random.default_rng(0).standard_normal(length).astype(np.float32)
        transcriber.compute([noise] * settings.options.batch_size)
    return transcriber


def transcribe_in_workers(
    settings: RecogniserSettings,
    engine: Engine,
    inputs: Sequence[AudioInput],
    on_audio: Callable[[float], object] | None = None,
) -> Iterator[Transcript]:
    """Transcribe as `Transcriber.transcribe` does, in several processes.

    Args:
        settings: What each worker does.
        engine: Where the workers run; its `num_workers` is the number of devices.
        inputs: The inputs, with their durations if these are known.
        on_audio: Function that is called with the seconds of audio done since the last call.

    Yields:
        One transcript for each input, in any order; `index` is its position.

    Raises:
        OSError: A worker died and retries failed; the transcripts so far are complete.
    """
    workers = engine.num_workers or ASSUMED_WORKERS
    parts = [
        _Part(
            Path.cwd(),
            replace(settings, threads=engine.task_cores),
            engine.task_gpus > 0,
            tuple(indices),
            tuple(inputs[index] for index in indices),
        )
        for indices in cut_parts([audio.expected_s for audio in inputs], workers)
    ]
    for transcripts in engine.run(_transcribe_part, parts):
        if on_audio:
            on_audio(sum(transcript.duration_s for transcript in transcripts))
        yield from transcripts


def cut_parts(durations_s: Sequence[float], workers: int) -> list[list[int]]:
    """Cut inputs into parts of similar lengths, the longest first.

    Args:
        durations_s: Seconds of each input.
        workers: Number of workers that share them.

    Returns:
        Positions, each in exactly one part. A part holds at most `PART_S` of audio, or one input, and little enough
        that each worker gets `PARTS_A_WORKER` parts.
    """
    order = sorted(range(len(durations_s)), key=lambda index: -durations_s[index])
    limit_s = min(PART_S, sum(durations_s) / (PARTS_A_WORKER * workers))
    most = max(1, -(-len(order) // (PARTS_A_WORKER * workers)))  # if lengths are not known
    parts: list[list[int]] = []
    held_s = 0.0
    for index in order:
        if not parts or held_s + durations_s[index] > limit_s or (held_s == 0.0 and len(parts[-1]) >= most):
            parts.append([])
            held_s = 0.0
        parts[-1].append(index)
        held_s += durations_s[index]
    return parts


def make_engine(name: str, devices: int | None, address: str | None, use_cuda: bool) -> Engine:
    """Choose where the workers run.

    Args:
        name: `local` or `ray`.
        devices: Number of workers: CUDA devices, or processes that share the CPU's cores. On Ray the largest number at
            a time; `None`: as many as the cluster holds.
        address: Address of the Ray cluster; `None` starts one on this machine.
        use_cuda: Whether each worker takes a CUDA device.

    Raises:
        ValueError: An unknown engine, a number below 1, or an address without Ray.
    """
    require_int("devices", devices, 1, optional=True)
    workers = devices if name == "ray" else devices or 1
    cores = 1 if use_cuda else max(1, count_cores() // (workers or 1)) if workers else 1
    return Engine(name, workers, address, start_method="spawn", task_cores=cores, task_gpus=int(use_cuda))


def _transcribe_part(part: _Part) -> list[Transcript]:
    os.chdir(part.folder)  # Ray's workers are elsewhere
    transcripts = _recogniser_of_process(part)(part.inputs)
    return [replace(transcript, index=part.indices[transcript.index]) for transcript in transcripts]


def _recogniser_of_process(part: _Part) -> Recognise:
    """Return this worker's recogniser, loaded if necessary: a Ray worker may serve several jobs."""
    import torch
    from nemo.utils import logging

    if not _loaded or _loaded[0] != part.settings:
        logging.setLevel(logging.ERROR)
        _loaded.clear()  # before another one is loaded: two may not fit
        device = torch.device("cuda", _own_device(torch.cuda.device_count())) if part.use_cuda else torch.device("cpu")
        _loaded.extend((part.settings, load_recogniser(part.settings, device).transcribe))
    return _loaded[1]


def _own_device(count: int) -> int:
    """Return this process' CUDA device: Ray shows each worker only its own, a pool's processes are numbered."""
    identity = current_process()._identity  # type: ignore[attr-defined]  # (1,), (2,), … in a pool, () elsewhere
    return (identity[0] - 1) % count if identity else 0

"""Fine-tunes a tiny model in separate processes that tests may kill, forked from one that has imported NeMo."""

import io
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from project import ROOT
from topology import architecture

CONF = ROOT / "conf"
SENTENCES = ("आज मौसम", "पानी दीजिए", "बच्चे खेल रहे हैं", "कल गाँव")
SETTINGS = {
    "init_from_checkpoint": "null",
    "trainer.max_steps": 8,
    "trainer.accumulate_grad_batches": 2,
    "trainer.limit_train_batches": 6,  # epochs end within the run
    "trainer.val_check_interval": 3,  # every other time while gradients accumulate
    "trainer.log_every_n_steps": 1,
    "+trainer.enable_progress_bar": "false",
    "model.train_ds.batch_duration": 3,
    "model.train_ds.num_buckets": 2,
    "model.train_ds.bucket_buffer_size": 8,
    "model.train_ds.shuffle_buffer_size": 8,
    "model.encoder.layerdrop": 0.3,  # all randomness is on
    "model.encoder.hidden_dropout": 0.1,
    "model.encoder.mask_time_prob": 0.3,
    "model.encoder.mask_time_length": 4,
    "model.freeze_updates.modules.encoder": 2,
    "watch.resume_every_n_updates": 1,
}
"""Eight updates of two batches each over 20 short utterances, with the encoder frozen for the first."""


def write_data(folder: Path, utterances: int = 20) -> dict[str, str]:
    """Write noise with texts and two manifests; return the settings that name them."""
    from data_prep.manifest import write_jsonl

    rows = []
    for number in range(utterances + 4):
        samples = np.random.default_rng(number).normal(scale=0.1, size=16000 + 400 * number)
        soundfile.write(folder / f"{number}.wav", samples, 16000)
        text = SENTENCES[number % 4]
        rows.append({"audio_filepath": f"{number}.wav", "duration": len(samples) / 16000, "text": text})
    write_jsonl(folder / "train.json", rows[:utterances])
    write_jsonl(folder / "valid.json", rows[utterances:])
    return {
        "model.train_ds.manifest_filepath": str(folder / "train.json"),
        "model.validation_ds.manifest_filepath": str(folder / "valid.json"),
    }


Moment = tuple[str, int]
"""A kind of moment in a training, and the number of earlier moments of that kind in the process."""


def run_job(
    settings: Mapping[str, Any],
    kill_at: Moment | None = None,
    processes: int = 1,
    target: Callable[..., None] | None = None,
) -> int | None:
    """Fine-tune in new processes; several are started as `torchrun` starts them.

    Args:
        settings: Overrides of the tiny job's settings.
        kill_at: Moment to end the one process with `kill -9`; a process that never reaches it ends normally.
        processes: Number of processes.
        target: Function of a module that runs in each process instead of the fine-tuning; it gets the settings alone,
            without those of the tiny job.

    Returns:
        The exit status; of several, the first that is not 0. A killed process has -9.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nemo_models.training.finetuning"])
    given = {**SETTINGS, **settings} if target is None else settings
    overrides = [key if key.startswith("~") else f"{key}={value}" for key, value in given.items()]
    port = _free_port()
    started, (here, there) = [], context.Pipe(duplex=False)
    for rank in range(processes):
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
        variables = {name: str(value) for name, value in environment.items()} if processes > 1 else {}
        started.append(context.Process(target=target or _fine_tune, args=(overrides, kill_at, there, variables)))
        started[-1].start()
    there.close()
    if kill_at is not None and _has_arrived(here):
        started[0].kill()
    for process in started:
        process.join(timeout=300)
        if process.is_alive():  # hangs
            process.kill()
    return next((process.exitcode for process in started if process.exitcode != 0), 0)


def _has_arrived(connection: Connection) -> bool:
    try:
        return connection.poll(300) and bool(connection.recv())
    except EOFError:  # it has ended
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def compose(overrides: Sequence[str]) -> Any:
    """Compose the configuration of the tiny job with overrides as on the command line."""
    from hydra import compose, initialize_config_dir
    from omegaconf import open_dict

    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("xlsr_tiny_hi", overrides=list(overrides))
    with open_dict(cfg):
        cfg.model.encoder.architecture = architecture()
    return cfg


def _fine_tune(
    overrides: Sequence[str], kill_at: Moment | None, parent: Connection, environment: Mapping[str, str]
) -> None:
    import torch

    os.environ.update(environment)
    # as from the command line; workers of a fork server would not notice that this process was killed
    multiprocessing.set_start_method("fork", force=True)

    from nemo_models.training.finetuning import fine_tune

    torch.set_num_threads(1)
    if kill_at is not None:
        wait_at(kill_at, parent)
    fine_tune(compose(overrides))


MOMENTS = ("batch", "gradient", "updated", "validation", "checkpoint", "half written", "written", "in place")
"""For each batch: fetched, gradients computed, weights updated. Then: a batch of validation. For a checkpoint: nothing
written yet, half written. For a checkpoint, the picture or the `.nemo`: all written, moved to its place."""


def wait_at(moment: Moment, parent: Connection) -> None:
    """Report when this process reaches a moment, and then wait to be killed."""
    import torch

    from nemo_models.ctc_model import XLSRCTCModel
    from nemo_models.training.resume import ResumeCheckpoint
    from nemo_models.training.watch import TrainingWatch

    passed = dict.fromkeys(MOMENTS, 0)

    def pass_by(kind: str) -> None:
        if (kind, passed[kind]) == moment:
            parent.send(True)
            time.sleep(600)
        passed[kind] += 1

    def around(owner: type, name: str, before: str | None = None, after: str | None = None) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if before is not None:
                pass_by(before)
            result = original(*args, **kwargs)
            if after is not None:
                pass_by(after)
            return result

        setattr(owner, name, wrapped)

    around(TrainingWatch, "on_train_batch_start", before="batch")
    around(XLSRCTCModel, "on_after_backward", after="gradient")
    around(ResumeCheckpoint, "on_train_batch_end", before="updated")
    around(TrainingWatch, "on_validation_batch_start", before="validation")
    around(Path, "replace", before="written", after="in place")
    save = torch.save

    def save_in_halves(content: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        if not hasattr(file, "write"):  # NeMo saves into a temporary folder
            return save(content, file, *args, **kwargs)
        pass_by("checkpoint")
        save(content, buffer := io.BytesIO(), *args, **kwargs)
        half = len(buffer.getvalue()) // 2
        file.write(buffer.getvalue()[:half])
        file.flush()
        pass_by("half written")
        file.write(buffer.getvalue()[half:])

    torch.save = save_in_halves

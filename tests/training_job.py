"""Fine-tuning of a tiny model in processes of their own that tests may kill, forked from one that has imported NeMo."""

import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from topology import architecture

CONF = Path(__file__).resolve().parents[1] / "conf"
SENTENCES = ("आज मौसम", "पानी दीजिए", "बच्चे खेल रहे हैं", "कल गाँव")
SETTINGS = {
    "init_from_xlsr": "null",
    "trainer.max_steps": 8,
    "trainer.accumulate_grad_batches": 2,
    "trainer.limit_train_batches": 6,  # epochs end within the run
    "trainer.val_check_interval": 4,
    "trainer.log_every_n_steps": 1,
    "+trainer.enable_progress_bar": "false",
    "model.train_ds.batch_duration": 3,
    "model.train_ds.num_buckets": 2,
    "model.train_ds.bucket_buffer_size": 8,
    "model.train_ds.shuffle_buffer_size": 8,
    "model.encoder.layerdrop": 0.3,  # everything random is on
    "model.encoder.hidden_dropout": 0.1,
    "model.encoder.mask_time_prob": 0.3,
    "model.encoder.mask_time_length": 4,
    "model.freeze_updates.modules.encoder": 2,
    "watch.resume_every_n_updates": 1,
}
"""Eight updates of two batches each over 20 short utterances, with the encoder frozen for the first."""


def write_data(folder: Path, utterances: int = 20) -> dict[str, str]:
    """Write noise with texts to it as two manifests; gives the settings that name them."""
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


def run_job(settings: Mapping[str, Any], kill_after_batches: int | None = None, processes: int = 1) -> int | None:
    """Fine-tune in processes of their own, as `torchrun` would start them if they are several.

    Returns:
        The exit status, the first that is not 0 of several; minus nine where it killed itself as asked.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nemo_models.training.finetuning"])
    given = {**SETTINGS, **settings}
    overrides = [key if key.startswith("~") else f"{key}={value}" for key, value in given.items()]
    port = _free_port()
    started = []
    for rank in range(processes):
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
        variables = {name: str(value) for name, value in environment.items()} if processes > 1 else {}
        started.append(context.Process(target=_fine_tune, args=(overrides, kill_after_batches, variables)))
        started[-1].start()
    for process in started:
        process.join(timeout=300)
        if process.is_alive():  # hangs
            process.kill()
    return next((process.exitcode for process in started if process.exitcode != 0), 0)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def compose(overrides: Sequence[str]) -> Any:
    """The configuration of the tiny job with overrides as on the command line."""
    from hydra import compose, initialize_config_dir
    from omegaconf import open_dict

    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("xlsr_tiny_hi", overrides=list(overrides))
    with open_dict(cfg):
        cfg.model.encoder.architecture = architecture()
    return cfg


def _fine_tune(overrides: Sequence[str], kill_after_batches: int | None, environment: Mapping[str, str]) -> None:
    import torch

    os.environ.update(environment)
    # as in a command of its own; workers from a fork server would not notice that this process was killed
    multiprocessing.set_start_method("fork", force=True)

    from nemo_models.training.finetuning import fine_tune
    from nemo_models.training.resume import ResumeCheckpoint

    torch.set_num_threads(1)
    if kill_after_batches is not None:
        seen = ResumeCheckpoint.on_train_batch_end
        trained = []

        def kill(self: Any, *args: Any) -> None:
            seen(self, *args)
            trained.append(1)
            if len(trained) == kill_after_batches:
                os.kill(os.getpid(), signal.SIGKILL)

        ResumeCheckpoint.on_train_batch_end = kill  # type: ignore[method-assign]
    fine_tune(compose(overrides))

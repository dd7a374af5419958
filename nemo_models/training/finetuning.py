"""Fine-tuning: from a pretrained encoder and two manifests to one `.nemo`, with NeMo's trainer and exp_manager."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lhotse.audio.utils import AudioLoadingError
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from nemo.utils.exp_manager import exp_manager
from nemo.utils.get_rank import is_global_rank_zero
from nemo.utils.trainer_utils import resolve_trainer_cfg
from omegaconf import DictConfig

from data_prep.languages.union import join_languages
from data_prep.text.alphabet import load_alphabet
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.checkpoint_files import CheckpointFiles, load_training_checkpoint
from nemo_models.inference.processor import has_bfloat16
from nemo_models.layers.fsdp import SHARDED, ShardedStrategy
from nemo_models.layers.lora import add_lora
from nemo_models.layers.memory import is_out_of_memory
from nemo_models.stream_training import StreamTraining
from nemo_models.training.configuration import complete_finetuning_config, find_frozen_parts
from nemo_models.training.curves import PANELS, TrainingCurves
from nemo_models.training.data_errors import explain_data_error
from nemo_models.training.data_record import DataRecord, hash_data
from nemo_models.training.preflight import check_training
from nemo_models.training.progress import UpdateProgress
from nemo_models.training.resume import ResumeCheckpoint
from nemo_models.training.sample_predictions import LogSamplePredictions
from nemo_models.training.update_watch import TrainingStopped, UpdateWatch
from nemo_models.training.watch import TrainingWatch
from nemo_models.training_data.stream import TrainingStream

logger = logging.getLogger(__name__)


def fine_tune(cfg: DictConfig) -> Path:
    """Train by a configuration such as `conf/xlsr_hi.yaml`, or resume a stopped run.

    Args:
        cfg: The whole configuration. Filled in here: `model.labels`, the text normaliser's fingerprint, and, from the
            checkpoint, `model.encoder.architecture` and the waveform normalisation.

    Returns:
        The `.nemo` with the best weights by the monitored value.

    Raises:
        FileNotFoundError: The checkpoint or a manifest is missing.
        ValueError: The data is unfit for training (the message names every problem), the checkpoint does not match the
            configuration, or the run in this folder is finished and was trained on other data.
    """
    cfg.language = join_languages(cfg.language)
    labels = load_alphabet(Path(cfg.alphabet) if cfg.alphabet else None, cfg.language, cfg.script)
    path = cfg.init_from_checkpoint
    checkpoint = load_checkpoint(str(path), with_head=False) if path else None
    complete_finetuning_config(cfg, labels, checkpoint)
    if is_global_rank_zero():  # the other processes need not repeat the checks
        check_training(cfg, labels)
    for line in find_frozen_parts(cfg):
        logger.warning(line)
    seed_everything(cfg.seed, workers=True)
    trainer = build_trainer(cfg)
    checkpoints = Path(exp_manager(trainer, cfg.exp_manager)) / "checkpoints"
    model = build_finetuning_model(cfg, trainer, checkpoint)
    return run_to_end(cfg, trainer, model, build_callbacks(cfg, model, checkpoints))


def run_to_end(cfg: DictConfig, trainer: Trainer, model: StreamTraining, callbacks: list[Callback]) -> Path:
    """Train until the configuration's last update and write the model.

    Args:
        cfg: The whole configuration, completed.
        trainer: Lightning's trainer, with the callbacks of NeMo's experiment manager.
        model: The model.
        callbacks: The project's callbacks; see `build_callbacks`.

    Returns:
        The `.nemo`.

    Raises:
        TrainingStopped: Training ended because of a problem, or the run is finished and was trained on other data.
    """
    trainer.callbacks[:0] = callbacks  # type: ignore[attr-defined]  # before exp_manager's
    run_training(trainer, model, callbacks)
    for line in find_frozen_parts(cfg):
        logger.warning(line)
    (record,) = (callback for callback in callbacks if isinstance(callback, DataRecord))
    return _write_model(trainer, model, record.folder / f"{cfg.name}.nemo")


def build_trainer(cfg: DictConfig) -> Trainer:
    """Build Lightning's trainer.

    Args:
        cfg: The whole configuration.

    Raises:
        ValueError: An argument of the trainer is invalid.
    """
    settings = resolve_trainer_cfg(cfg.trainer)
    if cfg.trainer.strategy == SHARDED:
        settings["strategy"] = ShardedStrategy()
        if cfg.model.encoder.get("layerdrop"):
            logger.warning(
                "model.encoder.layerdrop=%s: ignored with trainer.strategy=%s, where transformers runs every layer",
                cfg.model.encoder.layerdrop,
                SHARDED,
            )
    if settings.get("enable_progress_bar", True):
        settings["callbacks"] = [*(settings.get("callbacks") or []), UpdateProgress()]
    settings["plugins"] = [*(settings.get("plugins") or []), CheckpointFiles()]
    try:
        trainer = Trainer(**settings)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ValueError(f"trainer: {error}") from error
    if isinstance(trainer.accelerator, CPUAccelerator) and "bf16" in str(trainer.precision) and not has_bfloat16():
        logger.warning(
            "trainer.precision=%s: this processor emulates bfloat16, which is slower than float32; "
            "use trainer.precision=32-true",
            trainer.precision,
        )
    if isinstance(trainer.strategy, DDPStrategy):  # layer drop and a frozen encoder leave weights without a gradient
        trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
    return trainer


def build_finetuning_model(cfg: DictConfig, trainer: Trainer, checkpoint: EncoderCheckpoint | None) -> XLSRCTCModel:
    """Build the model and load the pretrained weights.

    Args:
        cfg: The whole configuration, completed.
        trainer: Lightning's trainer.
        checkpoint: The checkpoint that training starts from; `None` for random weights.
    """
    model = XLSRCTCModel(cfg=cfg.model, trainer=trainer)
    if checkpoint is not None:
        load_encoder_weights(model.encoder, checkpoint)
    add_lora(model.encoder.network, cfg.model.get("lora"))
    model.maybe_init_from_pretrained_checkpoint(cfg)
    if cfg.compile_layers:
        model.encoder.compile_layers()
    return model


def build_callbacks(cfg: DictConfig, model: XLSRCTCModel, checkpoints: Path) -> list[Callback]:
    """Build the callbacks of a fine-tuning, in the order in which they run.

    Args:
        cfg: The whole configuration, completed.
        model: The model.
        checkpoints: The run's folder of checkpoints.
    """
    watch = TrainingWatch(**watch_settings(cfg))
    return [watch, LogSamplePredictions(), *build_run_callbacks(cfg, model, checkpoints, PANELS)]


def watch_settings(cfg: DictConfig) -> dict[str, Any]:
    """Return the part of `watch` in a configuration that the watch itself takes."""
    return {str(key): value for key, value in cfg.watch.items() if key != "resume_every_n_updates"}


def build_run_callbacks(
    cfg: DictConfig, model: StreamTraining, checkpoints: Path, panels: Mapping[str, tuple[str, ...]]
) -> list[Callback]:
    """Build the callbacks of every training: resuming, the record of the data, and the curves.

    Args:
        cfg: The whole configuration, completed.
        model: The model.
        checkpoints: The run's folder of checkpoints.
        panels: What the curves show, see `TrainingCurves`.
    """
    callbacks: list[Callback] = []
    if cfg.exp_manager.create_checkpoint_callback:
        stream = model._train_dl if isinstance(model._train_dl, TrainingStream) else None
        last = checkpoints / f"{cfg.name}-last.ckpt"
        callbacks.append(ResumeCheckpoint(last, stream, cfg.watch.resume_every_n_updates, cfg.seed))
    record = DataRecord(checkpoints / f"{cfg.name}-data.json", hash_data(cfg.model.train_ds))
    return [*callbacks, record, TrainingCurves(checkpoints / f"{cfg.name}-curves.png", panels)]


def run_training(trainer: Trainer, model: StreamTraining, callbacks: list[Callback]) -> None:
    """Train until the configuration's last update.

    Args:
        trainer: Lightning's trainer.
        model: The model.
        callbacks: What `build_callbacks` returned.

    Raises:
        SystemExit: SIGTERM ended the training; the status is 143, as shells have it.
        TrainingStopped: Training ended because of a problem, or the run is finished and was trained on other data.
    """
    (watch,) = (callback for callback in callbacks if isinstance(callback, UpdateWatch))
    (record,) = (callback for callback in callbacks if isinstance(callback, DataRecord))
    with one_line_errors(watch):
        trainer.fit(model)
    if record.has_started:
        return
    message = record.explain_no_training(trainer.global_step)
    if record.is_other_data():
        raise TrainingStopped(message)
    logger.warning(message)


@contextmanager
def one_line_errors(watch: UpdateWatch) -> Iterator[None]:
    """Turn errors of the data and of memory inside the block into a `TrainingStopped` with one line.

    SIGTERM ends the process with status 143; Lightning's exception would end it with 0, as if training were done.

    Args:
        watch: The training's watch, which knows the current batch.
    """
    try:
        yield
    except SIGTERMException as error:
        logger.warning("stopped by SIGTERM; the same command resumes the training")
        raise SystemExit(128 + signal.SIGTERM) from error
    except (AudioLoadingError, RuntimeError, MemoryError) as error:
        message = watch.explain_memory_error(error) if is_out_of_memory(error) else explain_data_error(error)
        if message is None:
            raise
        raise TrainingStopped(message) from error


def _write_model(trainer: Trainer, model: StreamTraining, path: Path) -> Path:
    trainer.strategy.barrier("the .nemo is written")  # by the first process; the others must see the same files
    if not path.exists():  # without exp_manager's checkpoints, or after a kill right before it was written
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        if best:
            model.load_state_dict(load_training_checkpoint(Path(best))["state_dict"])
        model.save_to(str(path))
    return path

"""Fine-tuning: from a pretrained encoder and two manifests to one `.nemo`, by NeMo's trainer and experiment manager."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from lhotse.audio.utils import AudioLoadingError
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from nemo.utils.exp_manager import exp_manager
from nemo.utils.get_rank import is_global_rank_zero
from nemo.utils.trainer_utils import resolve_trainer_cfg
from omegaconf import DictConfig, OmegaConf, open_dict

from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import config_of_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.files.checkpoint_files import CheckpointFiles, load_training_checkpoint
from nemo_models.layers.fsdp import SHARDED, ShardedStrategy
from nemo_models.layers.lora import add_lora
from nemo_models.layers.memory import is_out_of_memory
from nemo_models.optimization.tri_stage import leave_to_other_schedules
from nemo_models.training.curves import TrainingCurves
from nemo_models.training.preflight import check_training
from nemo_models.training.resume import ResumeCheckpoint
from nemo_models.training.samples import SampleTexts
from nemo_models.training.watch import TrainingStopped, TrainingWatch
from nemo_models.training_data.stream import TrainingStream

logger = logging.getLogger(__name__)


def fine_tune(cfg: DictConfig) -> Path:
    """Train as a configuration such as `conf/xlsr_hi.yaml` says; a stopped run goes on where it was.

    Args:
        cfg: The whole configuration. Filled in here: `model.labels` and the normaliser's
            fingerprint; from the checkpoint `model.encoder.architecture` and the waveform normalisation.

    Returns:
        The `.nemo` with the best weights by the monitored value.

    Raises:
        FileNotFoundError: The checkpoint or a manifest is not there.
        ValueError: The manifests cannot be trained on (every problem is named), or the checkpoint does not fit.
    """
    labels = load_alphabet(Path(cfg.alphabet) if cfg.alphabet else None)
    checkpoint = load_checkpoint(str(cfg.init_from_xlsr), with_head=False) if cfg.init_from_xlsr else None
    _complete_config(cfg, labels, checkpoint)
    if is_global_rank_zero():  # once is enough for all processes
        check_training(cfg, labels)
    seed_everything(cfg.seed, workers=True)
    settings = resolve_trainer_cfg(cfg.trainer)
    if cfg.trainer.strategy == SHARDED:
        settings["strategy"] = ShardedStrategy()
        if cfg.model.encoder.get("layerdrop"):
            logger.warning("no layer is dropped with trainer.strategy=%s: transformers then runs them all", SHARDED)
    settings["plugins"] = [*(settings.get("plugins") or []), CheckpointFiles()]
    try:
        trainer = Trainer(**settings)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ValueError(f"trainer: {error}") from error
    if isinstance(trainer.strategy, DDPStrategy):  # layer drop and a frozen encoder leave weights without a gradient
        trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
    run_folder = Path(exp_manager(trainer, cfg.exp_manager))
    model = XLSRCTCModel(cfg=cfg.model, trainer=trainer)
    if checkpoint is not None:
        load_encoder_weights(model.encoder, checkpoint)
    add_lora(model.encoder.network, cfg.model.get("lora"))
    model.maybe_init_from_pretrained_checkpoint(cfg)
    if cfg.compile_layers:
        model.encoder.compile_layers()
    trainer.callbacks.insert(0, TrainingCurves(run_folder / "checkpoints" / f"{cfg.name}-curves.png"))  # type: ignore[attr-defined]
    checkpoints = run_folder / "checkpoints"
    if cfg.exp_manager.create_checkpoint_callback:
        stream = model._train_dl if isinstance(model._train_dl, TrainingStream) else None
        last = checkpoints / f"{cfg.name}-last.ckpt"
        resume = ResumeCheckpoint(last, stream, cfg.watch.resume_every_n_updates, cfg.seed)
        trainer.callbacks.insert(0, resume)  # type: ignore[attr-defined]
    trainer.callbacks.insert(0, SampleTexts())  # type: ignore[attr-defined]
    watch = TrainingWatch(**{key: value for key, value in cfg.watch.items() if key != "resume_every_n_updates"})
    trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    try:
        trainer.fit(model)
    except AudioLoadingError as error:  # of a header: what lies behind it is left out where it cannot be read
        raise TrainingStopped(f"{error}; scripts/check_manifest.py mode=fix leaves such rows out") from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingStopped(watch.explain_memory_error(error)) from error
    trainer.strategy.barrier("the .nemo is written")  # by the first process; all have to agree on whether it is there
    result = checkpoints / f"{cfg.name}.nemo"
    if not result.exists():  # without exp_manager's checkpoints, or killed right before it was written
        _take_best_weights(model, trainer)
        model.save_to(str(result))
    return result


def _take_best_weights(model: XLSRCTCModel, trainer: Trainer) -> None:
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best:
        model.load_state_dict(load_training_checkpoint(Path(best))["state_dict"])


def _complete_config(cfg: DictConfig, labels: Sequence[str], checkpoint: EncoderCheckpoint | None) -> None:
    _check_numbers(cfg)
    with open_dict(cfg):
        cfg.model.labels = list(labels)
        leave_to_other_schedules(cfg.model.optim.get("sched"))
        cfg.model.normalizer_fingerprint = NORMALIZER_FINGERPRINT
        if checkpoint is not None:
            _take_settings(cfg.model, checkpoint)
        if not torch.cuda.is_available() and cfg.trainer.accelerator == "auto" and cfg.trainer.devices == -1:
            logger.warning("no GPU here: training on one CPU process")
            cfg.trainer.update({"accelerator": "cpu", "devices": 1})


def _check_numbers(cfg: DictConfig) -> None:
    """Refuse numbers that would end in an error far from here."""
    if not isinstance(cfg.trainer.max_steps, int) or cfg.trainer.max_steps < 1:
        raise ValueError(
            f"trainer.max_steps={cfg.trainer.max_steps}: expected the updates of the whole training; the data have no "
            "end of their own, and the learning rate is planned for as many"
        )
    for key in ("trainer.val_check_interval", "watch.resume_every_n_updates", "watch.max_bad_updates"):
        value = OmegaConf.select(cfg, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{key}={value}: expected a whole number, 1 or more")
    chance = cfg.model.train_ds.get("noise_mix_prob")
    if chance is not None and not 0 <= chance <= 1:
        raise ValueError(f"model.train_ds.noise_mix_prob={chance}: expected a chance, 0 to 1")
    for name in cfg.model.get("freeze_updates", {}).get("modules", {}):
        if name not in ("encoder", "decoder"):
            raise ValueError(f"model.freeze_updates.modules.{name}: expected encoder or decoder")


def _take_settings(model_cfg: DictConfig, checkpoint: EncoderCheckpoint) -> None:
    """What a checkpoint fixes takes the place of what the configuration says."""
    fixed = config_of_checkpoint(checkpoint, labels=())
    for name in ("preprocessor", "encoder"):
        if model_cfg[name]._target_ != fixed[name]._target_:
            raise ValueError(
                f"{checkpoint.source}: is a {checkpoint.kind} checkpoint, but model.{name} is "
                f"{model_cfg[name]._target_}; --config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"
            )
        for key, value in fixed[name].items():
            model_cfg[name][key] = value

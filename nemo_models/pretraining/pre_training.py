"""Continued pre-training: from a pretrained checkpoint and audio without transcripts to one `.nemo`.

The checks, the trainer, the stream of data, exact resume and the record of the data are those of fine-tuning.
"""

import logging
from pathlib import Path

from lightning.pytorch import Trainer, seed_everything
from nemo.utils.exp_manager import exp_manager
from nemo.utils.get_rank import is_global_rank_zero
from omegaconf import DictConfig

from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.objective import describe_new_parts, load_objective, require_objective
from nemo_models.layers.lora import add_lora
from nemo_models.pretraining.audio_folder import list_audio_folders
from nemo_models.pretraining.configuration import complete_pretraining_config
from nemo_models.pretraining.watch import PANELS, PretrainingWatch
from nemo_models.pretraining_model import XLSRPretrainingModel
from nemo_models.training.configuration import find_frozen_parts
from nemo_models.training.finetuning import build_run_callbacks, build_trainer, run_to_end, watch_settings
from nemo_models.training.preflight import check_training

logger = logging.getLogger(__name__)


def pre_train(cfg: DictConfig) -> Path:
    """Pre-train by a configuration such as `conf/xlsr_ssl.yaml`, or resume a stopped run.

    Args:
        cfg: The whole configuration. Filled in here from the checkpoint: `model.encoder.architecture`, the waveform
            normalisation, and the sizes of `model.objective`.

    Returns:
        The `.nemo`: with the best weights by the validation loss, or without validation data the last ones.

    Raises:
        FileNotFoundError: The checkpoint, a manifest or a folder is missing.
        ValueError: The data is unfit, the checkpoint has no quantizer, a value is out of range, or the run in this
            folder is finished and was trained on other data.
    """
    path = cfg.init_from_checkpoint
    checkpoint = load_checkpoint(str(path), with_head=False) if path else None
    sizes = require_objective(checkpoint, bool(cfg.allow_new_quantizer)) if checkpoint is not None else None
    list_audio_folders(cfg)
    complete_pretraining_config(cfg, checkpoint, sizes)
    if is_global_rank_zero():  # the other processes need not repeat the checks
        check_training(cfg, labels=None)
    for line in find_frozen_parts(cfg):
        logger.warning(line)
    seed_everything(cfg.seed, workers=True)
    trainer = build_trainer(cfg)
    checkpoints = Path(exp_manager(trainer, cfg.exp_manager)) / "checkpoints"
    model = build_pretraining_model(cfg, trainer, checkpoint, keeps_objective=sizes is not None)
    watch = PretrainingWatch(**watch_settings(cfg))
    return run_to_end(cfg, trainer, model, [watch, *build_run_callbacks(cfg, model, checkpoints, PANELS)])


def build_pretraining_model(
    cfg: DictConfig, trainer: Trainer, checkpoint: EncoderCheckpoint | None, keeps_objective: bool
) -> XLSRPretrainingModel:
    """Build the model and load the pretrained weights.

    Args:
        cfg: The whole configuration, completed.
        trainer: Lightning's trainer.
        checkpoint: The checkpoint that pre-training continues; `None` for random weights.
        keeps_objective: Whether the checkpoint's quantizer and projections are loaded too.
    """
    model = XLSRPretrainingModel(cfg=cfg.model, trainer=trainer)
    if checkpoint is not None:
        load_encoder_weights(model.encoder, checkpoint)
    if checkpoint is not None and keeps_objective:
        load_objective(model.objective, checkpoint)
    elif checkpoint is not None:
        logger.warning(describe_new_parts(model.objective))
    add_lora(model.encoder.network, cfg.model.get("lora"))
    if cfg.compile_layers:
        model.encoder.compile_layers()
    return model

"""The configuration of a pre-training: checked, and completed with what follows from the checkpoint and the data."""

import logging
from collections.abc import Mapping

from omegaconf import DictConfig, open_dict

from data_prep.arguments import require_int, require_number
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.optimization.tri_stage import remove_foreign_keys
from nemo_models.training.configuration import apply_checkpoint_settings, check_settings, use_cpu_without_gpu
from nemo_models.training.sources import DATA_KEYS

logger = logging.getLogger(__name__)


def complete_pretraining_config(
    cfg: DictConfig, checkpoint: EncoderCheckpoint | None, sizes: Mapping[str, int] | None
) -> None:
    """Check a configuration and fill in what follows from the checkpoint, the data and the machine.

    Args:
        cfg: The whole configuration, changed in place.
        checkpoint: The checkpoint that pre-training continues; `None` for random weights.
        sizes: Sizes of the objective that the checkpoint fixes; `None` keeps those of the configuration.

    Raises:
        ValueError: A value is out of range, or the checkpoint does not fit.
    """
    check_settings(cfg)
    check_pretraining_settings(cfg)
    with open_dict(cfg):
        remove_foreign_keys(cfg.model.optim.get("sched"))
        if checkpoint is not None:
            apply_checkpoint_settings(cfg.model, checkpoint)
        cfg.model.objective.update(sizes or {})
        use_cpu_without_gpu(cfg.trainer)
        if not any(cfg.model.validation_ds.get(key) for key in DATA_KEYS):
            _keep_last_weights(cfg)
    if cfg.model.encoder.architecture.feat_extract_norm == "group" and not cfg.model.train_ds.crop:
        raise ValueError(
            f"model.train_ds.crop=false: expected true for {cfg.init_from_checkpoint}, whose group norm makes an "
            "utterance depend on its padding (as wav2vec2-base)"
        )


def check_pretraining_settings(cfg: DictConfig) -> None:
    """Refuse values that would only fail much later.

    Raises:
        ValueError: A value is out of range.
    """
    require_int("model.objective.negatives", cfg.model.objective.negatives, least=1)
    require_number("model.objective.diversity_weight", cfg.model.objective.diversity_weight, least=0)
    require_number("model.objective.feature_penalty", cfg.model.objective.feature_penalty, least=0)
    require_number("model.encoder.mask_time_prob", cfg.model.encoder.mask_time_prob, least=0.01, most=1)
    require_int("model.encoder.mask_time_length", cfg.model.encoder.mask_time_length, least=2)
    require_number("model.layer_lr_decay", cfg.model.layer_lr_decay, least=0.01, most=1)
    schedule = cfg.model.gumbel_temperature
    require_number("model.gumbel_temperature.end", schedule.end, least=0.01)
    require_number("model.gumbel_temperature.start", schedule.start, least=float(schedule.end))
    require_number("model.gumbel_temperature.decay", schedule.decay, least=0.5, most=1)


def _keep_last_weights(cfg: DictConfig) -> None:
    """Without validation data there is no best checkpoint: keep the last one, and write its weights."""
    params = cfg.exp_manager.checkpoint_callback_params
    if str(params.monitor).startswith("val_"):
        logger.warning("model.validation_ds: found no data; the model will have the last weights, not the best ones")
        params.update({"monitor": "step", "mode": "max", "save_top_k": 1, "save_best_model": False})
        params.filename = f"{cfg.name}--{{step}}"

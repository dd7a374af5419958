"""The configuration of a fine-tuning: checked, and completed with what follows from the checkpoint and the alphabet."""

import logging
from collections.abc import Sequence

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from data_prep.arguments import is_int, require_int, require_number
from data_prep.text.normalizer import fingerprint_language
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.model_building import config_of_checkpoint
from nemo_models.files.model_language import describe_labels
from nemo_models.optimization.tri_stage import remove_foreign_keys
from nemo_models.training.language_mix import arrange_languages

logger = logging.getLogger(__name__)

ALWAYS_FROZEN = -1  # NeMo's value for a part that never learns


def complete_finetuning_config(cfg: DictConfig, labels: Sequence[str], checkpoint: EncoderCheckpoint | None) -> None:
    """Check a configuration and fill in what follows from the alphabet, the checkpoint and the machine.

    Args:
        cfg: The whole configuration, changed in place.
        labels: The characters that the model writes.
        checkpoint: The checkpoint that training starts from; `None` for random weights.

    Raises:
        ValueError: A value is out of range, or the checkpoint is of another kind than the configuration's encoder.
    """
    check_settings(cfg)
    with open_dict(cfg):
        cfg.model.labels = list(labels)
        remove_foreign_keys(cfg.model.optim.get("sched"))
        cfg.model.normalizer_fingerprint = fingerprint_language(cfg.language)
        cfg.model.update(describe_labels(cfg.language, cfg.script))
        arrange_languages(cfg)
        if checkpoint is not None:
            apply_checkpoint_settings(cfg.model, checkpoint)
        use_cpu_without_gpu(cfg.trainer)


def use_cpu_without_gpu(trainer_cfg: DictConfig) -> None:
    """On a machine without a GPU, change the trainer's settings from all GPUs to one CPU process."""
    if not torch.cuda.is_available() and trainer_cfg.accelerator == "auto" and trainer_cfg.devices == -1:
        logger.warning("no GPU found: training in one CPU process")
        trainer_cfg.update({"accelerator": "cpu", "devices": 1})


def check_settings(cfg: DictConfig) -> None:
    """Refuse values that would only fail much later.

    Raises:
        ValueError: A value is out of range.
    """
    if not is_int(cfg.trainer.max_steps) or cfg.trainer.max_steps < 1:
        raise ValueError(
            f"trainer.max_steps={cfg.trainer.max_steps}: expected the number of updates in the whole training, 1 or "
            "more; the training data repeats without end, and the learning-rate schedule needs this number"
        )
    for key in ("trainer.val_check_interval", "watch.resume_every_n_updates", "watch.max_bad_updates"):
        require_int(key, OmegaConf.select(cfg, key), least=1)
    noise_mix_prob = cfg.model.train_ds.get("noise_mix_prob")
    require_number("model.train_ds.noise_mix_prob", noise_mix_prob, least=0, most=1, optional=True)
    parts = ("encoder", "objective" if "objective" in cfg.model else "decoder")
    for name in cfg.model.get("freeze_updates", {}).get("modules", {}):
        if name not in parts:
            raise ValueError(f"model.freeze_updates.modules.{name}: expected {' or '.join(parts)}")


def apply_checkpoint_settings(model_cfg: DictConfig, checkpoint: EncoderCheckpoint) -> None:
    """Overwrite the settings that a checkpoint fixes: architecture and waveform normalisation.

    Args:
        model_cfg: `model` of the configuration, changed in place.
        checkpoint: The checkpoint that training starts from.

    Raises:
        ValueError: The checkpoint is of another kind than the configuration's encoder.
    """
    fixed = config_of_checkpoint(checkpoint, labels=())
    for name in ("preprocessor", "encoder"):
        if model_cfg[name]._target_ != fixed[name]._target_:
            raise ValueError(
                f"{checkpoint.source}: found a {checkpoint.kind} checkpoint, expected one for model.{name}="
                f"{model_cfg[name]._target_}; --config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"
            )
        for key, value in fixed[name].items():
            model_cfg[name][key] = value


def find_frozen_parts(cfg: DictConfig) -> list[str]:
    """Describe each part of the model that the freeze schedule keeps frozen for the whole training by its length.

    Args:
        cfg: The whole configuration.

    Returns:
        One line for each part. A part that is frozen on purpose (-1) is not in it.
    """
    freeze = cfg.model.get("freeze_updates")
    if not freeze or not freeze.get("enabled"):
        return []
    most = cfg.trainer.max_steps
    return [
        f"model.freeze_updates.modules.{name}={updates}: expected fewer than trainer.max_steps={most}; the {name} "
        f"never learns in this training (set {ALWAYS_FROZEN} if that is intended, or lower the value)"
        for name, updates in freeze.modules.items()
        if is_int(updates) and updates >= most
    ]

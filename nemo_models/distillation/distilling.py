"""Distillation: from a teacher's `.nemo` and audio to a student's `.nemo`, with the trainer of fine-tuning."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from nemo.utils.exp_manager import exp_manager
from nemo.utils.get_rank import is_global_rank_zero
from omegaconf import DictConfig, OmegaConf, open_dict

from data_prep.arguments import require_int, require_number
from data_prep.text.normalizer import fingerprint_language
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.distillation.importance import Importance, measure_importance, read_waves
from nemo_models.distillation.student import (
    GREEDY,
    StudentShape,
    select_parts,
    stride_factor,
    student_config,
    take_weights,
)
from nemo_models.distillation.student_model import Lesson, LossSettings, StudentCTCModel
from nemo_models.distillation.teacher import Teacher
from nemo_models.distillation.teacher_cache import TeacherCache, hash_weights
from nemo_models.files.model_language import FINGERPRINT_KEY, LANGUAGES_KEY, choose_language
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.layers.meta_init import encoders_on_meta
from nemo_models.optimization.tri_stage import remove_foreign_keys
from nemo_models.training.configuration import check_settings, use_cpu_without_gpu
from nemo_models.training.finetuning import build_callbacks, build_trainer, run_to_end
from nemo_models.training.preflight import check_training

logger = logging.getLogger(__name__)

GB = 10**9
NOT_USED = ("init_from_checkpoint", "alphabet", "script", "compile_layers", "model.lora.r")
"""Settings of the base recipe that distillation has no use for."""


def distill(cfg: DictConfig) -> Path:
    """Train a student by a configuration such as `conf/distill_hi.yaml`, or resume a stopped run.

    Args:
        cfg: The whole configuration. What the teacher decides is filled in: labels, architecture, front-end.

    Returns:
        The `.nemo` with the best student by the monitored value.

    Raises:
        FileNotFoundError: The teacher or a manifest is missing.
        ValueError: The teacher, the student's shape, a setting or the data is unfit; the message says what to change.
    """
    shape, losses = StudentShape(**_plain(cfg.student.shape)), LossSettings(**_plain(cfg.loss))
    check_settings(cfg)
    require_int("student.importance_utterances", cfg.student.importance_utterances)
    _refuse_settings_of_fine_tuning(cfg)
    _check_cache(cfg, losses)
    teacher = load_teacher(Path(cfg.teacher))
    complete_student_config(cfg, teacher, shape)
    use_cpu_without_gpu(cfg.trainer)
    if is_global_rank_zero():  # the other processes need not repeat the checks
        check_training(cfg, list(cfg.model.labels))
    seed_everything(cfg.seed, workers=True)
    trainer = build_trainer(cfg)
    checkpoints = Path(exp_manager(trainer, cfg.exp_manager)) / "checkpoints"
    model = build_student_model(cfg, trainer, teacher, shape, losses)
    return run_to_end(cfg, trainer, model, build_callbacks(cfg, model, checkpoints))


def load_teacher(path: Path) -> XLSRCTCModel:
    """Restore a teacher on the CPU, without the language model and the decoding settings of a bundle.

    Args:
        path: Its `.nemo`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a model that a student can start from.
    """
    teacher = load_ctc_model(path)
    if not isinstance(teacher, XLSRCTCModel):
        raise ValueError(f"teacher={path}: found a {type(teacher).__name__}, expected an XLSRCTCModel; choose another")
    teacher.change_decoding_strategy(GREEDY, verbose=False)  # a bundle's temperature would change the log-probabilities
    return teacher


def complete_student_config(cfg: DictConfig, teacher: XLSRCTCModel, shape: StudentShape) -> None:
    """Fill in what the teacher decides, and the report of where the student comes from.

    Args:
        cfg: The whole configuration, changed in place.
        teacher: The teacher.
        shape: The student's shape.

    Raises:
        ValueError: The shape does not fit the teacher, the teacher is of another language, or transcripts are to be
            learnt that another version of the text normaliser would have written.
    """
    fixed = student_config(teacher, shape)
    fingerprint = fixed.get(FINGERPRINT_KEY)
    cfg.language = choose_language(cfg.language, fingerprint, cfg.teacher)
    expected = fingerprint_language(cfg.language)
    if cfg.loss.ctc and fingerprint != expected:
        raise ValueError(
            f"teacher={cfg.teacher}: found text normaliser {fingerprint}, expected {expected}, that of the transcripts "
            f"in language={cfg.language}; set loss.ctc=0 to learn from the teacher's outputs alone, or take another"
        )
    with open_dict(cfg):
        for key in ("labels", FINGERPRINT_KEY, "sample_rate", "preprocessor"):
            cfg.model[key] = fixed.get(key)
        if LANGUAGES_KEY in fixed:
            cfg.model[LANGUAGES_KEY] = fixed[LANGUAGES_KEY]
        cfg.model.decoder = fixed.decoder
        cfg.model.encoder.architecture = fixed.encoder.architecture
        cfg.model.encoder.mask_padding = fixed.encoder.get("mask_padding", True)
        cfg.model.train_ds.unlabelled = not cfg.loss.ctc
        cfg.model.train_ds.may_lack_text = bool(cfg.loss.hidden or cfg.loss.divergence)
        remove_foreign_keys(cfg.model.optim.get("sched"))
        cfg.model.target = f"{XLSRCTCModel.__module__}.{XLSRCTCModel.__name__}"
        cfg.model.distillation = {
            "teacher": Path(cfg.teacher).name,
            "teacher_weights": hash_weights(teacher),
            "shape": _plain(cfg.student.shape),
            "loss": _plain(cfg.loss),
        }


def build_student_model(
    cfg: DictConfig, trainer: Trainer, teacher: XLSRCTCModel, shape: StudentShape, losses: LossSettings
) -> StudentCTCModel:
    """Build the student with its first weights, and set its teacher.

    Args:
        cfg: The whole configuration, completed.
        trainer: Lightning's trainer.
        teacher: The teacher.
        shape: The student's shape.
        losses: How the loss is made.
    """
    # a resumed student gets its weights, and with them the chosen parts, from its checkpoint
    importance = Importance.of_weights(teacher) if trainer.ckpt_path else _importance(cfg, teacher)
    selection = select_parts(teacher, shape, importance)
    with encoders_on_meta():
        model = StudentCTCModel(cfg=cfg.model, trainer=trainer)
    take_weights(model, teacher, selection)
    lesson = Lesson(
        Teacher(teacher, selection.layers if losses.hidden else (), losses.top_k, _open_cache(cfg, losses)),
        selection.layers,
        selection.hidden,
        stride_factor(teacher, cfg.model.encoder.architecture),
        losses,
    )
    model.learn_from(lesson)
    return model


def _importance(cfg: DictConfig, teacher: XLSRCTCModel) -> Importance:
    count = cfg.student.importance_utterances
    waves = list(islice(read_waves(cfg.model.train_ds), count))
    if not waves:
        if count:
            logger.warning("student.importance_utterances=%d: found no audio files; the weights alone decide", count)
        return Importance.of_weights(teacher)
    logger.info("measuring what matters in the teacher on %d utterances", len(waves))
    return measure_importance(teacher, ((wave[None], torch.tensor([len(wave)])) for wave in waves))


def _refuse_settings_of_fine_tuning(cfg: DictConfig) -> None:
    """Refuse settings of the base recipe that a distillation would not obey."""
    for key in NOT_USED:
        if value := OmegaConf.select(cfg, key):
            raise ValueError(
                f"{key}={value}: expected nothing, because a student takes its weights and its labels from the "
                "teacher; leave it out"
            )


def _check_cache(cfg: DictConfig, losses: LossSettings) -> None:
    if cfg.teacher_cache.path is None:
        return
    require_number("teacher_cache.max_gb", cfg.teacher_cache.max_gb, above=0)
    if losses.hidden:
        raise ValueError(
            f"teacher_cache.path={cfg.teacher_cache.path} loss.hidden={losses.hidden}: expected loss.hidden=0 beside a "
            "cache, which does not hold hidden states; leave one of them out"
        )
    if losses.top_k is None:
        raise ValueError("loss.top_k=null: expected a number of labels beside teacher_cache.path, such as 8")


def _open_cache(cfg: DictConfig, losses: LossSettings) -> TeacherCache | None:
    if cfg.teacher_cache.path is None:
        return None
    limit = round(cfg.teacher_cache.max_gb * GB)
    return TeacherCache(Path(cfg.teacher_cache.path), cfg.model.distillation.teacher_weights, losses.top_k or 1, limit)


def _plain(config: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}

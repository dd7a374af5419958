"""Fine-tuning: from a pretrained encoder and two manifests to one `.nemo`, by NeMo's trainer and experiment manager."""

import logging
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from nemo.utils.exp_manager import exp_manager
from nemo.utils.trainer_utils import resolve_trainer_cfg
from omegaconf import DictConfig, ListConfig, open_dict

from data_prep.alphabet import find_outside_alphabet, load_alphabet
from data_prep.audio import SAMPLE_RATE_HZ
from data_prep.checks import count_ctc_steps, count_encoder_frames
from data_prep.manifest import read_manifest, resolve_audio_path
from data_prep.text import NORMALIZER_FINGERPRINT
from nemo_models.checkpoint import EncoderCheckpoint, load_checkpoint, load_encoder_weights
from nemo_models.ctc_model import XLSRCTCModel, config_of_checkpoint

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
    check_manifests(cfg.model, labels)
    checkpoint = load_checkpoint(str(cfg.init_from_xlsr)) if cfg.init_from_xlsr else None
    _complete_config(cfg, labels, checkpoint)
    seed_everything(cfg.seed, workers=True)
    trainer = Trainer(**resolve_trainer_cfg(cfg.trainer))
    run_folder = Path(exp_manager(trainer, cfg.exp_manager))
    model = XLSRCTCModel(cfg=cfg.model, trainer=trainer)
    if checkpoint is not None:
        load_encoder_weights(model.encoder, checkpoint)
    model.maybe_init_from_pretrained_checkpoint(cfg)
    trainer.fit(model)
    result = run_folder / "checkpoints" / f"{cfg.name}.nemo"
    if not result.exists():  # without exp_manager's checkpoints nobody else writes it
        model.save_to(str(result))
    return result


def check_manifests(model_cfg: DictConfig, labels: Sequence[str]) -> None:
    """Look for what would spoil training without a word, before any of it is paid for.

    NeMo drops characters without a label and zeroes the loss of utterances too short for their text, both silently.

    Args:
        model_cfg: `train_ds` and `validation_ds` with `manifest_filepath` (a path or a list) are looked at.
        labels: What the model can write.

    Raises:
        FileNotFoundError: A manifest is not there.
        ValueError: Something was found; the message counts every kind and names an example of each.
    """
    problems = []
    for name in ("train_ds", "validation_ds"):
        for path in _manifest_paths(model_cfg[name].manifest_filepath):
            rows = read_manifest(path)
            found = [problem for row in rows for problem in _row_problems(row, path, set(labels), model_cfg[name])]
            kinds = Counter(kind for kind, _ in found)
            examples = dict(reversed(found))
            problems += [f"{path}: {count} × {kind}, e.g. {examples[kind]}" for kind, count in kinds.items()]
            if not rows:
                problems.append(f"{path}: no utterance in it")
    if problems:
        remedy = "scripts/prepare_data.py makes manifests without these"
        raise ValueError(f"the data cannot be trained on: {'; '.join(problems)}; {remedy}")


def _row_problems(
    row: Mapping[str, Any], manifest: str, labels: set[str], dataset: DictConfig
) -> list[tuple[str, str]]:
    name, text, seconds = row["audio_filepath"], row["text"], row["duration"]
    frames = count_encoder_frames(round(seconds * SAMPLE_RATE_HZ))
    problems = []
    if outside := find_outside_alphabet(text, labels):
        problems.append(("text outside the alphabet", f"{name} ({', '.join(outside)})"))
    if not text.strip():
        problems.append(("empty text", name))
    elif frames < count_ctc_steps(text):
        problems.append(("too short for its text", f"{name} ({frames} frames, {count_ctc_steps(text)} needed)"))
    if not (audio := resolve_audio_path(name, manifest)).is_file():
        problems.append(("missing audio", str(audio)))
    for key, outside_limit in (("min_duration", operator.lt), ("max_duration", operator.gt)):
        if (limit := dataset.get(key)) is not None and outside_limit(seconds, limit):
            kind = "shorter" if key == "min_duration" else "longer"
            problems.append((f"{kind} than {key}, which would leave it out", f"{name} ({seconds} s)"))
    return problems


def _manifest_paths(value: Any) -> list[str]:
    if isinstance(value, ListConfig | list | tuple):
        return [path for item in value for path in _manifest_paths(item)]
    return str(value).split(",")


def _complete_config(cfg: DictConfig, labels: Sequence[str], checkpoint: EncoderCheckpoint | None) -> None:
    with open_dict(cfg):
        cfg.model.labels = list(labels)
        cfg.model.normalizer_fingerprint = NORMALIZER_FINGERPRINT
        if checkpoint is not None:
            _take_settings(cfg.model, checkpoint)
        if not torch.cuda.is_available() and cfg.trainer.accelerator == "auto" and cfg.trainer.devices == -1:
            logger.warning("no GPU here: training on one CPU process")
            cfg.trainer.update({"accelerator": "cpu", "devices": 1})


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

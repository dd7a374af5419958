"""The training rules for NeMo's models: endless data stream, weight decay, clipping, sharding, atomic `.nemo` files.

A mixin that comes before a model of NeMo's, so that fine-tuning and pre-training have the same rules.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from nemo.utils.get_rank import is_global_rank_zero
from omegaconf import DictConfig, OmegaConf

from data_prep.arguments import is_int
from data_prep.atomic import atomic_path
from nemo_models.decoding.lm_bundle import LM_KEY, is_bundled
from nemo_models.layers.fsdp import gathered_state_dict, is_sharded, shard
from nemo_models.layers.lora import updates_merged_in_state_dict
from nemo_models.optimization.parameter_groups import exclude_from_weight_decay, measure_depths, scale_by_depth

if TYPE_CHECKING:
    from nemo.collections.asr.models import ASRModel as _Model
else:
    _Model = object


class StreamTraining(_Model):
    """Training rules of a model with the parts `encoder` and `head`: `class X(StreamTraining, SomeModelOfNeMo)`."""

    head_name = "decoder"
    """The attribute that holds the part behind the encoder."""

    def setup_optimizer_param_groups(self) -> None:
        """Overrides NeMo's method (`cfg.optim_param_groups`): norms and biases get no weight decay.

        `cfg.layer_lr_decay` lowers the learning rate from each layer of the encoder to the next one below.
        """
        super().setup_optimizer_param_groups()
        groups: Any = self._optimizer_param_groups
        if self.cfg.get("layer_lr_decay", 1.0) != 1.0:
            depths = measure_depths(self.encoder.network)
            groups = scale_by_depth(groups, depths, self.cfg.layer_lr_decay, self.cfg.optim.lr)
        self._optimizer_param_groups: Any = exclude_from_weight_decay(groups)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Overrides Lightning's method: clips for fused optimizers too, except in float16."""
        precision = self.trainer.precision_plugin
        if isinstance(precision, MixedPrecision) and precision.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(precision, optimizer, gradient_clip_val or 0.0, algorithm)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def setup_training_data(self, train_data_config: DictConfig | dict[str, Any]) -> None:
        """Overrides NeMo's method: Lhotse's batches become a `TrainingStream`, which resumes at any batch."""
        from nemo_models.training_data.manifest_reader import fault_tolerant_manifests
        from nemo_models.training_data.stream import TrainingStream, set_lhotse_defaults

        if isinstance(train_data_config, dict):
            train_data_config = OmegaConf.create(train_data_config)
        set_lhotse_defaults(train_data_config, self.global_rank)
        with fault_tolerant_manifests():
            super().setup_training_data(train_data_config)
        loader = getattr(self, "_train_dl", None)
        if train_data_config.get("use_lhotse") and loader is not None:
            seed = train_data_config.get("shard_seed")
            self._train_dl: Any = TrainingStream(loader, seed if is_int(seed) else 0, self.global_rank)

    def configure_model(self) -> None:
        """Shard the weights over the processes if `trainer.strategy` is `fsdp2`."""
        if self.device_mesh is not None and not is_sharded(self):
            shard(self.encoder.network, getattr(self, self.head_name), self.device_mesh["data_parallel"])

    def save_to(self, save_path: str) -> None:
        """Overrides NeMo's method: the file appears complete or not at all, without the training machine's paths.

        Low-rank updates are merged into the weights.

        Args:
            save_path: The `.nemo` file to write; its folder is made if needed.

        Raises:
            OSError: The file is not written, such as on a full disk; the message names it.
        """
        path = Path(save_path).absolute()
        config: DictConfig = self._cfg
        # only the first process writes: the others must not move what is being written
        with atomic_path(path) if is_global_rank_zero() else nullcontext(path) as target:
            try:
                self.cfg = without_local_paths(config)
                self.register_files()
                with updates_merged_in_state_dict(self.encoder.network), gathered_state_dict(self):
                    super().save_to(str(target))
            finally:
                self.cfg = config

    def register_files(self) -> None:
        """Register the files that become part of the `.nemo`; none here."""


def without_local_paths(config: DictConfig) -> DictConfig:
    """Copy a model's configuration without paths of data sets and of a language model on this machine.

    A model that decodes with a language model is saved as a greedy one, since that file would be missing elsewhere. A
    bundled language model is part of the `.nemo` file and kept.
    """
    portable = DictConfig(OmegaConf.to_container(config, resolve=True))
    for name in ("train_ds", "validation_ds", "test_ds"):
        dataset = portable.get(name)
        if dataset is None:
            continue
        dataset.manifest_filepath = None
        for key in ("tarred_audio_filepaths", "shar_path", "noise_path", "audio_dir", "input_cfg"):
            dataset.pop(key, None)
        for augmentation in (dataset.get("augmentor") or {}).values():
            for key in ("manifest_path", "audio_tar_filepaths", "rir_manifest_path", "noise_manifest_paths"):
                augmentation.pop(key, None)
    lm_path = OmegaConf.select(portable, LM_KEY)
    if lm_path is not None and not is_bundled(lm_path):
        portable.decoding.beam.ngram_lm_model = None
        portable.decoding.strategy = "greedy_batch"
    return portable

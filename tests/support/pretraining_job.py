"""Pre-trainings in processes of their own: with random numbers that do not depend on the batch, or to be killed."""

import os
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from project import ROOT
from training_job import Moment, wait_at

LARGEST_SPAN_SHARE = 0.5
TINY_RUN = {
    "init_from_checkpoint": ROOT / "nemo_models" / "xlsr_tiny_hi",
    "trainer.val_check_interval": 100,
    "trainer.log_every_n_steps": 1,
    "+trainer.enable_progress_bar": "false",
}
"""The tiny checkpoint, without validation and progress bar."""

BUCKETED_RUN = {
    **TINY_RUN,
    "trainer.max_steps": 4,
    "trainer.accumulate_grad_batches": 2,
    "trainer.limit_train_batches": 6,
    "model.train_ds.batch_duration": 4,
    "model.train_ds.num_buckets": 2,
    "model.train_ds.bucket_buffer_size": 8,
    "model.train_ds.shuffle_buffer_size": 8,
    "watch.resume_every_n_updates": 1,
}
"""The same for four updates of two batches, with buckets and crops."""


def pre_train_with_own_draws(overrides: Sequence[str], _: Any, __: Any, environment: Mapping[str, str]) -> None:
    """Pre-train with masks, negatives and noise that follow from each utterance's length."""
    os.environ.update(environment)

    import torch

    from nemo_models.layers.contrastive import Draws, sample_negatives
    from nemo_models.layers.span_masking import sample_span_mask
    from nemo_models.pretraining.pre_training import pre_train
    from nemo_models.pretraining_model import XLSRPretrainingModel
    from recipe import load_recipe

    torch.set_num_threads(1)
    compute_loss = XLSRPretrainingModel.compute_loss

    def compute_with_own_draws(model: Any, signal: torch.Tensor, lengths: torch.Tensor, *_: Any, **__: Any) -> Any:
        size = int(model.encoder.frame_count(signal.shape[1]))
        quantizer = model.objective.quantizer
        masks, noises, negatives = [], [], []
        for length in lengths.tolist():
            generator = torch.Generator().manual_seed(length)
            frames = model.encoder.frame_count(length)[None]
            mask = sample_span_mask(frames, int(frames), LARGEST_SPAN_SHARE, 6, 2, generator)
            count = mask.sum(1)
            noise = torch.empty(int(count), quantizer.groups, quantizer.entries).exponential_(generator=generator)
            masks.append(torch.nn.functional.pad(mask[0], (0, size - int(frames))))
            noises.append(-noise.log())
            negatives.append(sample_negatives(count, model.objective.negatives, generator))
        draws = Draws(torch.cat(noises), torch.cat(negatives))
        return compute_loss(model, signal, lengths, torch.stack(masks), draws)

    XLSRPretrainingModel.compute_loss = compute_with_own_draws  # type: ignore[method-assign]
    pre_train(load_recipe("xlsr_tiny_ssl", *overrides))


def pre_train_until(
    overrides: Sequence[str], kill_at: Moment | None, parent: Connection, environment: Mapping[str, str]
) -> None:
    """Pre-train, and wait at a moment to be killed."""
    os.environ.update(environment)

    import torch

    from nemo_models.pretraining.pre_training import pre_train
    from recipe import load_recipe

    torch.set_num_threads(1)
    if kill_at is not None:
        wait_at(kill_at, parent)
    pre_train(load_recipe("xlsr_tiny_ssl", *overrides))

"""Distillations in processes of their own."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from recipe import load_recipe


def distil_in_process(overrides: Sequence[str], _: Any, __: Any, environment: Mapping[str, str]) -> None:
    """Distil by the tiny recipe, without pictures, as one of the processes that `run_job` starts."""
    os.environ.update(environment)

    import torch

    from nemo_models.distillation.distilling import distill
    from nemo_models.training.curves import TrainingCurves

    TrainingCurves.draw = lambda curves: None  # type: ignore[method-assign]
    torch.set_num_threads(1)
    distill(load_recipe("distill_tiny_hi", *overrides))

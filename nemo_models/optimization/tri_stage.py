"""fairseq's tri-stage learning rate for NeMo: linear warm-up, hold, exponential decay.

NeMo's most similar schedule, `PolynomialHoldDecayAnnealing`, decays polynomially, and to one absolute `min_lr` for both
encoder and head. Here each parameter group starts and ends at a share of its own peak. Importing this module registers
the schedule under the name `TriStage`.
"""

import inspect
import logging
import math
from dataclasses import dataclass, fields
from typing import Any

from nemo.core.config.schedulers import WarmupHoldSchedulerParams
from nemo.core.optim.lr_scheduler import AVAILABLE_SCHEDULERS, register_scheduler
from omegaconf import DictConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

logger = logging.getLogger(__name__)

PLANNED = ("warmup_steps", "hold_steps", "decay_steps", "init_lr_scale", "final_lr_scale")


@dataclass
class TriStageParams(WarmupHoldSchedulerParams):
    """The parameters of `TriStage`, for NeMo's registry."""

    init_lr_scale: float = 0.01
    final_lr_scale: float = 0.05


class TriStage(LambdaLR):
    """The learning-rate schedule of wav2vec 2.0's published fine-tuning.

    Args:
        optimizer: Optimizer; the peak of each parameter group is the group's `lr`.
        max_steps: Updates in the whole training; decay ends there, and the rate stays constant afterwards.
        warmup_ratio: Share of `max_steps` for warm-up, 0 to 1.
        hold_ratio: Share of `max_steps` at the peak, 0 to 1; the remaining updates are decay.
        warmup_steps: Updates of warm-up, instead of `warmup_ratio`.
        hold_steps: Updates at the peak, instead of `hold_ratio`.
        init_lr_scale: First learning rate as a share of the peak, 0 to 1.
        final_lr_scale: Last learning rate as a share of the peak, above 0 and up to 1.
        last_epoch: Update to resume from, -1 for a new training.

    Raises:
        ValueError: No updates remain for decay, both a ratio and its steps are given, or a share is out of range.

    Source: fairseq's `tri_stage_lr_scheduler.py`; wav2vec 2.0 (Baevski et al., 2020), section 4.3.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        max_steps: int,
        warmup_ratio: float | None = None,
        hold_ratio: float | None = None,
        warmup_steps: int | None = None,
        hold_steps: int | None = None,
        init_lr_scale: float = 0.01,
        final_lr_scale: float = 0.05,
        last_epoch: int = -1,
    ) -> None:
        self.warmup_steps = _steps("warmup", warmup_steps, warmup_ratio, max_steps)
        self.hold_steps = _steps("hold", hold_steps, hold_ratio, max_steps)
        self.decay_steps = max_steps - self.warmup_steps - self.hold_steps
        if self.decay_steps <= 0:
            raise ValueError(
                f"trainer.max_steps={max_steps}: expected more than warm-up ({self.warmup_steps} updates) and hold "
                f"({self.hold_steps}) together; lower model.optim.sched.warmup_ratio or hold_ratio, or raise max_steps"
            )
        if not 0 <= init_lr_scale <= 1 or not 0 < final_lr_scale <= 1:
            raise ValueError(
                f"model.optim.sched.init_lr_scale={init_lr_scale}, final_lr_scale={final_lr_scale}: expected shares of "
                "the peak, the first from 0 to 1, the second above 0 and up to 1"
            )
        self.init_lr_scale = init_lr_scale
        self.final_lr_scale = final_lr_scale
        super().__init__(optimizer, self.share_of_peak, last_epoch)

    def share_of_peak(self, step: int) -> float:
        """Return the learning rate after `step` updates, as a share of its peak."""
        if step < self.warmup_steps:
            return self.init_lr_scale + (1 - self.init_lr_scale) * step / self.warmup_steps
        decayed = min(max(step - self.warmup_steps - self.hold_steps, 0) / self.decay_steps, 1.0)
        return math.exp(decayed * math.log(self.final_lr_scale))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume at a checkpoint's update along this schedule, whose `max_steps` may differ from the checkpoint's.

        Args:
            state_dict: What `state_dict` returned.
        """
        planned = {name: getattr(self, name) for name in PLANNED}
        before = {name: state_dict.get(name, value) for name, value in planned.items()}
        if before != planned:
            logger.warning(
                "model.optim.sched: the learning rate follows the current settings (%s), not the checkpoint's (%s)",
                *(", ".join(f"{name} {value:g}" for name, value in plan.items()) for plan in (planned, before)),
            )
        super().load_state_dict({**state_dict, **planned})


def remove_foreign_keys(sched: DictConfig | None) -> None:
    """If a configuration names a schedule of NeMo's, remove the keys of `TriStage` that it does not have.

    With this, `model.optim.sched.name=CosineAnnealing` on the command line is enough. The removed keys are logged. Any
    other key stays, and NeMo refuses it if it is unknown.

    Args:
        sched: `model.optim.sched`, changed in place.
    """
    if sched is None or sched.get("name") not in AVAILABLE_SCHEDULERS:
        return  # NeMo's error lists the schedules
    kinds = AVAILABLE_SCHEDULERS[sched.name].__mro__
    known = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    foreign = [field.name for field in fields(TriStageParams) if field.name in sched and field.name not in known]
    for key in foreign:
        del sched[key]
    if foreign:
        logger.warning("model.optim.sched: ignored %s, which %s does not have", ", ".join(foreign), sched.name)


def _steps(name: str, steps: int | None, ratio: float | None, max_steps: int) -> int:
    if steps is not None and ratio is not None:
        raise ValueError(f"model.optim.sched.{name}_steps={steps}, {name}_ratio={ratio}: expected only one of them")
    return int(steps if steps is not None else (ratio or 0.0) * max_steps)


if "TriStage" not in AVAILABLE_SCHEDULERS:
    register_scheduler("TriStage", TriStage, TriStageParams)

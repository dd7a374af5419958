"""fairseq's tri-stage learning rate for NeMo: linear warm-up, hold, exponential decay.

NeMo's nearest, `PolynomialHoldDecayAnnealing`, decays polynomially, and to one absolute `min_lr` for encoder and head
alike. Here each parameter group starts and ends at its own share of its own peak. Importing this registers the schedule
under the name `TriStage`.
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
    """What NeMo's registry wants to know of `TriStage`."""

    init_lr_scale: float = 0.01
    final_lr_scale: float = 0.05


class TriStage(LambdaLR):
    """The learning rate of wav2vec 2.0's published fine-tuning.

    Args:
        optimizer: Each of its groups has its own peak, the group's `lr`.
        max_steps: Updates in the whole training; decay ends there, and what comes after stays there.
        warmup_ratio: Of `max_steps`, spent on warm-up.
        hold_ratio: Of `max_steps`, spent at the peak; what remains is decay.
        warmup_steps: In place of `warmup_ratio`.
        hold_steps: In place of `hold_ratio`.
        init_lr_scale: Share of the peak with which warm-up begins.
        final_lr_scale: Share of the peak with which decay ends, > 0.
        last_epoch: Update to go on from, -1 for a fresh start.

    Raises:
        ValueError: Nothing is left for decay, both a ratio and its steps are given, or a share is not in its range.

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
                f"sched: warm-up ({self.warmup_steps} updates) and hold ({self.hold_steps}) leave none of max_steps "
                f"({max_steps}) for decay; lower warmup_ratio or hold_ratio, or raise trainer.max_steps"
            )
        if not 0 <= init_lr_scale <= 1 or not 0 < final_lr_scale <= 1:
            raise ValueError(
                f"sched: init_lr_scale={init_lr_scale}, final_lr_scale={final_lr_scale}; they are shares of the peak, "
                "the first in 0–1, the second above 0 and at most 1"
            )
        self.init_lr_scale = init_lr_scale
        self.final_lr_scale = final_lr_scale
        super().__init__(optimizer, self.share_of_peak, last_epoch)

    def share_of_peak(self, step: int) -> float:
        """The learning rate after `step` updates, as a share of its peak."""
        if step < self.warmup_steps:
            return self.init_lr_scale + (1 - self.init_lr_scale) * step / self.warmup_steps
        decayed = min(max(step - self.warmup_steps - self.hold_steps, 0) / self.decay_steps, 1.0)
        return math.exp(decayed * math.log(self.final_lr_scale))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at a checkpoint's update, along this schedule: `max_steps` may have been changed since.

        Args:
            state_dict: As `state_dict` gave it.
        """
        planned = {name: getattr(self, name) for name in PLANNED}
        before = {name: state_dict.get(name, value) for name, value in planned.items()}
        if before != planned:
            logger.warning(
                "the learning rate follows the schedule as it is set now (%s); before it was %s",
                *(", ".join(f"{name} {value:g}" for name, value in plan.items()) for plan in (planned, before)),
            )
        super().load_state_dict({**state_dict, **planned})


def leave_to_other_schedules(sched: DictConfig | None) -> None:
    """Where a configuration names another schedule of NeMo's, take `TriStage`'s keys out that it does not have.

    So `model.optim.sched.name=CosineAnnealing` on the command line is enough; which keys went is logged. Any other key
    stays, and fails with NeMo where it is unknown.

    Args:
        sched: `model.optim.sched`, changed in place.
    """
    if sched is None or sched.get("name") not in AVAILABLE_SCHEDULERS:
        return  # NeMo says which there are
    kinds = AVAILABLE_SCHEDULERS[sched.name].__mro__
    known = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    foreign = [field.name for field in fields(TriStageParams) if field.name in sched and field.name not in known]
    for key in foreign:
        del sched[key]
    if foreign:
        logger.warning("model.optim.sched: %s left out, which %s does not have", ", ".join(foreign), sched.name)


def _steps(name: str, steps: int | None, ratio: float | None, max_steps: int) -> int:
    if steps is not None and ratio is not None:
        raise ValueError(f"sched: {name}_steps={steps} and {name}_ratio={ratio}; give one of them")
    return int(steps if steps is not None else (ratio or 0.0) * max_steps)


if "TriStage" not in AVAILABLE_SCHEDULERS:
    register_scheduler("TriStage", TriStage, TriStageParams)

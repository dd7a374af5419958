"""A picture of a training's curves beside its checkpoints: loss, WER, learning rate and blank share.

TensorBoard has the same numbers. The picture is also there over ssh, and long after the training.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

from data_prep.atomic import atomic_path

PANELS: Mapping[str, tuple[str, ...]] = {
    "loss": ("train_loss", "val_loss"),
    "WER": ("training_batch_wer", "val_wer"),
    "learning rate": ("learning_rate",),
    "blank share": ("train_blank_share",),
}
"""Title of each panel, and the beginnings of the names of the logged values in it."""
INCHES = (11, 7)
DOTS_PER_INCH = 100


class TrainingCurves(Callback):
    """Keeps logged values, and draws them after each validation and at the end. Resuming continues the curves.

    Args:
        picture: The PNG to write; it is complete or not written.
    """

    def __init__(self, picture: Path) -> None:
        self.picture = picture
        self.curves: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read values as often as they are logged; on a GPU each reading waits for the step."""
        step = trainer.global_step  # updates; 0 while the first one accumulates batches
        if not trainer.is_global_zero or step == 0 or step % trainer.log_every_n_steps:
            return
        for name in ("train_loss", "training_batch_wer", "train_blank_share"):
            if name in trainer.callback_metrics:
                self._keep(name, step, float(trainer.callback_metrics[name]))
        for group in trainer.optimizers[0].param_groups:
            peak = group.get("initial_lr", group["lr"])
            self._keep(f"learning_rate, peak {peak:g}", step, group["lr"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep validation's results and draw."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        for name in ("val_loss", "val_wer"):
            if name in trainer.callback_metrics:
                self._keep(name, trainer.global_step, float(trainer.callback_metrics[name]))
        self.draw()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw once more, with the values after the last validation."""
        if trainer.is_global_zero:
            self.draw()

    def state_dict(self) -> dict[str, Any]:
        return {"curves": {name: list(points) for name, points in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves = defaultdict(list, {name: list(points) for name, points in state_dict["curves"].items()})

    def draw(self) -> None:
        """Write the picture of the values so far."""
        figure = Figure(figsize=INCHES, layout="constrained")
        for axes, (title, beginnings) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
            for name, points in self.curves.items():
                if name.startswith(beginnings):
                    marker = "o" if name.startswith("val") else None
                    axes.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3, linewidth=1)
            axes.set(title=title, xlabel="update")
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(fontsize="small")
        with atomic_path(self.picture) as temporary:
            figure.savefig(temporary, dpi=DOTS_PER_INCH, format="png")

    def _keep(self, name: str, step: int, value: float) -> None:
        points = self.curves[name]
        if math.isfinite(value) and not (points and points[-1][0] == step):  # accumulation: several batches an update
            points.append((step, value))

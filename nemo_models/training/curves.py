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
MARGINS = {"left": 0.06, "right": 0.98, "bottom": 0.07, "top": 0.95, "wspace": 0.17, "hspace": 0.27}
"""Shares of the picture. matplotlib's own layout would take half of the time of drawing."""


class TrainingCurves(Callback):
    """Keeps logged values, and draws them after each validation and at the end. Resuming continues the curves.

    Args:
        picture: The PNG to write; it is complete or not written.
        panels: Title of each of the four panels, and the beginnings of the names of the logged values in it.
    """

    def __init__(self, picture: Path, panels: Mapping[str, tuple[str, ...]] = PANELS) -> None:
        self.picture, self.panels = picture, panels
        self._beginnings = tuple(name for names in panels.values() for name in names)
        self.curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._drawn = 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read values as often as they are logged; on a GPU each reading waits for the step."""
        step = trainer.global_step  # updates; 0 while the first one accumulates batches
        if not trainer.is_global_zero or step == 0 or step % trainer.log_every_n_steps:
            return
        self._keep_logged(trainer, step, "train")
        for group in trainer.optimizers[0].param_groups:
            peak = group.get("initial_lr", group["lr"])
            self._keep(f"learning_rate, peak {peak:g}", step, group["lr"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep validation's results and draw."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        self._keep_logged(trainer, trainer.global_step, "val")
        self.draw()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw once more, if there are values after the last validation."""
        if trainer.is_global_zero and self._count_points() > self._drawn:
            self.draw()

    def state_dict(self) -> dict[str, Any]:
        return {"curves": {name: list(points) for name, points in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves = defaultdict(list, {name: list(points) for name, points in state_dict["curves"].items()})

    def draw(self) -> None:
        """Write the picture of the values so far."""
        figure = Figure(figsize=INCHES)
        figure.subplots_adjust(**MARGINS)
        for axes, (title, beginnings) in zip(figure.subplots(2, 2).flat, self.panels.items(), strict=True):
            for name, points in self.curves.items():
                if name.startswith(beginnings):
                    marker = "o" if name.startswith("val") else None
                    axes.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3, linewidth=1)
            axes.set(title=title, xlabel="update")
            axes.grid(alpha=0.3)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))  # short labels, which fit into the margin
            if axes.lines:
                axes.legend(fontsize="small")
        with atomic_path(self.picture) as temporary:
            figure.savefig(temporary, dpi=DOTS_PER_INCH, format="png")
        self._drawn = self._count_points()

    def _count_points(self) -> int:
        return sum(map(len, self.curves.values()))

    def _keep_logged(self, trainer: Any, step: int, stage: str) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith(stage) and name.startswith(self._beginnings):
                self._keep(name, step, float(value))

    def _keep(self, name: str, step: int, value: float) -> None:
        points = self.curves[name]
        if math.isfinite(value) and not (points and points[-1][0] == step):  # accumulation: several batches an update
            points.append((step, value))

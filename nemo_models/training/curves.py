"""A picture of a training's curves beside its checkpoints: loss, WER, learning rate and blank share, at a glance.

TensorBoard holds the same numbers, for whoever has it at hand; the picture is there when a run is looked into over ssh
or long after.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

PANELS: Mapping[str, tuple[str, ...]] = {
    "loss": ("train_loss", "val_loss"),
    "WER": ("training_batch_wer", "val_wer"),
    "learning rate": ("learning_rate",),
    "blank share": ("train_blank_share",),
}
"""What is drawn together, by the beginnings of the names under which it is logged."""
INCHES = (11, 7)
DOTS_PER_INCH = 100


class TrainingCurves(Callback):
    """Keep what is logged, and draw it after each validation and at the end. A resumed run's curves go on.

    Args:
        picture: The PNG to write, whole or not at all.
    """

    def __init__(self, picture: Path) -> None:
        self.picture = picture
        self.curves: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read values as often as they are logged: on a GPU each reading waits for the step."""
        step = trainer.global_step  # updates; 0 while the batches of the first are being accumulated
        if not trainer.is_global_zero or step == 0 or step % trainer.log_every_n_steps:
            return
        for name in ("train_loss", "training_batch_wer", "train_blank_share"):
            if name in trainer.callback_metrics:
                self._keep(name, step, float(trainer.callback_metrics[name]))
        for group in trainer.optimizers[0].param_groups:
            peak = group.get("initial_lr", group["lr"])
            self._keep(f"learning_rate, peak {peak:g}", step, group["lr"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take validation's results and draw."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        for name in ("val_loss", "val_wer"):
            if name in trainer.callback_metrics:
                self._keep(name, trainer.global_step, float(trainer.callback_metrics[name]))
        self.draw()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what came after the last validation."""
        if trainer.is_global_zero:
            self.draw()

    def state_dict(self) -> dict[str, Any]:
        return {"curves": {name: list(points) for name, points in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves = defaultdict(list, {name: list(points) for name, points in state_dict["curves"].items()})

    def draw(self) -> None:
        """Write the picture of what has been kept so far."""
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
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        partial = self.picture.with_name(f".{self.picture.name}.partial")
        figure.savefig(partial, dpi=DOTS_PER_INCH, format="png")
        partial.replace(self.picture)

    def _keep(self, name: str, step: int, value: float) -> None:
        points = self.curves[name]
        if math.isfinite(value) and not (points and points[-1][0] == step):  # accumulation: several batches an update
            points.append((step, value))

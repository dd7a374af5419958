"""What goes wrong while training, named with the utterances that it went wrong with.

A NaN spoils every weight at once; CTC's `zero_infinity` hides utterances that cannot be aligned; audio that cannot be
read is left out; a model that says nothing looks busy for days. What is measured is measured on the device, and read
from it when nobody has to wait for it: whether an update's gradient was finite during the next, the rest at each logged
step.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.distributed.tensor import DTensor

from nemo_models.training.resume import note_of
from nemo_models.training_data.stream import BatchNote
from nemo_models.training_data.utterance_names import describe_utterances

logger = logging.getLogger(__name__)

COLLAPSE_CAUSES = (
    "likely causes: the learning rate is too high (model.optim_param_groups), the encoder was let go before the head "
    "had learned (model.freeze_updates), masks or dropout are too strong, or texts and audio do not belong together"
)


class TrainingStopped(ValueError):
    """Training cannot sensibly go on; the message says why and what to change."""


class Update(NamedTuple):
    """An update that is under way on the device.

    Attributes:
        number: Of updates before it.
        losses: Of its batches, scalars, with their notes.
        is_finite: Tells whether its gradient is; waits for it where it is not done.
    """

    number: int
    losses: list[tuple[Tensor, BatchNote | None]]
    is_finite: Callable[[], bool]


class TrainingWatch(Callback):
    """Names what else would stay silent in a training of an `XLSRCTCModel`, and ends it where that is asked for.

    Logs `train_blank_share` (of frames whose best label is the blank) and `train_label_entropy` (nats, of the labels
    that the model gives weight to beside the blank; 0 when it is always the same one) of this process's batches.

    Args:
        max_bad_updates: Updates in a row that may be left out for a NaN or infinite loss or gradient.
        collapse_blank_share: Share of blank frames, 0 to 1, from which a model says nothing.
        collapse_updates: Updates in a row for which it must be so to be called a collapse.
        stop_on_collapse: Whether a collapse ends the training.
    """

    def __init__(
        self, max_bad_updates: int, collapse_blank_share: float, collapse_updates: int, stop_on_collapse: bool
    ) -> None:
        self._max_bad_updates = max_bad_updates
        self._blank_share, self._collapse_updates = collapse_blank_share, collapse_updates
        self._stop_on_collapse = stop_on_collapse
        self.counts = {"bad_updates": 0, "hidden_utterances": 0, "unreadable_utterances": 0}
        self._bad_in_a_row = 0
        self._blank_since: int | None = None
        self._is_due = False
        self._lengths: Tensor | None = None
        self._measured: dict[str, Tensor] = {}
        self._losses: list[tuple[Tensor, BatchNote | None]] = []  # of this update's batches
        self._unread: list[Update] = []
        self._hidden: list[tuple[Tensor, BatchNote | None]] = []  # since the last logged step
        self._note: BatchNote | None = None  # of the batch under way
        self._doing = "before the first batch"

    def state_dict(self) -> dict[str, Any]:
        self._read_updates(unread=0)
        self._name_hidden()
        return {"counts": self.counts, "bad_in_a_row": self._bad_in_a_row, "blank_since": self._blank_since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts, self._bad_in_a_row = dict(state_dict["counts"]), state_dict["bad_in_a_row"]
        self._blank_since = state_dict["blank_since"]

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.encoder.register_forward_hook(self._see_frames)
        pl_module.decoder.register_forward_hook(self._see_log_probs)

    def on_train_batch_start(self, trainer: Any, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        batches = trainer.fit_loop.total_batch_idx  # `batch_idx` begins anew at each epoch, which may be short
        self._is_due = (batches + 1) % trainer.log_every_n_steps == 0
        self._note = note = note_of(batch)
        self._doing = f"at update {trainer.global_step + 1}, a batch of {describe_batch(batch, note)}"
        if note is not None and note.lost:
            self.counts["unreadable_utterances"] += len(note.lost)
            logger.warning("left out, their audio cannot be read: %s", describe_utterances(note.lost))

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *args: Any) -> None:
        self._doing = f"in validation, a batch of {describe_batch(batch, None)}"

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._lengths is not None:
            self._hidden.append((find_unalignable(batch[2], batch[3], self._lengths), note_of(batch)))
        if self._is_due:
            pl_module.log_dict({f"train_{name}": value for name, value in self._measured.items()})
            self._name_hidden()
            if "blank_share" in self._measured:
                self._judge(float(self._measured["blank_share"]), trainer.global_step)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._losses.append((loss.detach(), self._note))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        losses, self._losses = self._losses, []
        precision = trainer.precision_plugin
        if isinstance(precision, MixedPrecision) and precision.scaler is not None:
            # float16's own scaler leaves infinite gradients out, and expects them: only a loss tells of bad data
            is_finite = torch.stack([torch.isfinite(loss).all() for loss, _ in losses]).all()
            self._unread.append(Update(trainer.global_step, losses, read_later(is_finite)))
            self._read_updates(unread=1)
            return
        gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
        norm = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])
        is_finite = torch.isfinite(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        self._unread.append(Update(trainer.global_step, losses, read_later(is_finite)))
        if all(group.get("fused") for group in optimizer.param_groups) and not isinstance(norm, DTensor):
            optimizer.found_inf = (~is_finite).float()  # type: ignore[attr-defined]  # where it is 1 nothing is changed
        elif not bool(is_finite):
            optimizer.zero_grad(set_to_none=True)  # without gradients nothing is changed; the same on all processes
        self._read_updates(unread=1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._read_updates(unread=0)
        self._name_hidden()

    def explain_memory_error(self, error: BaseException) -> str:
        """Say in which batch memory ran out, and what to change.

        Args:
            error: What torch said.
        """
        if "validation" in self._doing:
            remedy = "lower model.validation_ds.batch_size"
        else:
            remedy = (
                "lower model.train_ds.batch_duration (and raise trainer.accumulate_grad_batches by as much), lower "
                "model.train_ds.max_duration if a single utterance is the matter, or set "
                "model.encoder.gradient_checkpointing=true"
            )
        return f"out of memory {self._doing}: {remedy} ({str(error).splitlines()[0] if str(error) else 'no details'})"

    def _see_frames(self, module: torch.nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        self._lengths = output[1].detach() if module.training else None

    def _see_log_probs(self, module: torch.nn.Module, args: Any, output: Tensor) -> None:
        if self._is_due and module.training and self._lengths is not None:
            self._measured = measure_labels(output.detach(), self._lengths)

    def _read_updates(self, unread: int) -> None:
        """Read all but the last so many of the updates that are not read yet."""
        while len(self._unread) > unread:
            update = self._unread.pop(0)
            if update.is_finite():
                self._bad_in_a_row = 0
            else:
                self._count_bad(update.losses, update.number)

    def _count_bad(self, losses: list[tuple[Tensor, BatchNote | None]], step: int) -> None:
        self.counts["bad_updates"] += 1
        self._bad_in_a_row += 1
        bad = [note for loss, note in losses if not bool(torch.isfinite(loss).all())]
        what = "loss" if bad else "gradient"
        names = [name for note in (bad or [note for _, note in losses]) if note is not None for name in note.names]
        utterances = describe_utterances(names, limit=20) or "(not known: the data do not come through Lhotse)"
        message = (
            f"update {step + 1} left out for a {what} that is NaN or infinite, among these utterances: {utterances}"
        )
        if self._bad_in_a_row >= self._max_bad_updates:
            raise TrainingStopped(
                f"{message}; {self._bad_in_a_row} in a row are watch.max_bad_updates: look at these utterances, "
                "or lower the learning rate"
            )
        logger.warning("%s (%d so far)", message, self.counts["bad_updates"])

    def _name_hidden(self) -> None:
        hidden, self._hidden = self._hidden, []
        if not hidden:
            return
        flags = torch.cat([flag for flag, _ in hidden]).tolist()
        names = [name for flag, note in hidden for name in (note.names if note else ["(name not known)"] * len(flag))]
        found = [name for name, flag in zip(names, flags, strict=True) if flag]
        if found:
            self.counts["hidden_utterances"] += len(found)
            logger.warning(
                "counted as loss 0, since they have more labels than frames: %s (%d so far); after a change of speed "
                "or cutting, audio may be too short for its text",
                describe_utterances(found),
                self.counts["hidden_utterances"],
            )

    def _judge(self, blank_share: float, step: int) -> None:
        if blank_share < self._blank_share:
            self._blank_since = None
            return
        self._blank_since = step if self._blank_since is None else self._blank_since
        if step - self._blank_since < self._collapse_updates:
            return
        message = (
            f"collapsed: {blank_share:.1%} of the frames have been blank since update {self._blank_since}, now {step}; "
            f"{COLLAPSE_CAUSES}"
        )
        if self._stop_on_collapse:
            raise TrainingStopped(message)
        logger.warning(message)
        self._blank_since = step  # and again after as many


def measure_labels(log_probs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Measure what a model writes, whatever stands in the padding.

    Args:
        log_probs: Float, (B, T, labels + 1), blank last.
        lengths: Valid frames, int64, (B,).

    Returns:
        `blank_share`, 0 to 1, and `label_entropy`, nats: two scalars on the same device.
    """
    valid = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
    frames = valid.sum().clamp(min=1)
    blank = (log_probs.argmax(dim=-1) == log_probs.shape[-1] - 1) & valid
    labels = log_probs.float().exp().mul(valid[..., None]).sum(dim=(0, 1))[:-1]
    shares = labels / labels.sum().clamp(min=torch.finfo(torch.float32).tiny)
    return {"blank_share": blank.sum() / frames, "label_entropy": torch.special.entr(shares).sum()}


def find_unalignable(targets: Tensor, target_lengths: Tensor, frames: Tensor) -> Tensor:
    """Find the utterances that CTC cannot align, whose loss `zero_infinity` makes 0.

    Args:
        targets: Labels, int, (B, U), anything beyond each length.
        target_lengths: Int, (B,).
        frames: Valid frames, int64, (B,).

    Returns:
        Bool, (B,).
    """
    within = torch.arange(1, max(targets.shape[1], 1), device=targets.device) < target_lengths[:, None]
    repeats = ((targets[:, 1:] == targets[:, :-1]) & within).sum(dim=1)
    return frames < target_lengths + repeats


def read_later(flag: Tensor) -> Callable[[], bool]:
    """Fetch a flag from its device without waiting for it; the function that is returned waits, if it must.

    Args:
        flag: Bool, of one element.
    """
    fetched = flag.to("cpu", non_blocking=True)  # into pinned memory
    if not flag.is_cuda:
        return lambda: bool(fetched)
    arrived = torch.cuda.Event()
    arrived.record()

    def read() -> bool:
        arrived.synchronize()
        return bool(fetched)

    return read


def describe_batch(batch: Any, note: BatchNote | None) -> str:
    """Say how large a batch is, without waiting for the device."""
    count, samples = batch[0].shape
    if note is None:
        return f"{count} utterances padded to {samples} samples"
    return f"{count} utterances, {sum(note.seconds):.1f} s of audio, the longest {max(note.seconds, default=0.0):.1f} s"

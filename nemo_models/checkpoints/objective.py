"""The pre-training objective of a checkpoint: quantizer and projections, checked and loaded, or new ones."""

import math
from collections.abc import Mapping
from typing import Any

from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, require_finite
from nemo_models.layers.contrastive import ContrastiveObjective

TENSORS = (
    "quantizer.codevectors",
    *("quantizer.weight_proj.weight", "quantizer.weight_proj.bias"),
    *("project_q.weight", "project_q.bias", "project_hid.weight", "project_hid.bias"),
)
"""The objective's tensors by transformers' names."""
REMEDY = "take the pretrained checkpoint, not one fine-tuned from it, or set allow_new_quantizer=true"


def require_objective(checkpoint: EncoderCheckpoint, allow_new: bool) -> dict[str, Any] | None:
    """Check the objective of a checkpoint before a model is built around it.

    Args:
        checkpoint: The checkpoint that pre-training continues.
        allow_new: Whether quantizer and projections may start at random.

    Returns:
        The sizes that its tensors fix, as arguments of `ContrastiveObjective`; `None` if all start at random.

    Raises:
        ValueError: The checkpoint is of another kind than wav2vec 2.0, lacks some of the tensors although `allow_new`
            is not set, or their shapes do not belong together.
    """
    if checkpoint.kind != "wav2vec2":
        raise ValueError(
            f"init_from_checkpoint={checkpoint.source}: found a {checkpoint.kind} checkpoint, expected wav2vec 2.0; "
            "its pre-training has another objective"
        )
    missing = [name for name in TENSORS if name not in checkpoint.objective]
    if missing and not allow_new:
        parts = sorted({name.split(".")[0] for name in missing})
        raise ValueError(
            f"init_from_checkpoint={checkpoint.source}: found no {', '.join(parts)}, expected the tensors of its "
            f"pre-training; quantizer, project_q and project_hid would start at random: {REMEDY}"
        )
    return None if missing else measure_objective(checkpoint)


def measure_objective(checkpoint: EncoderCheckpoint) -> dict[str, int]:
    """Derive the sizes of a checkpoint's objective from the shapes of its tensors.

    Raises:
        ValueError: The shapes do not belong together.
    """
    shapes: Mapping[str, tuple[int, ...]] = {name: tuple(checkpoint.objective[name].shape) for name in TENSORS}
    codevectors, codes = shapes["quantizer.codevectors"], shapes["quantizer.weight_proj.bias"][0]
    projection_dim, codevector_dim = shapes["project_q.weight"]
    groups = codevector_dim // codevectors[-1]
    sizes = {"groups": groups, "entries": codes // max(groups, 1)}
    sizes |= {"codevector_dim": codevector_dim, "projection_dim": projection_dim}
    channels, hidden = checkpoint.architecture["conv_dim"][-1], checkpoint.architecture["hidden_size"]
    expected = {
        "quantizer.codevectors": (1, codes, codevector_dim // max(groups, 1)),
        "quantizer.weight_proj.weight": (sizes["entries"] * groups, channels),
        "project_q.bias": (projection_dim,),
        "project_hid.weight": (projection_dim, hidden),
        "project_hid.bias": (projection_dim,),
    }
    for name, shape in expected.items():
        if shapes[name] != shape or not math.prod(shape):
            raise ValueError(
                f"init_from_checkpoint={checkpoint.source}: found {name} of shape {shapes[name]}, expected {shape}; "
                "set allow_new_quantizer=true to start the quantizer and the projections at random"
            )
    return sizes


def load_objective(objective: ContrastiveObjective, checkpoint: EncoderCheckpoint) -> None:
    """Load a checkpoint's quantizer and projections.

    Args:
        objective: Built with the sizes of `require_objective`.
        checkpoint: The checkpoint, with every tensor of `TENSORS`.

    Raises:
        ValueError: A tensor holds NaN or infinite values.
    """
    tensors = {name: checkpoint.objective[name] for name in TENSORS}
    require_finite(checkpoint.source, tensors, "take another copy of the checkpoint, or an earlier one")
    objective.load_state_dict(tensors, strict=True)


def describe_new_parts(objective: ContrastiveObjective) -> str:
    """Say which parts start at random, and how many weights they have."""
    count = sum(weight.numel() for weight in objective.parameters())
    return f"quantizer, project_q and project_hid start at random ({count:,} weights); the encoder is the checkpoint's"

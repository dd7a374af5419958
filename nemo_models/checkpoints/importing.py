"""The import of a checkpoint: read, built, held against its source, and ready to be saved."""

from collections.abc import Sequence
from typing import NamedTuple

from omegaconf import open_dict

from nemo_models.checkpoints.encoder_checkpoint import MASK_VECTOR, EncoderCheckpoint
from nemo_models.checkpoints.import_proof import describe_proof, prove_import
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel

HEADS = ("auto", "new")


class Import(NamedTuple):
    """A model, and what its user should know of how it came about, line by line."""

    model: XLSRCTCModel
    report: list[str]


def import_checkpoint(source: str, labels: Sequence[str], head: str = "auto", seed: int = 0) -> Import:
    """Make a NeMo model of a checkpoint, and prove that it computes the same.

    Args:
        source: As `load_checkpoint` takes it.
        labels: Characters for a new head.
        head: `auto`: the checkpoint's own CTC head with its vocabulary where it has one, else a new one; `new`: a new
            one whatever it has, which is then not read.
        seed: For a new head's random weights.

    Returns:
        The model, with the figures of the proof in its configuration as `import_proof`, and a report.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is not a checkpoint that can be read whole, its head has no vocabulary, or the model differs
            from its source.
    """
    if head not in HEADS:
        raise ValueError(f"head is {head}, expected one of {', '.join(HEADS)}")
    checkpoint = load_checkpoint(source, with_head=head == "auto")
    keeps_head = checkpoint.head is not None
    model = model_from_checkpoint(checkpoint, None if keeps_head else labels, seed)
    if checkpoint.reference is not None:
        proof = prove_import(model, checkpoint, keeps_head)
        with open_dict(model.cfg):
            model.cfg.import_proof = proof
    return Import(model, _report(model, checkpoint, keeps_head))


def _report(model: XLSRCTCModel, checkpoint: EncoderCheckpoint, keeps_head: bool) -> list[str]:
    parameters = sum(tensor.numel() for tensor in checkpoint.weights.values())
    lines = [
        f"{checkpoint.source}: {checkpoint.kind}, {len(checkpoint.weights)} tensors, {parameters:,} parameters",
        f"left out: {', '.join(checkpoint.left_out) or 'nothing'}",
    ]
    if MASK_VECTOR not in checkpoint.weights:
        lines.append(f"made up: {MASK_VECTOR}, which the checkpoint lacks and only training uses")
    if checkpoint.kind == "wav2vec2":
        state = "on" if checkpoint.normalize else "off"
        lines.append(f"waveform normalisation: {state}, epsilon {checkpoint.epsilon:g}")
    if checkpoint.architecture.get("feat_extract_norm") == "group":
        way = (
            "attention leaves it out, as in fairseq" if checkpoint.mask_padding else "as any sound, as in transformers"
        )
        lines.append(f"padding: changes the output, as group norm does in the source too; taken {way}")
    kept = "kept" if keeps_head else "new"
    lines.append(f"{kept} head: {len(model.cfg.labels)} labels")
    if "import_proof" in model.cfg:
        lines.append(describe_proof(model.cfg.import_proof))
    return lines

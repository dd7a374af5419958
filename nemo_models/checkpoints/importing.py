"""The import of a checkpoint: read, built, compared with its source, and ready to be saved."""

from collections.abc import Sequence
from typing import NamedTuple

from omegaconf import open_dict

from data_prep.arguments import require_choice
from data_prep.languages.language import DEFAULT_LANGUAGE
from nemo_models.checkpoints.encoder_checkpoint import MASK_VECTOR, EncoderCheckpoint
from nemo_models.checkpoints.import_proof import describe_proof, prove_import
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_from_checkpoint
from nemo_models.checkpoints.pyctcdecode_files import SourceLM
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.lm_bundle import keep_language_model
from nemo_models.decoding.strategy import configure_decoding

HEADS = ("auto", "new")


class ImportedModel(NamedTuple):
    """A model, and what its user should know about it, line by line."""

    model: XLSRCTCModel
    report: list[str]


def import_checkpoint(
    source: str,
    labels: Sequence[str],
    head: str = "auto",
    seed: int = 0,
    language: str = DEFAULT_LANGUAGE,
    script: str | None = None,
) -> ImportedModel:
    """Make a NeMo model from a checkpoint, and prove that it computes the same.

    Args:
        source: A checkpoint, see `load_checkpoint`.
        labels: Characters for a new head.
        head: `auto`: the checkpoint's own CTC head with its vocabulary and word language model where it has one, else
            a new one; `new`: a new one; the checkpoint's own is then not read.
        seed: Seed of a new head's random weights.
        language: Code of the language that a new head writes, or the path of a language file; or several.
        script: Script in which a new head writes several, see `folding`; `None`: each in its own.

    Returns:
        The model, with the figures of the proof in its configuration as `import_proof`, and a report.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: The checkpoint cannot be read completely, its head has no vocabulary, or the model differs from its
            source.
    """
    require_choice("head", head, HEADS)
    checkpoint = load_checkpoint(source, with_head=head == "auto")
    keeps_head = checkpoint.head is not None
    model = model_from_checkpoint(checkpoint, None if keeps_head else labels, seed, language, script)
    if checkpoint.reference is not None:
        proof = prove_import(model, checkpoint, keeps_head)
        with open_dict(model.cfg):
            model.cfg.import_proof = proof
    report = _report(model, checkpoint, keeps_head)
    if checkpoint.word_lm is not None:
        report += _bundle_word_lm(model, checkpoint.word_lm)
    return ImportedModel(model, report)


def _bundle_word_lm(model: XLSRCTCModel, word_lm: SourceLM) -> list[str]:
    """Let a model decode with its source's word language model, which is saved with it; return lines for the report."""
    if word_lm.path is None:
        return list(word_lm.notes)
    beam = {
        "ngram_lm_model": str(keep_language_model(word_lm.path)),
        "ngram_lm_alpha": word_lm.alpha,
        "beam_beta": word_lm.beta,
    }
    try:
        configure_decoding(model, {"strategy": "pyctcdecode", "beam": beam})
    except ValueError as error:
        return [f"left out: the checkpoint's language model: {error}"]
    return list(word_lm.notes)


def _report(model: XLSRCTCModel, checkpoint: EncoderCheckpoint, keeps_head: bool) -> list[str]:
    parameters = sum(tensor.numel() for tensor in checkpoint.weights.values())
    lines = [
        f"{checkpoint.source}: {checkpoint.kind}, {len(checkpoint.weights)} tensors, {parameters:,} parameters",
        f"left out: {', '.join(checkpoint.left_out) or 'nothing'}",
    ]
    if MASK_VECTOR not in checkpoint.weights:
        lines.append(f"new: {MASK_VECTOR}, which the checkpoint lacks and only training uses")
    if checkpoint.kind == "wav2vec2":
        state = "on" if checkpoint.normalize else "off"
        lines.append(f"waveform normalisation: {state}, epsilon {checkpoint.epsilon:g}")
    if model.encoder.padding_changes_output:
        lines.append(
            "group norm: padding changes the output, as in the source; transcription runs this model without padding, "
            "one length at a time"
        )
    kept = "kept" if keeps_head else "new"
    lines.append(f"{kept} head: {len(model.cfg.labels)} labels")
    if "import_proof" in model.cfg:
        lines.append(describe_proof(model.cfg.import_proof))
    return lines

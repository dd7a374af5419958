"""Turn a wav2vec 2.0 checkpoint (XLSR-53 and its relatives) into a NeMo model with a new CTC head over the alphabet."""

from pathlib import Path

from job import job
from omegaconf import DictConfig


@job("import_xlsr")
def main(cfg: DictConfig) -> None:
    from data_prep.alphabet import load_alphabet
    from nemo_models.checkpoint import load_checkpoint
    from nemo_models.ctc_model import model_from_checkpoint

    labels = load_alphabet(Path(cfg.alphabet) if cfg.alphabet else None)
    checkpoint = load_checkpoint(str(cfg.checkpoint))
    model = model_from_checkpoint(checkpoint, labels, seed=cfg.seed)
    model.save_to(str(cfg.output))
    parameters = sum(tensor.numel() for tensor in checkpoint.weights.values())
    print(f"{checkpoint.source}: {len(checkpoint.weights)} tensors, {parameters:,} parameters")
    print(f"left out: {', '.join(checkpoint.left_out) or 'nothing'}")
    print(f"waveform normalisation: {'on' if checkpoint.normalize else 'off'}, epsilon {checkpoint.epsilon:g}")
    print(f"new head: {len(labels)} labels\nwrote {cfg.output}")


if __name__ == "__main__":
    main()

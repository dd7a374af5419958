"""Turn a wav2vec 2.0 or Wav2Vec2-BERT checkpoint into a NeMo model, and prove that it computes the same.

A checkpoint with a CTC head is imported completely and transcribes at once, with its word language model where it has
one; a checkpoint without a head gets a new one over the alphabet.

    python scripts/import_checkpoint.py checkpoint=xlsr_53_56k.pt output=work/xlsr_53.nemo
"""

from pathlib import Path

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("import_checkpoint")
def main(cfg: DictConfig) -> None:
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.importing import import_checkpoint

    labels = load_alphabet(Path(cfg.alphabet) if cfg.alphabet else None)
    imported = import_checkpoint(str(cfg.checkpoint), labels, head=str(cfg.head), seed=cfg.seed)
    imported.model.save_to(str(cfg.output))
    print("\n".join([*imported.report, f"wrote {cfg.output}"]))


if __name__ == "__main__":
    main()

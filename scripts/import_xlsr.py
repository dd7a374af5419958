"""Turn a wav2vec 2.0 or Wav2Vec2-BERT checkpoint into a NeMo model, and prove that it computes the same.

A checkpoint with a CTC head comes in whole and transcribes at once; one without gets a new head over the alphabet.
"""

from pathlib import Path

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("import_xlsr")
def main(cfg: DictConfig) -> None:
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.importing import import_checkpoint

    labels = load_alphabet(Path(cfg.alphabet) if cfg.alphabet else None)
    imported = import_checkpoint(str(cfg.checkpoint), labels, head=str(cfg.head), seed=cfg.seed)
    imported.model.save_to(str(cfg.output))
    print("\n".join([*imported.report, f"wrote {cfg.output}"]))


if __name__ == "__main__":
    main()

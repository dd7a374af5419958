"""Fine-tune a wav2vec 2.0 checkpoint (XLSR-53 and its relatives) with CTC, as NeMo's script of the same name does."""

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("xlsr_hi", nemo=True)
def main(cfg: DictConfig) -> None:
    from nemo_models.training.finetuning import fine_tune

    print(f"wrote {fine_tune(cfg)}")


if __name__ == "__main__":
    main()

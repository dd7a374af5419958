"""Continue the pre-training of a wav2vec 2.0 checkpoint (XLSR-53 and its relatives) on audio without transcripts.

--config-name chooses the recipe: xlsr_ssl (default) or xlsr_tiny_ssl. The same command resumes a stopped run. The
result is a checkpoint for scripts/speech_to_text_finetune.py (init_from_checkpoint=) and scripts/export_model.py.
"""

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("xlsr_ssl", nemo=True)
def main(cfg: DictConfig) -> None:
    from nemo_models.pretraining.pre_training import pre_train
    from nemo_models.training.console import hide_library_messages

    hide_library_messages()
    print(f"model: {pre_train(cfg)}")


if __name__ == "__main__":
    main()

"""Fine-tune a wav2vec 2.0 checkpoint (XLSR-53 and its relatives) or a Wav2Vec2-BERT checkpoint with CTC.

--config-name chooses the recipe: xlsr_hi (default), w2v_bert_hi or xlsr_tiny_hi. The same command resumes a stopped
run.
"""

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("xlsr_hi", nemo=True, renamed={"init_from_xlsr": "init_from_checkpoint"})
def main(cfg: DictConfig) -> None:
    from nemo_models.training.console import hide_library_messages
    from nemo_models.training.finetuning import fine_tune

    hide_library_messages()
    print(f"model: {fine_tune(cfg)}")


if __name__ == "__main__":
    main()

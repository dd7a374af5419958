"""Distil a fine-tuned model into a small, fast one that starts from its weights and learns its outputs.

--config-name chooses the recipe: distill_hi (default) or distill_tiny_hi. The same command resumes a stopped run.
"""

from omegaconf import DictConfig

from hydra_job import hydra_job


@hydra_job("distill_hi", nemo=True)
def main(cfg: DictConfig) -> None:
    from nemo_models.distillation.distilling import distill
    from nemo_models.training.console import hide_library_messages

    hide_library_messages()
    print(f"model: {distill(cfg)}")


if __name__ == "__main__":
    main()

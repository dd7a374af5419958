"""Turn a wav2vec 2.0 or Wav2Vec2-BERT checkpoint into a NeMo model, and check that both compute the same.

A checkpoint with a CTC head is imported with its head and, if it has one, its word language model: it can transcribe at
once. A checkpoint without a head gets a new head for the alphabet.

    python scripts/import_checkpoint.py checkpoint=xlsr_53_56k.pt output=work/xlsr_53.nemo
"""

from dataclasses import dataclass
from pathlib import Path

from hydra_job import hydra_job


@dataclass(frozen=True)
class ImportSettings:
    """The arguments; the comments in `conf/import_checkpoint.yaml` explain them."""

    checkpoint: str
    output: Path
    head: str
    language: str
    script: str | None
    alphabet: Path | None
    seed: int


@hydra_job("import_checkpoint", ImportSettings)
def main(settings: ImportSettings) -> None:
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.importing import import_checkpoint

    labels = load_alphabet(settings.alphabet, settings.language, settings.script)
    imported = import_checkpoint(
        settings.checkpoint,
        labels,
        head=settings.head,
        seed=settings.seed,
        language=settings.language,
        script=settings.script,
    )
    imported.model.save_to(str(settings.output))
    print("\n".join([*imported.report, f"wrote {settings.output}"]))


if __name__ == "__main__":
    main()

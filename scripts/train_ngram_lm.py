"""Train the n-gram language model of the beam search from plain text.

The text is normalised. Lines with characters that the model cannot write are left out and counted; repeated lines
count once. kind=token is the language model of strategy beam_batch, over the model's labels; decoding refuses it with
another model. kind=word is the ARPA of strategy pyctcdecode. The report is <output>.json.

    python scripts/train_ngram_lm.py text=a.txt model_path=model.nemo order=6 output=lm.nemo
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from data_prep.arguments import list_values
from hydra_job import hydra_job


@hydra_job("train_ngram_lm")
def main(cfg: DictConfig) -> None:
    from nemo.utils import logging

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.files.nemo_file import read_labels
    from nemo_models.language_models.ngram_lm import train_ngram_lm
    from nemo_models.language_models.text_counts import describe_counts

    logging.setLevel(logging.ERROR)
    labels = read_labels(Path(cfg.model_path)) if cfg.model_path else load_alphabet(cfg.alphabet)
    if not cfg.check_against:
        print("check_against=[dev.json,test.json] would show whether the text contains evaluation sentences")
    report = train_ngram_lm(
        paths(cfg.text),
        labels,
        Path(cfg.output),
        cfg.order,
        list_values(cfg.prune),
        cfg.memory,
        cfg.numbers,
        kind=cfg.kind,
        in_domain=paths(cfg.in_domain),
        held_out=Path(cfg.held_out) if isinstance(cfg.held_out, str) else cfg.held_out,
        check_against=paths(cfg.check_against),
        leaks=cfg.leaks,
        annotations=cfg.annotations,
        abbreviations=cfg.abbreviations,
        deduplicate=cfg.deduplicate,
        num_workers=cfg.num_workers,
    )
    for part in report.components:
        print(f"{part.name}: {describe_counts(part.counts)}")
        if len(report.components) > 1:
            print(f"{part.name}: weight {part.weight:.3f}; alone on held-out text: {part.held_out}")
    for suggestion in report.suggestions:
        print(suggestion)
    if report.held_out:
        print(f"held-out text: {report.held_out}")
    print("n-grams: " + ", ".join(f"{order}: {count}" for order, count in report.ngrams.items()))
    print(f"{report.output}: order {cfg.order}, {report.size_bytes / 1e6:.1f} MB, {report.seconds:.1f} s")


def paths(value: Any) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(path) for path in list_values(value)]


if __name__ == "__main__":
    main()
